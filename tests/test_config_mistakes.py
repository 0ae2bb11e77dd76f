"""Configurations with mistakes: each is told where it stands, and shows no value, nor a name that is part of one."""

from __future__ import annotations

import traceback

import pytest

from holdfast import ConfigError, DictStore, SimpleWrapper, cli, open_store, registry
from holdfast.config import StoreFactory, register_store
from holdfast.retry import Policy
from holdfast.stores.memory import MemoryStore
from holdfast.stores.s3 import S3Store

CANARY = "CANARY7f3a9e55d1"


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """The factory for a file with these stores, beside memory stores m and n."""
    monkeypatch.chdir(tmp_path)

    def made(text):
        path = tmp_path / "stores.yaml"
        path.write_text(f"stores:\n  m: {{type: MemoryStore}}\n  n: {{type: MemoryStore}}\n  {text}\nmain: a\n")
        return StoreFactory("stores.yaml")

    return made


@pytest.fixture
def refused(factory):
    def said(text):
        with pytest.raises(ConfigError) as raised:
            factory(text).build()
        assert CANARY not in "".join(traceback.format_exception(raised.value))
        return str(raised.value).removeprefix("stores.yaml: ")

    return said


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.mark.parametrize(
    ("kind", "base", "takes"),
    [
        ("ReadonlyStore", "[m]", "one store"),
        ("ReadonlyStore", "{store: {x: m}}", "one store"),
        ("CachingStore", "{main_store: m, cache_store: [n]}", "one store"),
        ("MirroringStore", "m", "a list of stores"),
        ("MirroringStore", "[[m], n]", "a list of stores"),
        ("MirroringStore", "{children: {x: m}}", "a list of stores"),
        ("RegexRoutingStore", "{store: m, routes: n}", "a mapping of stores or a list"),
        ("RegexRoutingStore", "{store: m, routes: {'x': [n]}}", "a mapping of stores or a list"),
    ],
)
def test_bases_have_the_form_that_the_type_takes(refused, factory, kind, base, takes):
    text = f"a: {{type: {kind}, base: {base}}}"
    assert "store 'a': parameter 'base': " in refused(text)
    assert takes in refused(text)
    assert [takes in str(problem) for problem in factory(text).problems()] == [True]
    assert cli.run(["config", "check", "stores.yaml"]) == 2


@pytest.mark.usefixtures("registered")
def test_what_cannot_be_closed_is_a_problem_and_hides_no_other(factory, refused):
    @register_store
    class Untold(SimpleWrapper):
        def __init__(self, store, fails=False):
            super().__init__(store)

        def close(self):
            raise RuntimeError(CANARY)

    text = "a: {type: Untold, base: m}"
    assert [str(problem) for problem in factory(text).problems()] == [
        "stores.yaml: store 'a': it cannot be closed: RuntimeError"
    ]
    text = "a: {type: MirroringStore, base: [b, nowhere]}\n  b: {type: Untold, base: m}"
    assert "no store 'nowhere'" in refused(text)


def test_a_default_holds_no_variable(refused, monkeypatch):
    for default in ("${B:-x}", "a${B}", "$${B}"):
        said = refused(f"a: {{type: PrefixStore, base: m, config: {{prefix: '${{A:-{default}}}'}}}}")
        assert said.startswith("store 'a': parameter 'config.prefix': ")
        assert "default" in said


def test_the_name_of_a_store_holds_no_variable(refused):
    assert "and '${'" in refused("'${A}': {type: MemoryStore}")


