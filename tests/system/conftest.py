"""The whole program as a process."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from tests.servers import PATIENCE_S, wait_for_start, wait_until

#: within which SIGTERM ends the process. It takes a second at most; the rest is for a machine that is busy
#: with other tests. What the process must not wait for takes longer than this, or for ever
STOP_S = 8.0


class Exporter:
    """`redis_exporter` on a port of loopback, a free one unless it is named, with one second between polls.

    `credentials` are a user and password that its own requests send; `module` runs it in another way, see
    `tests.metered`.
    """

    def __init__(
        self,
        log: Path,
        *flags: str,
        environ: dict[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        module: Sequence[str] = ("exporter",),
        port: int = 0,
    ) -> None:
        self._headers = (
            {"Authorization": "Basic " + b64encode(":".join(credentials).encode()).decode()}
            if credentials
            else {}
        )
        self.port = port or free_port()
        self.log = log
        self.output = log.with_suffix(".stdout")
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        with log.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module, listen, "--poll.interval=1s", *flags],
                env={**os.environ, **(environ or {})},
                stdout=output,
                stderr=errors,
            )
        wait_for_start(self._is_ready, "the exporter's first polls", self.stop)

    def _is_ready(self) -> bool:
        try:
            return self.get("/-/ready") == "ok\n"
        except OSError:
            return False

    def get(self, path: str = "/metrics", timeout_s: float = PATIENCE_S) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=self._headers)
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return str(response.read().decode())

    def values(self, name: str, **labels: str) -> dict[str, float]:
        """Value by address of one family's series."""
        found = {}
        for line in self.get().splitlines():
            if line.startswith(name + "{") and all(
                f'{label}="{value}"' in line for label, value in labels.items()
            ):
                found[re.findall(r'addr="([^"]*)"', line)[0]] = float(line.rsplit(" ", 1)[1])
        return found

    def wait_for_log(self, *texts: str) -> None:
        """Return once its log has these texts. A thread writes it: what caused a line may be seen first."""
        wait_until(lambda: all(text in self.log.read_text() for text in texts), f"the log has {texts}")

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()


ExporterFactory = Callable[..., Exporter]
ProcessFactory = Callable[..., Path]


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterFactory]:
    with ExitStack() as cleanup:
        numbers = itertools.count(1)

        def start(*flags: str, **settings: Any) -> Exporter:
            started = Exporter(tmp_path / f"exporter-{next(numbers)}.log", *flags, **settings)
            cleanup.callback(started.stop)
            return started

        yield start


@pytest.fixture
def exporter_process(tmp_path: Path) -> Iterator[ProcessFactory]:
    """Starts the program with these flags and nothing else, and gives its log."""
    with ExitStack() as cleanup:

        def start(*flags: str) -> Path:
            log = tmp_path / f"exporter-{free_port()}.log"
            with log.open("wb") as out:
                process = subprocess.Popen([sys.executable, "-m", "exporter", *flags], stderr=out)
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
            return log

        yield start
