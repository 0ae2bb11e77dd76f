"""Bulk work under gevent, patched before anything else is imported; prints what a test compares."""

import sys

if sys.argv[2] == "patched":
    from gevent import monkey

    monkey.patch_all()

import gevent

from holdfast import CloudFiles, GreenStorage

cloudpath = sys.argv[1]
files = CloudFiles(cloudpath, green=True if sys.argv[2] == "plain" else None)
ticks = []
done = False


def tick():
    while not done:
        ticks.append(1)
        gevent.sleep(0.001)


ticker = gevent.spawn(tick)
contents = {f"k{number:04}": b"%d" % number * 100 for number in range(600)}
assert files.green
assert files.puts(contents.items(), compress="gzip") == 600
assert files.get(list(contents), return_dict=True) == contents
assert [row["path"] for row in files.get(iter(contents))] == list(contents)
assert files.exists(["k0001", "no"]) == {"k0001": True, "no": False}
assert sorted(files.list()) == sorted(contents)
assert files.get("k0007") == contents["k0007"]
assert all(job.get() == contents["k0003"] for job in [gevent.spawn(files.get, "k0003") for _ in range(8)])
assert files.get(list(contents), return_dict=True, parallel=2) == contents
assert files.delete(list(contents)) == 600
assert list(files) == []
with GreenStorage(cloudpath, n_threads=4) as stor:
    for path, content in contents.items():
        stor.put_file(path, content)
    assert stor.wait().pending == 0
    rows = stor.get_files(contents)
    assert {row["filename"]: row["content"] for row in rows} == contents
    stor.delete_files(list(contents)).wait()
assert list(files) == []
done = True
ticker.join()
print("ticks", len(ticks))
