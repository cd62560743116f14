"""nginx with one file: what serving can cost at the least."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

from bench.listening import wait_listening
from bench.ports import free_ports

WORKER_S = 20.0
_CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 10000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder};
    location / {{ default_type text/plain; add_header Content-Encoding gzip; }}
  }}
}}
"""


def program() -> str:
    """Debian keeps it where only root's PATH leads. "" if there is none."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def _worker(master: int) -> int:
    """The only child. SystemExit if it is not there."""
    children = pathlib.Path(f"/proc/{master}/task/{master}/children")
    deadline = time.monotonic() + WORKER_S
    while not (found := children.read_text().split()):
        if time.monotonic() > deadline:
            raise SystemExit("bench: nginx has no worker")
        time.sleep(0.01)
    return int(found[0])


@contextlib.contextmanager
def nginx(compressed: bytes) -> Iterator[tuple[int, int]]:
    """Serve bytes of gzip as `/metrics`; the port, and the process that answers."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="bench-nginx-", ignore_cleanup_errors=True) as folder:
        place = pathlib.Path(folder)
        place.chmod(0o755)  # its worker is another user
        place.joinpath("metrics").write_bytes(compressed)
        config = place / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port))
        process = subprocess.Popen(
            [program(), "-c", str(config), "-p", folder, "-e", f"{folder}/error.log"],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_listening(port, process, "nginx")
            yield port, _worker(process.pid)
        finally:
            process.terminate()
            process.wait()
