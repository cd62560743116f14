"""What a fault does to an exporter, from its beginning to what is left of it: the same for all faults."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.look import Look
from tests.faults.subjects import Subject
from tests.faults.table import Fault
from tests.faults.watched import INTERVAL_S, Counts, Watched, grown
from tests.faults.watcher import EVERY_S, Figures
from tests.servers import PATIENCE_S

#: how long a machine that is busy with other tests may take beyond what is promised
ROOM_S = 15.0
#: a fault is seen in the second poll from now at the latest, if that waits until its deadline
SEEN_WITHIN_S = 2 * INTERVAL_S + 1.0
HEALED_WITHIN_S = 2 * INTERVAL_S
#: no fault is shorter
LASTS_S = 2.5 * INTERVAL_S
SETTLE_S = 10.0
CALM_WITHIN_S = 30.0


@dataclass
class Finding:
    """What one fault did: seconds until it was seen, and until all was well after its end; what was wrong."""

    fault: Fault
    subject: Subject
    seen_s: float = math.inf
    healed_s: float = math.inf
    wrong: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.wrong:
            self.wrong.append(text)


@dataclass
class Report:
    """What faults did that lasted at the same time. `busy_s` and `passed_s` are the longest that the loop was
    held, by the processor's time and by the clock; `before` and `after` what the exporter held."""

    findings: list[Finding]
    figures: Figures
    busy_s: float
    passed_s: float
    before: Counts
    after: Counts
    wrong: list[str]

    @property
    def mistakes(self) -> list[str]:
        own = [f"{each.fault.name}: {text}" for each in self.findings for text in each.wrong]
        return own + self.wrong + self.figures.wrong

    def __str__(self) -> str:
        times = [
            f"{each.fault.name}: seen after {each.seen_s:.2f} s, well after {each.healed_s:.2f} s"
            for each in self.findings
        ]
        others = (
            f"age p99 {self.figures.age_p99_s:.2f} s, /metrics p99 {self.figures.took_p99_s * 1e3:.1f} ms"
        )
        held = f"loop held {self.passed_s * 1e3:.1f} ms, {self.busy_s * 1e3:.1f} of the processor"
        return "\n".join([*times, others, held, f"{self.before} before", f"{self.after} after"])


class Trial:
    """Faults of one exporter that begin and end at the same time."""

    def __init__(self, watched: Watched, pairs: Sequence[tuple[Fault, Subject]]) -> None:
        self._watched = watched
        self._watcher = watched.watcher
        self.findings = [Finding(fault, subject) for fault, subject in pairs]
        self._wrong: list[str] = []
        self._newest: Look | None = None

    def run(self) -> Report:
        """Let all begin, wait until they are seen, disturb, let them end, and look for what is left."""
        before = self._calm()
        self._watcher.take_figures()
        self._watched.meter()
        began_at = self._begin()
        self._wait_seen(began_at)
        self._wrong += self._watched.disturb(self._request)
        self._wait_end(began_at)
        for each in self.findings:
            each.subject.end()
        self._wait_healed(time.monotonic())
        figures, held = self._watcher.take_figures(), self._watched.meter()
        after = self._wait_settled(before)
        return Report(self.findings, figures, held["busy_s"], held["passed_s"], before, after, self._wrong)

    def end_in_the_middle(self, within_s: float) -> list[str]:
        """Let all begin once more, and the exporter end then; what was wrong."""
        began_at = self._begin()
        for look in self._looks(LASTS_S + ROOM_S):
            if look.at - began_at > INTERVAL_S and any(self._is_seen(each, look) for each in self.findings):
                break
        code, took_s = self._watched.terminate()
        wrong = [text for each in self.findings for text in each.subject.left_behind()]
        log = self._watched.program.log.read_text()
        wrong += [f"the log says: {text}" for text in ("Traceback", "please report") if text in log]
        if code or took_s > within_s:
            wrong.append(f"SIGTERM ended it with {code}, after {took_s:.1f} s")
        return wrong

    def _looks(self, within_s: float) -> Iterator[Look]:
        """See `Watcher.looks`."""
        for look in self._watcher.looks(within_s):
            self._newest = look
            yield look

    def _calm(self) -> Counts:
        """Wait until all is well; what the exporter holds then. The first polls ask for everything, and some
        of them may take longer than they may on a busy machine."""
        wrong: list[str] = []
        for look in self._looks(CALM_WITHIN_S):
            wrong = list(self._watcher.wrong_of_well(look))
            if not wrong and all(each.subject.is_well(look) for each in self.findings):
                return self._watched.counts()
        told = {each.fault.name: self._told(each) for each in self.findings}
        raise AssertionError(f"not all is well before the faults: {told} {wrong[:3]}")

    def _begin(self) -> float:
        began_at = time.monotonic()
        for each in self.findings:
            each.subject.begin()
        return began_at

    @staticmethod
    def _is_seen(each: Finding, look: Look) -> bool:
        return each.subject.is_seen(look, each.fault.reason)

    def _wait_seen(self, began_at: float) -> None:
        develops_s = max(each.fault.develops_s for each in self.findings)
        for look in self._looks(develops_s + SEEN_WITHIN_S + ROOM_S):
            for each in self.findings:
                if each.seen_s == math.inf and self._is_seen(each, look):
                    each.seen_s = look.at + look.took_s - began_at
            if all(each.seen_s < math.inf for each in self.findings):
                return
        for each in self.findings:
            if each.seen_s == math.inf:
                each.note(f"it is not seen; the page says {self._told(each)}")

    def _wait_end(self, began_at: float) -> None:
        """Wait for the end of the longest. What was seen stays so."""
        lasts_s = max(LASTS_S, *(each.fault.lasts_s for each in self.findings))
        for look in self._looks(max(2 * EVERY_S, began_at + lasts_s - time.monotonic())):
            for each in self.findings:
                if each.seen_s < math.inf and not self._is_seen(each, look):
                    each.note(f"later the page says {self._told(each)}")

    def _wait_healed(self, ended_at: float) -> None:
        for look in self._looks(HEALED_WITHIN_S + ROOM_S):
            for each in self.findings:
                if each.healed_s == math.inf and each.subject.is_well(look):
                    each.healed_s = look.at + look.took_s - ended_at
            if all(each.healed_s < math.inf for each in self.findings):
                return
        for each in self.findings:
            if each.healed_s == math.inf:
                each.note(f"it does not recover; the page says {self._told(each)}")

    def _wait_settled(self, before: Counts) -> Counts:
        """Wait until the exporter holds no more than before; what it holds then."""
        until = time.monotonic() + SETTLE_S
        targets = sum(len(each.subject.addrs) for each in self.findings)
        while more := grown(before, now := self._watched.counts(), targets):
            if time.monotonic() > until:
                self._wrong += [f"left behind: {each}" for each in more]
                break
            time.sleep(EVERY_S)
        return now

    def _told(self, each: Finding) -> str:
        """What the newest page says of the targets of a fault."""
        look = self._newest
        if look is None:
            return "nothing: it did not come"
        states = {
            "up" if look.up.get(addr) else look.reasons.get(addr, "nothing") for addr in each.subject.addrs
        }
        return f"{' and '.join(sorted(states))} (met {each.subject.hits} times)"

    def _request(self, method: str, path: str) -> str:
        url = f"http://127.0.0.1:{self._watched.program.port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())
