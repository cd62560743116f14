"""A real Prometheus on a free port of loopback, for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers import HOST, free_port, wait_for_start


class Prometheus:
    """Runs from its making until `stop`. `config` is the text of its configuration file."""

    def __init__(self, directory: Path, config: str) -> None:
        binary = shutil.which("prometheus")
        assert binary is not None
        directory.mkdir(exist_ok=True)
        file = directory / "prometheus.yml"
        file.write_text(config)
        self.port = free_port()
        self.log = directory / "prometheus.log"
        listen = f"--web.listen-address={HOST}:{self.port}"
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [binary, f"--config.file={file}", f"--storage.tsdb.path={directory / 'tsdb'}", listen],
                stderr=out,
            )
        wait_for_start(lambda: self.ask("vector(1)") == [1.0], "Prometheus answers", self.stop)

    def ask(self, expression: str) -> list[float]:
        """The values of an instant query; none while Prometheus does not answer."""
        return [value for _, value in self.series(expression)]

    def series(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The same with the labels of each."""
        try:
            found = self._get("query", query=expression)["result"]
        except OSError:
            return []
        return [(each["metric"], float(each["value"][1])) for each in found]

    def label_values(self, name: str, selector: str) -> list[str]:
        """The values of a label among the series of a selector, in order."""
        return list(self._get(f"label/{name}/values", **{"match[]": selector}))

    def _get(self, path: str, **query: str) -> Any:
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=5) as response:
            return json.load(response)["data"]

    def complaints(self) -> list[str]:
        """What it logged about its scrapes."""
        return [
            line
            for line in self.log.read_text().splitlines()
            if "level=info" not in line and "scrape" in line
        ]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
