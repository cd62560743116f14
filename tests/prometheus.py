"""A real Prometheus on a free port of loopback, for tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from bench.ports import free_port
from tests.servers import HOST, PATIENCE_S, wait_for_start, wait_until

#: where a configuration says that Prometheus itself is
ITSELF = "localhost:9090"


class Prometheus:
    """Runs from its making until `stop`. `config` is the text of its configuration file, `flags` are further
    ones."""

    def __init__(self, directory: Path, config: str, *flags: str) -> None:
        binary = shutil.which("prometheus")
        assert binary is not None
        directory.mkdir(exist_ok=True)
        file = directory / "prometheus.yml"
        self.port = free_port()
        file.write_text(config.replace(ITSELF, f"{HOST}:{self.port}"))
        self.log = directory / "prometheus.log"
        listen = f"--web.listen-address={HOST}:{self.port}"
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={directory / 'tsdb'}",
                    listen,
                    *flags,
                ],
                stderr=out,
            )
        wait_for_start(lambda: self.ask("vector(1)") == [1.0], "Prometheus answers", self.stop)

    def ask(self, expression: str) -> list[float]:
        """The values of an instant query; none while Prometheus does not answer, or is not ready."""
        return [value for _, value in self.series(expression)]

    def one(self, expression: str) -> float:
        """The value of an instant query, once it has one: a scrape that is late ends series for a while."""
        found: list[float] = []

        def has_one() -> bool:
            found[:] = self.ask(expression)
            return len(found) == 1

        wait_until(has_one, f"{expression} has one value")
        return found[0]

    def series(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The same with the labels of each."""
        try:
            return self.answer(expression)
        except HTTPError as error:
            with error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
            return []
        except OSError:
            return []

    def answer(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The same, but an OSError while Prometheus does not answer. Of a query that it refuses, `ask` and
        `series` raise an HTTPError too."""
        found = self._get("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def wait_for(self, expression: str, *values: float) -> None:
        """Return once an instant query has these values. Whatever is scraped each second has to answer within
        it: a query may find that a machine was too busy for one scrape."""
        wait_until(lambda: self.ask(expression) == list(values), f"{expression} is {list(values)}")

    def refused_scrapes(self, matchers: str = "") -> dict[str, float]:
        """Scrapes of a second each that failed, by instance, but for those that had no answer within it."""
        failed = f"(up{{{matchers}}} == bool 0) * (scrape_duration_seconds < bool 0.99)"
        found = self.series(f"sum_over_time(({failed})[5m:500ms]) > 0")
        return {labels["instance"]: value for labels, value in found}

    def labels_of(self, selector: str) -> list[dict[str, str]]:
        """The labels of every series of a selector."""
        return list(self._get("series", **{"match[]": selector}))

    def label_values(self, name: str, selector: str) -> list[str]:
        """The values of a label among the series of a selector, in order."""
        return list(self._get(f"label/{name}/values", **{"match[]": selector}))

    def _get(self, path: str, **query: str) -> Any:
        url = f"http://{HOST}:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return json.load(response)["data"]

    def runtime(self) -> dict[str, Any]:
        """What it says about its own process and storage."""
        return dict(self._get("status/runtimeinfo"))

    def rule_faults(self) -> list[str]:
        """The rules whose newest evaluation failed, and why; also those that were not evaluated yet."""
        groups = self._get("rules")["groups"]
        assert groups, "no rules are loaded"
        return [
            f"{rule['name']}: {rule.get('lastError') or rule['health']}"
            for group in groups
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]

    def refused_samples(self) -> float:
        """How many samples it did not store: doubled ones, and those that came out of order."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=PATIENCE_S) as response:
            page = response.read().decode()
        kinds = "duplicate_timestamp|out_of_order|out_of_bounds"
        counts = re.findall(rf"^prometheus_target_scrapes_sample_(?:{kinds})_total (.*)$", page, re.M)
        assert len(counts) == 3
        return sum(map(float, counts))

    def complaints(self) -> list[str]:
        """What it logged about its scrapes."""
        return [
            line
            for line in self.log.read_text().splitlines()
            if "level=info" not in line.lower() and "scrape" in line
        ]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
