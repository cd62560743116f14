"""Numbers and times as people read them. The templates have these functions as filters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

#: what is shown in place of a value that is not known
NONE = "—"
#: steps of a bar
STEPS = 10

#: from this many seconds on: seconds of one unit, and the unit
_UNITS = (
    (86400 * 2, 86400, "d"),
    (3600 * 2, 3600, "h"),
    (60 * 2, 60, "min"),
    (1, 1, "s"),
    (1e-3, 1e-3, "ms"),
    (0, 1e-6, "µs"),
)
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))


def count(number: int | None) -> str:
    """`1,287`."""
    return NONE if number is None else f"{number:,}"


def span(seconds: float | None) -> str:
    """How long something takes, or took: `1.2 ms`, `34 s`, `3 min`. Below two of a unit the smaller one is
    used."""
    if seconds is None:
        return NONE
    seconds = max(0.0, seconds)
    if seconds < 5e-7:
        return "0 s"
    unit_s, unit = next((unit_s, unit) for least, unit_s, unit in _UNITS if seconds >= least * 0.9995)
    number = seconds / unit_s
    return f"{number:.1f} {unit}" if number < 9.95 and unit_s <= 1 else f"{number:.0f} {unit}"


def micros(seconds: float | None) -> str:
    """A time of one command: `1,234 µs`, so that many can be compared."""
    return NONE if seconds is None else f"{max(0.0, seconds) * 1e6:,.0f} µs"


def ago(moment: float | None, now: float) -> str:
    """`3 min ago`. Both are wall-clock seconds."""
    return NONE if moment is None else f"{span(max(1.0, now - moment))} ago"


def moment(seconds: float | None) -> str:
    """Wall-clock seconds as `2026-11-29 06:09:01 UTC`."""
    return NONE if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def share(ratio: float | None) -> str:
    """A part of a whole, such as one core, in percent: two digits, and no smaller ones than 0.001 %."""
    if ratio is None:
        return NONE
    percent = 100 * ratio
    if 0 < percent < 0.001:
        return "< 0.001 %"
    digits = (
        0 if percent >= 9.95 or percent == 0 else 1 if percent >= 0.995 else 2 if percent >= 0.0995 else 3
    )
    return f"{percent:.{digits}f} %"


def size(number: float | None) -> str:
    """Bytes: `1.2 MB`."""
    if number is None:
        return NONE
    unit_bytes, unit = next(((each, unit) for each, unit in _BYTES if number >= each), _BYTES[-1])
    part = number / unit_bytes
    return f"{part:.1f} {unit}" if part < 9.95 and unit_bytes > 1 else f"{part:,.0f} {unit}"


def step(value: float | None, limit: float) -> int:
    """Which of the steps 0 to 10 a bar shows: any value above 0 shows 1 at least, only a full one 10."""
    if value is None or limit <= 0 or value <= 0:
        return 0
    return STEPS if value >= limit else max(1, min(STEPS - 1, round(STEPS * value / limit)))


FILTERS: Mapping[str, Callable[..., object]] = {
    "count": count,
    "span": span,
    "micros": micros,
    "ago": ago,
    "moment": moment,
    "share": share,
    "size": size,
    "step": step,
}
