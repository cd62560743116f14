"""Debug lines of polls, for `--debug`."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

from exporter.metrics.lane import Lane
from exporter.polling.outcome import PollOutcome

log = logging.getLogger(__name__)


def is_on() -> bool:
    return log.isEnabledFor(logging.DEBUG)


def note(addr: str, lanes: Iterable[Lane], outcome: PollOutcome) -> None:
    """Log one poll that has ended. `bytes` are those of its replies; they are left out if other nodes sent
    some of them."""
    received = outcome.results.received if outcome.results is not None else 0
    error = outcome.error
    extra = {
        "addr": addr,
        "lane": ",".join(lane.value for lane in lanes),
        "duration_ms": round(outcome.duration_s * 1000, 1),
        **({"bytes": received} if math.isfinite(received) else {}),
        **({"reason": error.reason, "err": str(error)} if error is not None else {}),
    }
    log.debug("polled", extra=extra)
