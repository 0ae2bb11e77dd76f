"""Programs that import the originals run on Holdfast once somebody has installed it for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from holdfast import ConfigError, compat

PROGRAM = """
import cloudfiles
import cloudfiles.paths
from cloudfiles import CloudFiles, CloudFile, dl
from cloudfiles.exceptions import DecompressionError
from cloudfiles.lib import mkdir
from cloudvolume import Storage
from cloudvolume.storage import SimpleStorage
import pickle, sys

cf = CloudFiles(sys.argv[1])
cf.puts([("a", b"1"), ("b", b"2")], compress="gzip")
assert cf.get(["a", "b"], return_dict=True) == {"a": b"1", "b": b"2"}
assert pickle.loads(pickle.dumps(cf)).get("a") == b"1"
with Storage(sys.argv[1]) as stor:
    stor.put_file("c", b"3")
assert CloudFile(sys.argv[1] + "/c").get() == b"3"
assert cloudfiles.paths.extract("gs://b/x").bucket == "b"
assert cf.get(["a", "b"], parallel=2)[0]["content"] == b"1"
print(CloudFiles.__module__, SimpleStorage.__module__, cloudfiles.paths.__spec__.name)
"""
LOADER = """
import sys, warnings
warnings.simplefilter("error")
import holdfast.compat
holdfast.compat.install("cloudfiles", "cloudvolume")
import runpy
program = sys.argv.pop(1)
runpy.run_path(program, run_name="__main__")
"""


def test_an_unchanged_program_runs_on_holdfast(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-c", LOADER, str(tmp_path / "program.py"), f"file://{tmp_path}/root"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.split() == [
        "holdfast.compat.cloudfiles.cloudfiles",
        "holdfast.compat.cloudvolume.storage",
        "holdfast.compat.cloudfiles.paths",
    ]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_the_module_is_the_same_by_either_name_and_uninstalling_brings_the_original_back():
    done = run(
        "import holdfast.compat as c; c.install('cloudfiles'); import cloudfiles, cloudfiles.lib as a\n"
        "import holdfast.compat.cloudfiles.lib as b; assert a is b and cloudfiles is c.cloudfiles\n"
        "c.install('cloudfiles'); c.uninstall('cloudfiles')\n"
        "import sys; assert 'cloudfiles' not in sys.modules\n"
        "c.install('cloudvolume'); import cloudvolume; print(cloudvolume.__name__)"
    )
    assert (done.stdout, done.stderr) == ("holdfast.compat.cloudvolume\n", "")


def test_what_holdfast_does_not_have_is_an_import_error_and_never_the_original():
    done = run("import holdfast.compat as c; c.install('cloudfiles'); import cloudfiles.scheduler")
    assert "ModuleNotFoundError: Holdfast has no module that stands for 'cloudfiles.scheduler'" in done.stderr


def test_an_original_that_is_imported_already_is_told():
    done = run(
        "import sys, types; sys.modules['cloudfiles'] = types.ModuleType('cloudfiles')\n"
        "import holdfast.compat as c; c.install('cloudfiles')"
    )
    assert "imported already" in done.stderr


@pytest.mark.parametrize("name", ["nonsense", "_install", "../x", "cloudfiles.lib"])
def test_a_system_that_nothing_stands_for_is_told(name):
    with pytest.raises(ConfigError, match="no system"):
        compat.install(name)