def test_names_in_mappings_hold_variables(factory, refused, monkeypatch):
    monkeypatch.setenv("ID", "2026")
    monkeypatch.setenv("KEY", "A" * 43 + "=")
    text = "a: {type: EncryptingStore, base: m, config: {keys: {'${ID}': '${KEY}'}}}"
    assert "'2026'" in repr(factory(text).build())
    text = "a: {type: RegexRoutingStore, base: {store: m, routes: {'${ID}/.*': n}}}"
    store = factory(text).build()
    store.put("2026/x", b"1")
    assert store.routes[0][1].exists("2026/x")
    assert "twice" in refused("a: {type: EncryptingStore, base: m, config: {keys: {'${ID}': A, '2026': B}}}")
    assert "twice" in refused("a: {type: RegexRoutingStore, base: {store: m, routes: {'${ID}': n, '2026': n}}}")
    assert "'base': Environment variable 'NOT_SET' not found" in refused(
        "a: {type: RegexRoutingStore, base: {store: m, routes: {'${NOT_SET}': n}}}"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"a: {{type: EncryptingStore, base: m, config: {{keys: {{{CANARY * 3}: main}}}}}}",
        "a: {type: EncryptingStore, base: m, config: {keys: {'${SECRET}': main}}}",
        f"a: {{type: EncryptingStore, base: m, config: {{keys: {{{CANARY}: '${{NOT_SET}}'}}}}}}",
        f"a: {{type: EncryptingStore, base: m, config: {{keys: {{{CANARY}: 1, {CANARY}: 2}}}}}}",
        f"a: {{type: EncryptingStore, base: m, config: {{keys: {{{CANARY}: {{{CANARY}: 1}}}}}}}}",
        f"a: {{type: RegexRoutingStore, base: {{store: m, routes: {{'{CANARY}(': n}}}}}}",
        f"a: {{type: RegexRoutingStore, base: {{store: m, routes: {{'{CANARY}': nowhere}}}}}}",
    ],
)
def test_names_in_mappings_are_not_shown(refused, monkeypatch, text):
    monkeypatch.setenv("SECRET", CANARY * 3)
    assert CANARY not in refused(text)


@pytest.mark.usefixtures("registered")
def test_parameters_of_others_are_their_own(factory):
    @register_store
    class Theirs(DictStore):
        def __init__(self, client: str = "", policy: dict | None = None, retry: dict | None = None, clock=None):
            super().__init__()
            self.given = (client, policy, retry, clock)

    text = "a: {type: Theirs, config: {client: abc, policy: {mode: strict}, retry: {tries: 3}, clock: wall}}"
    assert factory(text).build().given == ("abc", {"mode": "strict"}, {"tries": 3}, "wall")


@pytest.mark.usefixtures("registered")
def test_parameters_that_are_passed_on_are_judged_as_where_they_arrive(factory, refused):
    @register_store
    class Mine(S3Store):
        def __init__(self, **options):
            super().__init__("bucket", anonymous=True, **options)

    @register_store
    class Loose(DictStore):
        def __init__(self, **options):
            super().__init__()
            self.options = options

    @register_store
    class Patient(DictStore):
        def __init__(self, policy: Policy | None = None):
            super().__init__()
            self.policy = policy

    assert factory("a: {type: Mine, config: {retry: {tries: 3}}}").build().name == "s3://bucket"
    assert "a retry policy has tries" in refused("a: {type: Mine, config: {retry: {tries: 0}}}")
    assert factory("a: {type: Patient, config: {policy: {tries: 3}}}").build().policy.tries == 3
    assert factory("a: {type: Loose, config: {client: abc}}").build().options == {"client": "abc"}
    assert "'client': it is an object" in refused("a: {type: BucketStore, config: {bucket_name: b, client: abc}}")
    said = refused("a: {type: RetryingStore, base: m, config: {retry_on: x}}")
    assert "'retry_on': it is an object of Python" in said


@pytest.mark.parametrize(
    "text",
    [
        "a: {type: location, config: {url: 'config://stores.yaml#a'}}",
        "a: {type: location, config: {url: 'config://stores.yaml'}}",
        "a: {type: ReadonlyStore, base: b}\n  b: {type: location, config: {url: 'config://./stores.yaml#a'}}",
        "a: {type: location, config: {url: 'config://stores.yaml#b'}}\n  b: {type: ReadonlyStore, base: a}",
        "a: {type: location, config: {url: 'config://${ELSEWHERE}#a'}}",
    ],
)
def test_a_location_that_leads_back_is_a_circle(refused, factory, tmp_path, monkeypatch, capsys, text):
    other = tmp_path / f"{CANARY}.yaml"
    other.write_text("stores: {a: {type: location, config: {url: 'config://stores.yaml#a'}}}\nmain: a\n")
    monkeypatch.setenv("ELSEWHERE", other.name)
    said = refused(text)
    assert "Recursive store definition found" in said
    assert said.count("Recursive") == 1
    assert "parameter 'url'" in said
    assert all("Recursive" in str(problem) for problem in factory(text).problems())
    assert cli.run(["config", "check", "stores.yaml"]) == 2
    assert "Recursive store definition found" in capsys.readouterr().err
    # And it leaves nothing behind.
    assert isinstance(factory("a: {type: location, config: {url: 'config://stores.yaml#m'}}").build(), MemoryStore)
    with pytest.raises(ConfigError, match="no store"):
        open_store("config://stores.yaml#nowhere")
