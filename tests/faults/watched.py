"""An exporter that watches servers that are well, and others which faults befall."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.faults.look import samples
from tests.faults.subjects import Subject
from tests.faults.watcher import Watcher
from tests.servers import wait_until
from tests.system.conftest import Exporter

#: lanes are short, so that each has its turn while a fault lasts; a page is as new as its scrape
FLAGS = (
    "--poll.standard-interval=2s",
    "--poll.slow-interval=4s",
    "--page.min-interval=0.1s",
)
INTERVAL_S = 1.0


@dataclass(frozen=True)
class Counts:
    """What a process holds that may grow. `series` are those that it has of its own on its page: a server has
    more as it has been asked more."""

    files: int
    threads: int
    tasks: int
    polls: int
    series: int
    resident_mb: float


#: how many more may be there than before: threads of pools stay, and series count requests by endpoint and
#: failures by reason, of which a busy machine adds some
MORE_ALLOWED = Counts(files=2, threads=4, tasks=2, polls=3, series=40, resident_mb=32.0)
SERIES_OF_A_FAULT = 8


def grown(before: Counts, now: Counts, faults: int) -> list[str]:
    """What there is more of than before and than is allowed, after faults of so many targets."""
    allowed = replace(MORE_ALLOWED, series=MORE_ALLOWED.series + SERIES_OF_A_FAULT * faults)
    return [
        f"{name}: {was:.0f} before, {getattr(now, name):.0f} after"
        for name, was in vars(before).items()
        if getattr(now, name) > was + getattr(allowed, name)
    ]


class Watched:
    """One exporter. The targets of `subjects` are beside those `well`; `watcher` looks at its page."""

    def __init__(
        self,
        folder: Path,
        well: Sequence[str],
        subjects: Sequence[Subject],
        *flags: str,
        environ: Mapping[str, str],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._report = folder / "meter.json"
        self._subjects = subjects
        addrs = [*well, *(addr for subject in subjects for addr in subject.addrs)]
        wanted = dict.fromkeys(flag for subject in subjects for flag in subject.flags)
        self.program = Exporter(
            folder / "exporter.log",
            f"--redis.addr={','.join(addrs)}",
            *FLAGS,
            *wanted,
            *flags,
            environ=dict(environ),
            module=("tests.faults.program", str(self._report)),
        )
        self.program.process.send_signal(signal.SIGUSR1)
        self.watcher = Watcher(self.program.port, well)
        self.watcher.start()

    def meter(self) -> dict[str, Any]:
        """The longest that the loop was held since the call before, and the number of tasks."""
        self._report.unlink(missing_ok=True)
        self.program.process.send_signal(signal.SIGUSR2)
        wait_until(self._report.exists, "the meter has written")
        return dict(json.loads(self._report.read_text()))

    def counts(self) -> Counts:
        """What it holds now."""
        proc = Path(f"/proc/{self.program.process.pid}")
        page = self.program.get().encode()
        [resident] = re.findall(r"VmRSS:\s+(\d+) kB", (proc / "status").read_text())
        return Counts(
            len(os.listdir(proc / "fd")),
            len(os.listdir(proc / "task")),
            self.meter()["tasks"],
            round(sum(value for _, value in samples(page, b"redis_exporter_polls_in_flight"))),
            sum(line.startswith(b"redis_exporter_") for line in page.split(b"\n")),
            int(resident) / 1024,
        )

    def disturb(self, request: Callable[[str, str], str]) -> list[str]:
        """A reload, a hangup, and a scrape of each target that a fault befalls; what went wrong with them.
        `request` gives the answer to a method and a path."""
        wrong = []
        answer = request("POST", "/-/reload")
        if not answer.startswith("reloaded: "):
            wrong.append(f"the reload was answered by {answer[:200]}")
        os.kill(self.program.process.pid, signal.SIGHUP)
        for subject in self._subjects:
            for addr in subject.addrs[:1]:
                if not re.search(r"^redis_up [01]$", request("GET", f"/scrape?target={addr}"), re.M):
                    wrong.append(f"/scrape of {addr} has no redis_up")
        return wrong

    def terminate(self) -> tuple[int, float]:
        """Its exit code after SIGTERM, and how long it took."""
        self.watcher.end()
        began_at = time.monotonic()
        return self.program.stop(), time.monotonic() - began_at

    def close(self) -> None:
        self.watcher.end()
        self.program.process.kill()
        self.program.process.wait()
