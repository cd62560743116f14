"""A real Prometheus on loopback that scrapes one page, and what it stored."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.listening import wait_listening
from bench.ports import free_ports

#: Debian's name for it
PROMETHEUS = "prometheus"

_CONFIG = """\
global: {{scrape_interval: {interval_s:g}s, scrape_timeout: {interval_s:g}s}}
scrape_configs:
  - job_name: redis
    static_configs: [{{targets: {targets}}}]
"""
#: for `/scrape` of each target in place of one page
_EACH = """\
    metrics_path: /scrape
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{port}"}}
"""


def installed() -> bool:
    return shutil.which(PROMETHEUS) is not None


@dataclass(frozen=True)
class Stored:
    """The samples of one series: seconds of the scrape, and value."""

    labels: dict[str, str]
    samples: list[tuple[float, float]]


@dataclass(frozen=True)
class Prometheus:
    port: int
    pid: int

    def wait_scraped(self, within_s: float = 30.0) -> None:
        """Return after the first scrape, which may come 5 s after the start: so long Prometheus gathers
        what its targets are."""
        deadline = time.monotonic() + within_s
        while not self._answers_up(within_s):
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: Prometheus stored no scrape within {within_s:g} s")
            time.sleep(0.1)

    def _answers_up(self, seconds: float) -> bool:
        try:
            return bool(self.raw("up", seconds))
        except urllib.error.HTTPError:  # it listens before it can be asked
            return False

    def raw(self, selector: str, seconds: float) -> list[Stored]:
        """The samples of the last `seconds` as they were stored, at the times that Prometheus gave them."""
        query = urllib.parse.urlencode({"query": f"{selector}[{round(seconds * 1000)}ms]"})
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=60
        ) as response:
            answer = json.load(response)
        return [
            Stored(each["metric"], [(at, float(value)) for at, value in each["values"]])
            for each in answer["data"]["result"]
        ]


@contextlib.contextmanager
def prometheus(exporter_port: int, interval_s: float, each: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Prometheus with one job: `/metrics` of the exporter's port, or `/scrape` of `each` of some targets.
    Everything it scrapes is stored, in a folder that ends with it."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="bench-prometheus-", ignore_cleanup_errors=True) as folder:
        config = pathlib.Path(folder, "prometheus.yml")
        targets = json.dumps(list(each) or [f"127.0.0.1:{exporter_port}"])
        text = _CONFIG.format(interval_s=interval_s, targets=targets)
        config.write_text(text + (_EACH.format(port=exporter_port) if each else ""))
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_listening(port, process, "Prometheus")
            yield Prometheus(port, process.pid)
        finally:
            process.kill()
            process.wait()
