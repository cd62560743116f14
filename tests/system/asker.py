"""Requests to a running exporter, for tests that look at everything that is answered."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote

from exporter.options.endpoints import ROUTES
from tests.servers import PATIENCE_S
from tests.system.conftest import Exporter


class Asker:
    """Sends requests to a program, and keeps what is answered: headers and bodies."""

    def __init__(self, program: Exporter, password: str) -> None:
        self._program = program
        self._login = b64encode(f"scraper:{password}".encode()).decode()
        self.answers: list[str] = []

    def __call__(self, path: str, method: str = "GET", **headers: str) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._program.port}{path}",
            method=method,
            headers={"Authorization": f"Basic {self._login}", **headers},
        )
        try:
            answer = urllib.request.urlopen(request, timeout=PATIENCE_S)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            text = str(answer.read(), "utf-8", "replace")
            self.answers.append(f"{answer.status}\n{answer.headers}{text}")
        return text

    @property
    def names(self) -> list[str]:
        """Of the targets, as paths have them."""
        rows = json.loads(self("/api/v1/targets?size=100"))["targets"]
        return [quote(row["name"], safe="") for row in rows]

    def ask_everything(self) -> None:
        """All paths, those of a target for each of them."""
        for route in ROUTES:
            for name in self.names if "/targets/{name}" in route.path else [""]:
                for method in {*route.methods} - {"POST"}:
                    self(route.path.replace("{name}", name), method)

    def trace(self, name: str) -> str:
        """A poll that shows what it sent and got. One a second may begin."""
        while (text := self(f"/api/v1/targets/{name}/trace", "POST")).startswith("One traced poll runs"):
            time.sleep(0.3)
        return text

    def ask_with_secrets(self, plant: Callable[[str], str], port: int) -> None:
        asked = (
            f"redis://u:{plant('request')}@127.0.0.1:{port}/1",
            f"redis://{plant('word of a request')}@127.0.0.1:{port}",
            f"redis://u:{plant('request for a stranger')}@127.0.0.1:{port}/77",
            f"redis://{plant('word for a stranger')}@127.0.0.1:{port}/78",
            f"redis://u:{plant('request for a foreign one')}@192.0.2.1",
            f"redis://127.0.0.1:{port}?password={plant('query of a request')}",
            f"redis://u:{plant('mangled request')}@@h:x",
            f"{plant('scheme')}://h",
        )
        for target in asked:
            self(f"/scrape?target={quote(target)}")
        self(f"/scrape?target=h&auth={plant('auth')}")
        self(f"/metrics?group={plant('group')}&name[]={plant('name')}")
        self("/metrics", Authorization=f"Basic {b64encode(plant('wrong login').encode()).decode()}")
        self("/metrics", Authorization=f"Bearer {plant('bearer')}", Cookie=f"session={plant('cookie')}")
        self(f"/{plant('path')}?token={plant('token')}")
