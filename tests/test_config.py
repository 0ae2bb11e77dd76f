"""Stores from YAML and TOML: what can be described, what is refused, and that no value is ever shown."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
import sys
import traceback
from pathlib import Path

import pytest

from holdfast import (
    CachingStore,
    CloudFiles,
    ConfigError,
    FilesystemStore,
    GzipStore,
    HashPrefixStore,
    IdentityStore,
    LoggingStore,
    MirroringStore,
    ReadonlyStore,
    Unsupported,
    cli,
    open_store,
    registry,
)
from holdfast.config import StoreFactory, register_store
from holdfast.stores.file import FileStore
from holdfast.stores.memory import MemoryStore

CANARY = "CANARY7f3a9e55d1"
_serial = itertools.count(1)

#: A read-only, logged, gzip-compressed, hash-prefixed bucket behind a disk cache, mirrored to another.
SENTENCE = """\
stores:
  one: {type: MemoryStore, config: {name: "${ONE}"}}
  two: {type: MemoryStore, config: {name: "${TWO:-config-two}"}}
  both: {type: MirroringStore, base: [one, two]}
  disk: {type: FileStore, config: {root: "${CACHE}/copies"}}
  cached: {type: CachingStore, base: {main_store: both, cache_store: disk}}
  hashed: {type: HashPrefixStore, base: cached}
  small: {type: GzipStore, base: hashed}
  logged: {type: LoggingStore, base: small, config: {store_name: bucket}}
  readonly: {type: ReadonlyStore, base: logged}
