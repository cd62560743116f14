"""A real Alertmanager on a free port of loopback, and a webhook that takes what it sends, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.servers import HOST, PATIENCE_S, wait_for_start


class Alertmanager:
    """Runs from its making until `stop`. `config` is the text of its configuration file."""

    def __init__(self, directory: Path, config: str) -> None:
        binary = shutil.which("prometheus-alertmanager")
        assert binary is not None
        directory.mkdir(exist_ok=True)
        file = directory / "alertmanager.yml"
        file.write_text(config)
        self.port = free_port()
        with (directory / "alertmanager.log").open("wb") as out:
            self._process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={file}",
                    f"--storage.path={directory / 'data'}",
                    f"--web.listen-address={HOST}:{self.port}",
                    "--cluster.listen-address=",
                ],
                stderr=out,
            )
        wait_for_start(self._answers, "Alertmanager answers", self.stop)

    def _answers(self) -> bool:
        try:
            return self.alerts() == []
        except OSError:
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """All that it holds, as its API shows them."""
        with urllib.request.urlopen(self._url, timeout=PATIENCE_S) as response:
            found: list[dict[str, Any]] = json.load(response)
            return found

    def give(self, *alerts: dict[str, str]) -> None:
        """Hand it alerts that fire now, by their labels."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self.port}/api/v2/alerts"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True)
class Notice:
    """One alert of one message, and the path that the message went to."""

    path: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Webhook:
    """Takes messages from its making until `stop`."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        notices = self.notices

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                notices.extend(
                    Notice(self.path, each["status"], each["labels"], each["annotations"])
                    for each in message["alerts"]
                )
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Requests are no news."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
