"""nginx: plain HTTP with ranges and ETags, and locations that misbehave in one way each."""

from __future__ import annotations

import os
from pathlib import Path

from tests.servers.process import Server, free_port, http_answers

# Every location but the last three serves the same files as "/".
CONFIGURATION = """\
{user}
daemon off;
worker_processes 2;
worker_rlimit_nofile 65536;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    default_type application/octet-stream;
    client_body_temp_path {directory}/temporary/body;
    proxy_temp_path {directory}/temporary/proxy;
    fastcgi_temp_path {directory}/temporary/fastcgi;
    uwsgi_temp_path {directory}/temporary/uwsgi;
    scgi_temp_path {directory}/temporary/scgi;
    include {directory}/*.http;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location / {{ autoindex on; }}
        location /gzip-on-request/ {{ alias {root}/; gzip on; gzip_types *; gzip_min_length 1; }}
        location /encoded/ {{ alias {root}/; add_header Content-Encoding gzip; }}
        location /slow/ {{ alias {root}/; limit_rate 2m; }}
        location /no-etag/ {{ alias {root}/; etag off; }}
        location /chunked/ {{ alias {root}/; ssi on; ssi_types *; }}
        location /no-range/ {{ alias {root}/; max_ranges 0; }}
        location /private/ {{ alias {root}/; auth_basic private; auth_basic_user_file {directory}/passwords; }}
        location /sink/ {{
            alias {sink}/; dav_methods PUT DELETE; create_full_put_path on; add_header ETag '"0"' always;
        }}
        location /forbidden/ {{ return 403; }}
        location /unavailable/ {{ return 503; }}
        location /redirect/ {{ rewrite ^/redirect/(.*)$ /$1 redirect; }}
        include {directory}/*.server;
    }}
}}
"""


class Nginx(Server):
    """Serves the files below `root`; `/private/` wants user `reader` with password `secret`, `/sink/` takes PUTs.

    What is in `directory` when it starts and ends in `.http` or `.server` is added to its configuration.
    """

    name = "nginx"
    install = "apt-get install --no-install-recommends nginx-light"
    program = "nginx"
    version_arguments = ("-v",)

    def __init__(self, directory: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> None:
        super().__init__(directory)
        self.port = free_port()
        self.root = Path(root) if root is not None else self.directory / "root"
        self.sink = self.directory / "sink"

    @property
    def endpoint(self) -> str:
        """The address of the server without a trailing slash, such as `http://127.0.0.1:9570`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve `root` with two workers."""
        for path in (self.root, self.sink, self.directory / "temporary"):
            path.mkdir(parents=True, exist_ok=True)
        (self.directory / "passwords").write_text("reader:{PLAIN}secret\n")
        configuration = self.directory / "nginx.conf"
        # As root the workers would change to www-data, which cannot enter the private directory of a test run.
        user = "user root;" if os.geteuid() == 0 else ""
        configuration.write_text(
            CONFIGURATION.format(user=user, directory=self.directory, root=self.root, sink=self.sink, port=self.port)
        )
        # TERM rather than KILL when the test run dies: a killed master would leave its workers behind.
        errors = str(self.directory / "error.log")
        self.spawn(self.program, "-c", str(configuration), "-e", errors, death_signal="TERM")
        self.wait_until(lambda: http_answers(self.port))