"""


@pytest.fixture
def write(tmp_path):
    """Write a configuration, and return its path."""

    def written(text, ending="yaml"):
        path = tmp_path / f"stores{next(_serial)}.{ending}"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return written


def refused(path, name=None):
    with pytest.raises(ConfigError) as raised:
        StoreFactory(path).build(name)
    assert str(raised.value).startswith(f"{path}: ")
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return str(raised.value).removeprefix(f"{path}: ")


def build(write, text, name=None):
    return StoreFactory(write(text)).build(name)


# ---------------------------------------------------------------------- the sentence
def use_the_sentence(readonly, writable, one, two, tmp_path, caplog):
    writable.put("a", b"hello")
    key = f"{hashlib.sha256(b'a').hexdigest()[:8]}/a"
    assert list(one.keys()) == list(two.keys()) == [key]
    assert one.get(key)[:2] == two.get(key)[:2] == b"\x1f\x8b"
    caplog.clear()
    with caplog.at_level("INFO"):
        assert readonly.get("a") == b"hello"
    assert any("bucket" in record.getMessage() for record in caplog.records)
    assert any((tmp_path / "copies").rglob("*")), "the disk cache holds a copy"
    with pytest.raises(Unsupported):
        readonly.put("b", b"1")
    one.delete(key)
    two.delete(key)
    assert not readonly.exists("a")


def test_the_sentence_in_ten_lines_of_yaml(write, tmp_path, monkeypatch, caplog):
    name = f"config-{next(_serial)}"
    for variable, value in {"ONE": f"{name}-1", "TWO": f"{name}-2", "CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(variable, value)
    factory = StoreFactory(write(SENTENCE))
    readonly = factory.build("readonly")
    one, two = MemoryStore(f"{name}-1"), MemoryStore(f"{name}-2")
    use_the_sentence(readonly, factory.build("logged"), one, two, tmp_path, caplog)


def test_the_sentence_in_six_lines_of_python(tmp_path, caplog):
    one, two = MemoryStore(), MemoryStore()
    cached = CachingStore(MirroringStore([one, two]), FileStore(tmp_path / "copies"))
    logged = LoggingStore(GzipStore(HashPrefixStore(cached)), "bucket")
    readonly = ReadonlyStore(logged)
    use_the_sentence(readonly, logged, one, two, tmp_path, caplog)


# ---------------------------------------------------------------------- what can be described
def test_toml_says_the_same(write):
    text = (
        '[stores.raw]\ntype = "MemoryStore"\n[stores.small]\ntype = "GzipStore"\nbase = "raw"\nconfig = {level = 9}\n'
    )
    store = StoreFactory(write('main = "small"\n' + text, "toml")).build()
    assert isinstance(store, GzipStore)
    store.put("a", b"1")
    assert store.get("a") == b"1"


def test_every_registered_name_is_a_store_class():
    for name in registry._BUILT_IN:
        registry.store_class(name)


def test_a_shared_base_is_one_object_and_building_twice_makes_two(write):
    factory = StoreFactory(
        write(
            "stores:\n  raw: {type: MemoryStore}\n  a: {type: PrefixStore, base: raw, config: {prefix: a/}}\n"
            "  b: {type: PrefixStore, base: raw, config: {prefix: b/}}\n"
            "  both: {type: RegexRoutingStore, base: {store: a, routes: {'.*b': b}}}\nmain: both\n"
        )
    )
    first, second = factory.build(), factory.build()
    assert first.store.store is first.routes[0][1].store
    assert first.store.store is not second.store.store
    first.put("xb", b"1")
    assert list(first.store.store.keys()) == ["b/xb"]


def test_variables_inside_strings_are_filled_in_after_parsing(write, monkeypatch, tmp_path):
    monkeypatch.setenv("PART", "a: b # {")
    monkeypatch.setenv("EMPTY", "")
    text = (
        "stores:\n  f: {type: FileStore, config: {root: '"
        + str(tmp_path)
        + "/x${PART}y${EMPTY:-d}$${PART}${EMPTY}${NOT_THERE:-}'}}\nmain: f\n"
    )
    build(write, text).put("k", b"1")
    assert (tmp_path / "xa: b # {yd${PART}" / "k").read_bytes() == b"1"


def test_variables_become_numbers_where_numbers_belong(write, monkeypatch):
    monkeypatch.setenv("TTL", "7.5")
    text = (
        "stores:\n  a: {type: MemoryStore}\n  b: {type: MemoryStore}\n  c: {type: CachingStore, "
        "base: {main_store: a, cache_store: b}, config: {ttl: '${TTL}', max_bytes: '${MAX:-100}', revalidate: ttl}}\n"
        "main: ${MAIN:-c}\n"
    )
    store = build(write, text)
    assert (store.ttl, store.max_bytes) == (7.5, 100)
    assert "parameter 'ttl': it is a number" in refused(write(text.replace("'${TTL}'", "'7.5'")))


def test_retry_policies_are_described(write):
    text = "stores: {s: {type: S3Store, config: {bucket: bucket, anonymous: true, retry: {tries: %s}}}}\nmain: s\n"
    build(write, text % 3).close()
    assert "store 's': parameter 'retry': a retry policy has tries >= 1" in refused(write(text % 0))
    assert "store 's': parameter 'retry': a retry policy has tries >= 1" in refused(write(text % "many"))


AWAITED = """
stores:
  plain: {type: MemoryStore}
  database: {type: AsyncSqliteStore, config: {path: "${DIR}/objects.db"}}
  small: {type: AsyncGzipStore, base: database}
  both: {type: AsyncFanoutStore, base: [small, plain]}
  cached: {type: AsyncCachingStore, base: {main_store: both, cache_store: plain}}
  wrong: {type: PrefixStore, base: database, config: {prefix: p/}}
