"""Real servers on 127.0.0.1 for tests and benchmarks, each a context manager.

    with Moto(directory) as server:
        bucket = server.make_bucket()
        server.client().put_object(Bucket=bucket, Key="a", Body=b"1")

Every server gets free ports and a directory of its own, is ended by pid, and dies with the process that started it.
A program that is not installed raises `ServerMissing` with the line to type; one that does not come up raises
`ServerFailed` with the path and the end of its log.
"""

from tests.servers.azurite import Azurite
from tests.servers.ceph import Ceph
from tests.servers.gcs import Gcs
from tests.servers.nginx import Nginx
from tests.servers.process import Server, ServerFailed, ServerMissing, free_port
from tests.servers.redis import Redis
from tests.servers.s3 import Moto, Rclone, S3Server

__all__ = [
    "Azurite",
    "Ceph",
    "Gcs",
    "Moto",
    "Nginx",
    "Rclone",
    "Redis",
    "S3Server",
    "Server",
    "ServerFailed",
    "ServerMissing",
    "free_port",
]
