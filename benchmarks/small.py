"""In one process: many small reads, the price of a layer, and reads of local files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.data import Tree, file_system, small_files
from benchmarks.measure import Setting, alternate, repeat, worker
from benchmarks.processes import ANYBODY, environment
from benchmarks.results import Bound, Comparison, Row
from holdfast import copy_objects, open_store
from tests.servers import Nginx

BUCKET = "bucket"
OBJECT_SIZE = 4096


class _Bench:
    """A tree of small objects, behind nginx or not, and the workers that read it."""

    def __init__(self, setting: Setting, endpoint: str, tree: Tree) -> None:
        self.setting = setting
        self.tree = tree
        self.env = environment(setting.directory, ANYBODY)
        self.address = {"url": f"s3://{endpoint}/{BUCKET}", "endpoint": endpoint, "bucket": BUCKET}
        # cloud-files takes nginx's ETags for checksums that do not match: it gets the same files without them.
        self.address["url_without_etags"] = f"s3://{endpoint}/no-etag/{BUCKET}"

    def worker(self, subject: str, items: int | None = None) -> Any:
        """A worker that reads the first so many objects of the tree, or all."""
        keys = self.tree.keys[:items]
        moves = {"items": len(keys), "nbytes": len(keys) * OBJECT_SIZE}
        arguments = {**self.address, "root": str(self.tree.root), "keys": keys, **moves}
        return worker(subject, arguments, self.env, self.setting.directory / f"{subject}.log")

    def compare(self, ours: str, theirs: str, items: int | None = None) -> tuple[list[float], list[float]]:
        """Seconds for each object: ours of the whole tree, theirs of the first so many."""
        with self.worker(ours) as our_measure, self.worker(theirs, items) as their_measure:
            return alternate(our_measure, their_measure, self.setting.rounds)


def _tree(setting: Setting) -> Tree:
    return small_files(setting.directory / "web" / BUCKET, setting.size(5000, 200), OBJECT_SIZE, OBJECT_SIZE)


def small_get(setting: Setting) -> Iterator[Row]:
    """Bulk reads of small objects over S3, beside boto3, cloud-files and obstore itself."""
    tree = _tree(setting)
    rivals = (
        ("get-boto3", "boto3, 20 threads", setting.size(1000, 50), 15.0),
        ("get-cloudfiles", "cloud-files, 20 threads, no ETags", setting.size(1000, 50), 15.0),
        ("get-obstore", "bare obstore, 16 threads", tree.items, 0.9),
    )
    with Nginx(setting.directory / "nginx", tree.root.parent) as server:
        bench = _Bench(setting, server.endpoint, tree)
        for subject, rival, items, target in rivals:
            ours, theirs = bench.compare("get-holdfast", subject, items)
            fewer = f" (theirs: {items:,})" if items != tree.items else ""
            what = f"GET {tree.items:,} x 4 KiB{fewer}, CloudFiles.get, time per object"
            yield Comparison(what, "nginx, S3 path style", rival, ours, theirs, "us", target)


def layers(setting: Setting) -> Iterator[Row]:
    """What five forwarding wrappers cost, for each of them."""
    tree = _tree(setting)
    what = "a forwarding wrapper in a stack of five, per GET of 4 KiB"
    with Nginx(setting.directory / "nginx", tree.root.parent) as server:
        bench = _Bench(setting, server.endpoint, tree)
        for subject, where in (("layers-serial", "memory, one by one"), ("layers-bulk", "nginx, bulk")):
            with bench.worker(subject, setting.size(1000, 50)) as measure:
                yield Bound(what, where, repeat(measure, setting.rounds), "us", 3e-6)


def local_read(setting: Setting) -> Iterator[Row]:
    """Reads of local files, beside the built-in open."""
    foreign = _tree(setting)
    own = Tree(setting.directory / "own", foreign.keys, foreign.nbytes)
    for _ in copy_objects(open_store(str(foreign.root)), open_store(str(own.root)), [(key, key) for key in own.keys]):
        pass
    own.verify(own.root)
    for subject, tree, how, target in (
        ("read-file-store", own, "written by Holdfast, file store, one by one", 1.0),
        ("read-file-store", foreign, "written by others, file store, one by one", 1.0),
        ("read-bulk", own, "written by Holdfast, CloudFiles.get of a list", None),
    ):
        ours, theirs = _Bench(setting, "http://127.0.0.1", tree).compare(subject, "read-open")
        what = f"read {tree.items:,} local files of 4 KiB {how}"
        yield Comparison(what, file_system(tree.root), "open(path, 'rb').read()", ours, theirs, "us", target)