main: cached
"""


def test_stores_to_await_are_types(write, tmp_path, monkeypatch):
    monkeypatch.setenv("DIR", str(tmp_path))
    factory = StoreFactory(write(AWAITED))

    async def main():
        async with factory.build("both") as store:
            await store.put("a", b"hello")
            assert await store.get("a") == b"hello"
        async with factory.build("small") as store:
            assert await store.get("a") == b"hello"

    asyncio.run(main())
    assert type(factory.build()).__name__ == "AsyncCachingStore"
    (problem,) = factory.problems()
    assert "store 'wrong': parameter 'base': its base is to be awaited" in str(problem)
    assert "AsyncPrefixStore" in str(problem)
    assert open_store(f"config://{factory.path}#small").get("a") == b"hello"


def test_names_of_stores_to_await_are_taken():
    with pytest.raises(ConfigError, match="built in"):
        register_store("AsyncGzipStore")(MemoryStore)


def test_a_location_is_a_type(write):
    name = f"config-{next(_serial)}"
    store = build(write, f"stores: {{m: {{type: location, config: {{url: 'mem://{name}/run1'}}}}}}\nmain: m\n")
    store.put("a", b"1")
    assert open_store(f"mem://{name}").get("run1/a") == b"1"


def test_own_stores_are_registered(write):
    name = f"Own{next(_serial)}"

    @register_store(name)
    class Mine(IdentityStore):
        pass

    store = build(write, f"stores: {{r: {{type: MemoryStore}}, m: {{type: {name}, base: r}}}}\nmain: m\n")
    assert type(store) is Mine
    with pytest.raises(ConfigError, match="built in"):
        register_store("GzipStore")(Mine)


def test_classes_by_path_must_be_allowed(write, tmp_path, monkeypatch):
    (tmp_path / "pathed_store.py").write_text(
        "from holdfast.stores.memory import MemoryStore\nclass Pathed(MemoryStore):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write("stores: {a: {type: 'pathed_store:Pathed'}, b: {type: pathed_store.Pathed}}\nmain: a\n")
    for name in ("a", "b"):
        assert "parameter 'type': Unknown store type: pathed_store" in refused(path, name)
    assert "pathed_store" not in sys.modules
    factory = StoreFactory(path, allow_classes=["pathed_store:Pathed"])
    assert type(factory.build("a")).__name__ == type(factory.build("b")).__name__ == "Pathed"


def test_installed_packages_offer_types(write, tmp_path, monkeypatch):
    (tmp_path / "offering_store.py").write_text("from holdfast.stores.memory import MemoryStore as Offering\n")
    metadata = tmp_path / "offering_types-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: offering-types\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[holdfast.stores]\nOffering = offering_store:Offering\n")
    path = write("stores: {a: {type: Offering}}\nmain: a\n")
    assert "Unknown store type: Offering" in refused(path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert isinstance(StoreFactory(path).build(), MemoryStore)


def test_checking_leaves_no_trace(write, tmp_path):
    places = {"FileStore": "root", "HashdirStore": "root_path", "SqliteStore": "path", "ZipStore": "path"}
    stores = [f"{kind}: {{type: {kind}, config: {{{name}: {tmp_path}/{kind}}}}}" for kind, name in places.items()]
    path = write(f"stores: {{{', '.join(stores)}}}")
    assert StoreFactory(path).problems() == []
    assert [str(entry) for entry in tmp_path.iterdir()] == [path]


def test_what_was_made_is_closed_when_the_rest_cannot_be(write):
    closed = []
    name = f"Own{next(_serial)}"

    @register_store(name)
    class Closing(FilesystemStore):
        def close(self):
            closed.append(self)

    refused(write(
        f"stores: {{r: {{type: {name}, config: {{root_path: .}}}}, m: {{type: MirroringStore, base: [r, nope]}}}}\n"
        "main: m\n"
    ))  # fmt: skip
    assert len(closed) == 1


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stores: {a: {type: Nope}}\nmain: a", "store 'a': parameter 'type': Unknown store type: Nope"),
        ("stores: {a: {type: MemoryStore, config: {nme: x}}}\nmain: a", "'a': parameter 'nme': MemoryStore has no"),
        ("stores: {a: {type: S3Store}}\nmain: a", "store 'a': parameter 'bucket': it is missing"),
        ("stores: {a: {type: GzipStore}}\nmain: a", "store 'a': parameter 'base': it is missing"),
        ("stores: {a: {type: MemoryStore, config: {name: '${NOT_SET}'}}}\nmain: a",
         "store 'a': parameter 'config.name': Environment variable 'NOT_SET' not found"),
        ("stores: {a: {type: MemoryStore, config: {name: '${NOT SET}'}}}\nmain: a", "'config.name': '${' begins"),
        ("stores: {a: {type: GzipStore, base: b}, b: {type: GzipStore, base: a}}\nmain: a",
         "store 'b': parameter 'base': Recursive store definition found -- a mentioned multiple times: a -> b -> a"),
        ("stores: {a: {type: GzipStore, base: a}}\nmain: a", "Recursive store definition found -- a mentioned"),
        ("stores: {a: {type: GzipStore, base: c}}\nmain: a", "store 'a': parameter 'base': there is no store 'c'"),
        ("stores: {a: {type: MemoryStore}}\nmain: b", "there is no store 'b': there are a"),
        ("stores: {a: {type: MemoryStore}}", "there is no 'main'"),
        ("stores: {a: {base: b}}\nmain: a", "store 'a': parameter 'type': it has no type"),
        ("stores: {a: {type: MemoryStore, options: {}}}\nmain: a", "store 'a': parameter 'options': unknown"),
        ("stores: {a: {type: MemoryStore, base: b}, b: {type: MemoryStore, base: [1]}}", "store 'b': parameter 'base'"),
        ("stores: {a: {type: MemoryStore}}\nmain: a\nmian: b", "parameter 'mian': unknown"),
        ("stores: {a: {type: KeyValidatingStore, base: b, config: {validator: x}}, b: {type: MemoryStore}}\nmain: a",
         "store 'a': parameter 'validator': it is an object of Python"),
        ("stores: {a: {type: MemoryStore, config: {name: x, name: y}}}\nmain: a",
         "store 'a': parameter 'config.name': it stands there twice (a duplicate key) at line 1, column"),
        ("stores:\n  a: {type: MemoryStore}\n  a: {type: MemoryStore}\nmain: a",
         "store 'a': it stands there twice (a duplicate key) at line 3"),
        ("stores: &s {a: *s}\n", "store 'a': an alias leads back"),
        ("stores: !!python/object/apply:os.system ['true']\n", "no plain YAML at line 1"),
        ("- a\n", "the file must be a mapping"),
        ("", "the file must be a mapping"),
        ("a: [", "no plain YAML at line 1"),
        ("[" * 5000, "nested too deeply"),
        (b"\xff: a", "byte 0 is no UTF-8"),
    ],
)  # fmt: skip
def test_mistakes_name_file_store_and_parameter(write, text, said, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    assert said in refused(write(text))


def test_toml_mistakes_are_told_by_place(write):
    assert refused(write('main = "a"\nmain = "b"\n', "toml")).startswith("no TOML at line 2")
    with pytest.raises(ConfigError, match="ends in"):
        StoreFactory("stores.json")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        StoreFactory("missing.yaml")


def bomb(operator):
    lines = ["a0: &a0 {k0: 1, l0: 1}"]
    lines += [f"a{n}: &a{n} {operator(n - 1, n)}" for n in range(1, 40)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "operator",
    [lambda old, new: f"[*a{old}, *a{old}]", lambda old, new: f"{{k{new}: *a{old}, <<: [*a{old}, *a{old}]}}"],
    ids=["lists", "merges"],
)
def test_alias_bombs_do_not_go_off(write, operator):
    assert "aliases written out" in refused(write(bomb(operator)))


def test_what_is_too_much_is_refused(write):
    layers = [f"s{n}: {{type: IdentityStore, base: s{n + 1}}}" for n in range(200)]
    path = write(f"stores: {{{', '.join(layers)}, s200: {{type: MemoryStore}}}}")
    assert "more than 100 stores lie upon each other" in refused(path, "s0")
    StoreFactory(path).build("s150")
    assert "larger than" in refused(write("#" * (1 << 20) + "\n"))


def test_the_documented_file_is_sound(write, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", CANARY)
    monkeypatch.setenv("KEY_ID", "id")
    text = (Path(__file__).parent.parent / "docs" / "wrappers.md").read_text()
    [documented] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    with StoreFactory(write(documented)).build() as store:
        assert isinstance(store, ReadonlyStore)


# ---------------------------------------------------------------------- nothing is shown
FIELDS = {
    "S3Store": "bucket endpoint secrets secret_access_key session_token verify connect_timeout retry tags acl nope "
    "sse_customer_key encryption",
    "AzureStore": "container account_key sas_token endpoint credential",
    "GoogleStore": "bucket service_account token",
    "BucketStore": "s3_secret_key s3_url",
    "HttpStore": "base_url forbidden",
    "location": "url secret",
    "ZipStore": "path compression",
    "SqliteStore": "path timeout",
    "MemoryStore": "name nope",
    "CachingStore": "revalidate identity",
    "CompressingStore": "encoding level",
    "RegexValidatingStore": "pattern",
    "HashPrefixStore": "hash_length separator",
    "EncryptingStore": "keys active",
    "KeyValidatingStore": "validator",
    "TextEncodingStore": "encoding",
    "MirroringStore": "policy",
    "RetryingStore": "policy",
}
NEEDED = {
    "S3Store": {"bucket": "bucket"},
    "AzureStore": {"container": "box", "account": "me"},
    "GoogleStore": {"bucket": "b"},
    "EncryptingStore": {"keys": "AAAA"},
    "ZipStore": {"path": "x.zip"},
    "SqliteStore": {"path": "x.db"},
    "BucketStore": {"bucket_name": "bucket"},
}


@pytest.mark.parametrize(
    ("kind", "parameter"), [(kind, name) for kind, names in FIELDS.items() for name in names.split()]
)
@pytest.mark.parametrize(
    "value", [CANARY, f"!{CANARY}\\n('[", f"x://user:{CANARY}@h?{CANARY}"], ids=["text", "odd", "url"]
)
@pytest.mark.parametrize("shape", ["%s", "[%s]", "{inner: %s}"], ids=["plain", "list", "mapping"])
@pytest.mark.parametrize("variable", [True, False], ids=["variable", "written"])
def test_no_value_is_ever_shown(write, monkeypatch, kind, parameter, value, shape, variable):
    monkeypatch.setenv("VALUE", value)
    base = {"CachingStore": "{main_store: a, cache_store: b}", "MirroringStore": "[a, b]"}.get(kind, "a")
    wrapper = registry._BUILT_IN.get(kind, "").startswith("holdfast.wrap")
    given = {**NEEDED.get(kind, {}), parameter: "@"}
    written = json.dumps("${VALUE}" if variable else value)
    config = json.dumps(given).replace('"@"', shape % written)
    path = write(
        f"stores:\n  a: {{type: MemoryStore}}\n  b: {{type: MemoryStore}}\n"
        f"  x: {{type: {kind}, config: {config}{f', base: {base}' if wrapper else ''}}}\nmain: x\n"
    )
    factory = StoreFactory(path)
    shown = [repr(factory), repr(factory.definitions), *map(str, factory.problems())]
    try:
        factory.build().close()
    except ConfigError as error:
        shown += ["".join(traceback.format_exception(error)), repr(error.__context__), repr(error.cause)]
        shown.append(str(error))
    assert CANARY.lower() not in "".join(shown).lower()


@pytest.mark.parametrize(
    "text",
    [f"a: [{CANARY}", f"a: *{CANARY}", f"a: !{CANARY} b", f"%{CANARY}\n--- {{", f"a: '{CANARY}\n", f"a: {CANARY}: b",
     f"main: ['{CANARY}']", f"stores: {{a: '{CANARY}'}}", f"stores: {{a: {{type: ['{CANARY}']}}}}",
     f"stores: {{a: {{type: '${{X:-{CANARY}}}'}}}}\nmain: a",
     f"stores: {{a: {{type: GzipStore, base: '${{X:-{CANARY}}}'}}}}\nmain: a",
     f"stores: {{}}\nmain: ${{X:-{CANARY}}}"],
)  # fmt: skip
def test_mistakes_in_the_file_quote_no_values(write, text):
    with pytest.raises(ConfigError) as raised:
        StoreFactory(write(text)).build()
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_short_values_are_hidden_as_python_shows_them_too(write):
    path = write('stores: {a: {type: MemoryStore}, b: {type: CompressingStore, base: a, config: {encoding: "p\\tw"}}}')
    said = refused(path, "b")
    assert "parameter 'encoding'" in said
    assert "p\\tw" not in said


def test_a_password_is_hidden_outside_of_its_url_too(write):
    name = f"Own{next(_serial)}"

    @register_store(name)
    class Talking(FilesystemStore):
        def __init__(self, address):
            raise RuntimeError(f"no login with {address.split('@')[0].rpartition(':')[2]}")

    path = write(f"stores: {{a: {{type: {name}, config: {{address: 'http://me:pw4711@host/'}}}}}}\nmain: a\n")
    assert refused(path) == f"store 'a': parameter 'address': {name} cannot be made so: no login with ***"


def test_a_message_with_a_part_of_a_value_is_not_passed_on(write):
    name = f"Own{next(_serial)}"

    @register_store(name)
    class Quoting(FilesystemStore):
        def __init__(self, token):
            raise RuntimeError(f"a token does not begin with {token[:10]}")

    path = write(f"stores: {{a: {{type: {name}, config: {{token: {CANARY}}}}}}}\nmain: a\n")
    assert refused(path).endswith(
        f"parameter 'token': {name} cannot be made so: RuntimeError about one of its parameters"
    )


# ---------------------------------------------------------------------- locations
def test_a_configured_store_is_a_location(write, tmp_path, monkeypatch):
    name = f"config-{next(_serial)}"
    path = write(
        f"stores: {{raw: {{type: MemoryStore, config: {{name: {name}}}}}, z: {{type: GzipStore, base: raw}}}}\n"
        "main: z\n"
    )
    files = CloudFiles(f"config://{path}#z/run1")
    files.put("a", b"hello")
    assert files.cloudpath == f"config://{path}#z/run1"
    assert MemoryStore(name).get("run1/a")[:2] == b"\x1f\x8b"
    monkeypatch.chdir(tmp_path)
    relative = path.rpartition("/")[2]
    assert (
        open_store(f"config://{relative}").get("run1/a")
        == open_store(f"config://{relative}#/run1").get("a")
        == b"hello"
    )
    with pytest.raises(ConfigError, match="no store 'nope'"):
        open_store(f"config://{relative}#nope")
    with pytest.raises(ConfigError, match="config://FILE"):
        open_store("config://stores.json#a")
    with pytest.raises(ConfigError, match="no option endpoint"):
        open_store(f"config://{relative}", endpoint="x")


# ---------------------------------------------------------------------- the command
def run(capsysbinary, *arguments):
    capsysbinary.readouterr()
    code = cli.run(arguments)
    captured = capsysbinary.readouterr()
    return code, captured.out.decode(), captured.err.decode()


def test_config_check_tells_of_every_mistake_once(write, capsysbinary, monkeypatch):
    monkeypatch.setenv("SECRET", CANARY)
    good = write("stores: {a: {type: MemoryStore}}\nmain: a\n")
    assert run(capsysbinary, "config", "check", good) == (0, f"{good}: 1 store, nothing wrong\n", "")
    bad = write(
        "stores: {a: {type: Nope}, b: {type: GzipStore, base: a}, c: {type: S3Store, config: {bucket: '/${SECRET}'}}}\n"
        "main: d\n"
    )
    code, out, err = run(capsysbinary, "config", "check", bad)
    assert (code, out, len(err.splitlines())) == (2, "", 3)
    assert "Unknown store type: Nope" in err
    assert "store 'c': parameter 'bucket'" in err
    assert "no store 'd'" in err
    assert CANARY not in err


def test_config_show_draws_the_graph_without_values(write, capsysbinary, monkeypatch):
    monkeypatch.setenv("ONE", CANARY)
    monkeypatch.setenv("CACHE", CANARY)
    code, out, err = run(capsysbinary, "config", "show", write(SENTENCE + "main: logged\n"))
    assert (code, err) == (0, "")
    assert [line.strip("│├└─ ") for line in out.splitlines()[1:4]] == [
        "logged: LoggingStore(store_name=***) (main)", "small: GzipStore()", "hashed: HashPrefixStore()",
    ]  # fmt: skip
    assert "one: MemoryStore(name=***)" in out
    assert "logged (the same as above)" in out
    assert CANARY not in out
    circle = write("stores: {a: {type: GzipStore, base: b}, b: {type: GzipStore, base: a}, c: {type: X, base: nope}}")
    code, out, err = run(capsysbinary, "config", "show", circle)
    assert (code, err) == (0, "")
    assert "a (the same as above)" in out
    assert "nope: not in this file" in out


def test_commands_take_configured_locations(write, tmp_path, capsysbinary):
    path = write(
        f"stores: {{raw: {{type: FileStore, config: {{root: {tmp_path}/raw}}}}, z: {{type: GzipStore, base: raw}}}}\n"
    )
    (tmp_path / "file").write_bytes(b"hello")
    assert run(capsysbinary, "cp", str(tmp_path / "file"), f"config://{path}#z/run1/file")[0] == 0
    assert (tmp_path / "raw" / "run1" / "file").read_bytes()[:2] == b"\x1f\x8b"
    assert run(capsysbinary, "cat", f"config://{path}#z/run1/file") == (0, "hello", "")
    assert run(capsysbinary, "ls", f"config://{path}#z/run1")[0] == 0
    assert run(capsysbinary, "ls", f"config://{path}#nope")[0] == 2


@pytest.mark.parametrize("kind", ["GzipStore", "CachingStore", "MirroringStore", "RegexRoutingStore"])
def test_what_is_made_of_stores_names_them_in_base(write, kind):
    parameter = {"GzipStore": "store", "CachingStore": "main_store", "MirroringStore": "children"}.get(kind, "routes")
    path = write(f"stores: {{a: {{type: MemoryStore}}, x: {{type: {kind}, config: {{{parameter}: a}}}}}}\nmain: x\n")
    assert refused(path) == f"store 'x': parameter '{parameter}': it is made of stores: name them in 'base'"
