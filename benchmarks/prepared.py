"""nginx as an S3 service that has its answers ready, so that what is measured is the client."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import Tree
from holdfast.checksums import STAMP_NAME, stamp_of
from tests.servers import Nginx

#: Rows to a page of a listing, and keys to a request of deletes.
PAGE = 1000
#: So long (seconds) after its answer a request is surely logged.
SETTLE = 0.5
#: Its buckets: objects as Holdfast writes them, others with MD5s for ETags, a place for PUTs, a long listing, a place
#: for deletes.
BUCKETS = STAMPED, DIGESTS, DISCARD, LISTED, DELETED = ("stamped", "digests", "discard", "listed", "deleted")

MAPS = """\
map_hash_max_size 65536;
map_hash_bucket_size 128;
map $uri $md5 {{ include {directory}/md5s.map; }}
map $uri $stamp {{ include {directory}/stamps.map; }}
map $uri $coding {{ ~^/digests/(?<codec>gzip|br|zstd)/ $codec; }}
map $args $page {{ default 0; ~continuation-token=(?<token>[0-9]+) $token; }}
"""

# A POST for a static file is 405, which is where the prepared answer to every batch of deletes takes its place.
LOCATIONS = """\
location /digests/ {{
    alias {root}/; etag off; add_header ETag '"$md5"'; add_header Content-Encoding $coding;
}}
location /stamped/ {{ alias {root}/; etag off; add_header ETag '"$md5"'; add_header x-amz-meta-{stamp_name} $stamp; }}
location /discard/ {{ add_header ETag '"0"'; return 200; }}
location ~ ^/listed/?$ {{
    default_type application/xml;
    access_log {directory}/listed.log;
    root {directory}/pages;
    try_files /$page.xml =404;
}}
location ~ ^/deleted/?$ {{ error_page 405 =200 /deleted.xml; root {directory}/pages; try_files /deleted.xml =404; }}
location = /deleted.xml {{ root {directory}/pages; default_type application/xml; }}
"""


class Prepared(Nginx):
    """The buckets of this module, without storing or looking up anything.

    ``stamped`` and ``digests`` hold the objects of the tree (``digests`` says of those below ``gzip/``, ``br/`` and
    ``zstd/`` that they are encoded so), ``discard`` takes every PUT, ``listed`` lists so many keys of its own whatever
    is asked for, and ``deleted`` answers each batch of deletes as if it had held a thousand keys.
    """

    def __init__(self, directory: str | os.PathLike[str], tree: Tree, *, listed: int = 0) -> None:
        super().__init__(directory, tree.root)
        self._tree = tree
        self._listed = listed

    def start(self) -> None:
        """Prepare the answers, and serve them."""
        pages = self.directory / "pages"
        pages.mkdir(parents=True)
        where = {"directory": self.directory, "root": self.root, "stamp_name": STAMP_NAME}
        (self.directory / "prepared.http").write_text(MAPS.format(**where))
        (self.directory / "prepared.server").write_text(LOCATIONS.format(**where))
        with (self.directory / "md5s.map").open("w") as md5s, (self.directory / "stamps.map").open("w") as stamps:
            for key in self._tree.keys:
                data = (self.root / key).read_bytes()
                for bucket in (STAMPED, DIGESTS):
                    md5s.write(f"/{bucket}/{key} {hashlib.md5(data).hexdigest()};\n")
                stamps.write(f"/{STAMPED}/{key} {stamp_of(data)};\n")
        for number, page in enumerate(listing(self._listed)):
            (pages / f"{number}.xml").write_text(page)
        (pages / "deleted.xml").write_text(_deleted())
        super().start()

    def listing_requests(self) -> int:
        """How many requests for a listing there were until now."""
        return logged(self.directory / "listed.log")


def logged(log: Path) -> int:
    """How many requests nginx has logged there until now."""
    time.sleep(SETTLE)
    return len(log.read_bytes().splitlines())


def listed_key(number: int) -> str:
    """The key of a row of the listing, as it comes out of it."""
    return f"data/part {number // PAGE:03}/object-{number:07}.bin"


def listed_size(number: int) -> int:
    """The size that the row tells, in bytes."""
    return 1000 + number


def listing(count: int) -> Iterator[str]:
    """The pages of a ListObjectsV2 of so many keys, as Amazon writes them."""
    for start in range(0, count, PAGE):
        stop = min(start + PAGE, count)
        more = f"<NextContinuationToken>{stop // PAGE}</NextContinuationToken>" if stop < count else ""
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{LISTED}</Name><Prefix></Prefix>{more}<KeyCount>{stop - start}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
            f"<EncodingType>url</EncodingType><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
            f"{''.join(map(_row, range(start, stop)))}</ListBucketResult>"
        )


def _row(number: int) -> str:
    return (
        f"<Contents><Key>{listed_key(number).replace(' ', '+')}</Key>"
        f"<LastModified>2026-0{number % 9 + 1}-11T10:{number % 60:02}:07.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{listed_size(number)}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _deleted() -> str:
    rows = "".join(f"<Deleted><Key>gone/object-{number:05}</Key></Deleted>" for number in range(PAGE))
    name = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult {name}>{rows}</DeleteResult>'
