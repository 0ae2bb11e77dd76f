"""A canary in every parameter of every type that a configuration may name: shown nowhere.

The types and their parameters are found by reflection, so a new one is tested as soon as it is registered. A parameter
is a secret unless it is listed here as one that a store shows on purpose.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback

import pytest

import holdfast
from holdfast import StoreFactory, cli, registry
from holdfast.config.values import parameters
from holdfast.errors import ConfigError

#: Text, base64 and 256 bits at once, so that it passes for a password as well as for a key.
CANARY = "CANARY7f3a9e55d1".ljust(43, "A") + "="
NOWHERE = "http://127.0.0.1:9"

#: What tells where objects lie or what they are called is shown by stores (and never by errors of a configuration).
SHOWN = {
    *("bucket", "bucket_name", "container", "endpoint", "name", "path", "prefix", "region", "root", "root_path"),
    *("account", "store_name", "separator", "context", "active", "pattern", "encoding", "storage_class", "acl"),
    *("kms_key_id", "encryption", "user_project", "tags", "s3_url", "policy", "retry", "routes", "identity", "client"),
    *("revalidate", "compression", "transformer", "errors"),
    "objects",  # a DictStore pickles with what it holds
}
SERVICE = {"type": "service_account", "client_email": "r@x", "private_key": CANARY, "token_uri": NOWHERE}
#: In what form a parameter takes a secret, where that is not plain text.
FORMS = {
    ("S3Store", "secrets"): {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": CANARY},
    ("AzureStore", "secrets"): {"AZURE_STORAGE_ACCOUNT_KEY": CANARY},
    ("AzureStore", "sas_token"): f"sv=2021&sig={CANARY}",
    ("GoogleStore", "secrets"): SERVICE,
    ("HttpStore", "base_url"): f"http://me:{CANARY}@127.0.0.1:9/data",
    ("location", "url"): f"http://me:{CANARY}@127.0.0.1:9/data",
    ("EncryptingStore", "keys"): {"main": CANARY},
}
#: What must be there beside it.
PAIR = {"access_key_id": "AK", "secret_access_key": "SK"}
BESIDE = {
    "S3Store": {"bucket": "bucket"},
    ("S3Store", "secret_access_key"): {"access_key_id": "AK"},
    ("S3Store", "access_key_id"): {"secret_access_key": "SK"},
    ("S3Store", "session_token"): PAIR,
    "AzureStore": {"container": "box", "account": "me"},
    "GoogleStore": {"bucket": "bucket"},
    "BucketStore": {"bucket_name": "bucket", "s3_url": NOWHERE, "s3_access_key": "AK", "s3_secret_key": "SK"},
    "HttpStore": {"base_url": NOWHERE},
    "location": {"url": "mem://canaries"},
    "EncryptingStore": {"keys": {"main": CANARY}},
}
#: These hold secrets and must have been built with them, or nothing was tried.
BUILT = {
    *FORMS,
    *(("S3Store", name) for name in ("secret_access_key", "session_token", "access_key_id", "sse_customer_key")),
    *(("AzureStore", "account_key"), ("GoogleStore", "token")),
    *(("BucketStore", "s3_access_key"), ("BucketStore", "s3_secret_key")),
}


def every_parameter():
    """Each type that a configuration may name, with each of its parameters."""
    for kind in sorted(name for name in registry._BUILT_IN if name[0].isupper()):
        for parameter in parameters(registry.store_class(kind)) or ():
            yield kind, parameter
    for parameter in ("url", "secrets", "secret_access_key", "account_key", "token"):
        yield "location", parameter


EVERY = list(every_parameter())


def described(kind, parameter):
    """The stores with the canary in that parameter, as a document."""
    config = {**BESIDE.get(kind, {}), **BESIDE.get((kind, parameter), {})}
    config[parameter] = FORMS.get((kind, parameter), CANARY)
    main = {"type": kind, "config": config}
    wrapped = {"store", "main_store", "cache_store", "children"}.intersection(
        [] if kind == "location" else parameters(registry.store_class(kind)) or ()
    )
    if wrapped:
        bases = {"children": ["one", "two"], "store": "one", "main_store": "one", "cache_store": "two"}
        main["base"] = {name: bases[name] for name in wrapped if name != parameter}
    return {"stores": {"one": {"type": "MemoryStore"}, "two": {"type": "MemoryStore"}, "x": main}, "main": "x"}


def as_toml(document):
    def inline(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(name)} = {inline(item)}" for name, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return json.dumps(value)

    return f'main = "x"\nstores = {inline(document["stores"])}\n'


def shown_by(store):
    """Everything that a store says of itself, alone and in a stack."""
    for told in (store, holdfast.ReadonlyStore(store), holdfast.LoggingStore(store)):
        yield from (repr(told), str(told), told.name)
        try:
            yield pickle.dumps(told).decode("latin-1")
        except TypeError as error:
            yield str(error)
    for wrong in (None, ""):
        try:
            store.put(wrong, b"1")
        except Exception as error:
            yield "".join(traceback.format_exception(error)) + pickle.dumps(error).decode("latin-1")


@pytest.mark.parametrize("form", ["yaml", "toml"])
@pytest.mark.parametrize(("kind", "parameter"), EVERY, ids=lambda value: value)
def test_no_parameter_is_shown(kind, parameter, form, tmp_path, monkeypatch, capsysbinary, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    document = described(kind, parameter)
    path = tmp_path / f"stores.{form}"
    path.write_text(json.dumps(document) if form == "yaml" else as_toml(document))
    factory = StoreFactory(path)
    said = [repr(factory), repr(factory.definitions), pickle.dumps(factory).decode("latin-1")]
    for problem in factory.problems():
        said += ["".join(traceback.format_exception(problem)), pickle.dumps(problem).decode("latin-1")]
    for action in ("check", "show"):
        cli.run(["config", action, str(path)])
    captured = capsysbinary.readouterr()
    said += [captured.out.decode(), captured.err.decode()]
    built = False
    try:
        with factory.build() as store:
            built = True
            told = list(shown_by(store))
    except ConfigError as error:
        told = ["".join(traceback.format_exception(error)), pickle.dumps(error).decode("latin-1")]
    if parameter not in SHOWN or not built:
        said += [*told, caplog.text]
    assert not [text for text in said if CANARY[:12].lower() in text.lower()]
    assert built or (kind, parameter) not in BUILT


def test_the_parameters_that_hold_secrets_are_there():
    assert set(EVERY) >= BUILT
