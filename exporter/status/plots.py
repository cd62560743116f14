"""Plots of polls as SVG. They have no script and no style of their own: classes take their colours from the
style of the page, in dark and in light. Names of steps are those of dials, and `commands` for the rest."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from html import escape

from exporter.polling.poll_history import POLLS_MAX, PastPoll
from exporter.status.figures import size, span

#: the steps of a poll from the bottom of a bar to its top
STEPS = ("dns", "connect", "tls", "auth", "commands")
WIDTH, HEIGHT = 960, 210
#: the edges of the area with bars
LEFT, RIGHT, TOP, BOTTOM = 62, 952, 14, 160
#: where the marks of failures are, and the words below
MARKS_Y, WORDS_Y = 171, 200
#: a bar is cut that is longer than this many usual ones: it would make all others too small to see
CUT_AT = 8.0
#: with fewer polls the times of the first and of the last one would touch
FEW = 8


def poll_plot(polls: Sequence[PastPoll]) -> str:
    """The plot of polls, the newest first, as bars from the oldest to the newest. "" without any."""
    if not polls:
        return ""
    shown = list(reversed(polls[:POLLS_MAX]))
    top_s = _top_s(shown)
    failed = sum(bool(poll.reason) for poll in shown)
    usual_s = statistics.median(poll.duration_s for poll in shown)
    words = f"The newest {len(shown)} polls, oldest first"
    more = f"Half of them took {span(usual_s)} or less. {failed or 'None'} failed."
    parts = [
        f'<svg class="plot polls" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="plot-title plot-desc">',
        f'<title id="plot-title">{words}</title><desc id="plot-desc">{more}</desc>',
        *_axis(top_s),
        *(_bar(poll, place, len(shown), top_s) for place, poll in enumerate(shown)),
        *([_word(_x(0, len(shown)), WORDS_Y, "start", _clock(shown[0]))] if len(shown) >= FEW else []),
        _word(RIGHT, WORDS_Y, "end", f"{_clock(shown[-1])} UTC"),
        "</svg>",
    ]
    return "".join(parts)


def tooltip(poll: PastPoll) -> str:
    """What one bar says."""
    lanes = ", ".join(lane.value for lane in poll.lanes)
    parts = [f"{_clock(poll)} UTC, {lanes}: {span(poll.duration_s)}"]
    if poll.reason:
        parts.append(f"failed: {poll.error_text or poll.reason}")
    taken = [f"{name} {span(seconds)}" for name, seconds in _split(poll) if seconds > 0]
    if len(taken) > 1:
        parts.append(", ".join(taken))
    if poll.received:
        parts.append(size(poll.received) if math.isfinite(poll.received) else "bytes of several nodes")
    return "\n".join(parts)


def _split(poll: PastPoll) -> tuple[tuple[str, float], ...]:
    seconds = (poll.dns_s, poll.connect_s, poll.tls_s, poll.auth_s, poll.commands_s)
    return tuple(zip(STEPS, seconds, strict=True))


def _top_s(polls: Sequence[PastPoll]) -> float:
    """The end of the axis: a round number of seconds. Polls that failed count only where all did: a deadline
    is much longer than a poll."""
    lengths = [poll.duration_s for poll in polls if not poll.reason] or [poll.duration_s for poll in polls]
    top_s = min(max(lengths), CUT_AT * statistics.median(lengths))
    return _round_up(max(top_s, 1e-6))


def _round_up(value: float) -> float:
    """The next number of the kind 1, 2, 5, 10."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value * 0.9999)


def _axis(top_s: float) -> Iterator[str]:
    """Lines and words at the left."""
    for part in (0.0, 0.5, 1.0):
        y = BOTTOM - part * (BOTTOM - TOP)
        kind = "grid" if part else "base"
        yield f'<line class="{kind}" x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        yield _word(LEFT - 8, y + 4, "end", span(part * top_s))


def _bar(poll: PastPoll, place: int, count: int, top_s: float) -> str:
    """One poll: its steps, a mark if it failed, and the text that a pointer shows."""
    x, room = _x(place, count), _room(count)
    width = room * 0.72
    parts, at_s, full = [], 0.0, BOTTOM - TOP
    for name, seconds in _split(poll):
        begin, end = min(at_s, top_s), min(at_s + seconds, top_s)
        at_s += seconds
        height = (end - begin) / top_s * full
        if height > 0:
            y = BOTTOM - end / top_s * full
            place_text = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.8):.1f}"'
            parts.append(f'<rect class="{name}" {place_text}/>')
    if at_s > top_s * 1.0001:  # two lines across it say that it is longer
        parts += [f'<path class="cut" d="M{x - 1:.1f} {TOP + dy}l{width + 2:.1f} -5"/>' for dy in (10, 15)]
    middle = x + width / 2
    if poll.reason:
        parts.append(f'<path class="fail" d="M{middle - 4:.1f} {MARKS_Y - 4}l8 8m0 -8l-8 8"/>')
    elif len(poll.lanes) > 1 or "fast" not in [lane.value for lane in poll.lanes]:
        parts.append(f'<circle class="more" cx="{middle:.1f}" cy="{MARKS_Y}" r="2"/>')
    kind = ' class="failed"' if poll.reason else ""
    hit = f'<rect class="hit" x="{x:.1f}" y="{TOP}" width="{room:.1f}" height="{MARKS_Y + 8 - TOP}"/>'
    return f"<g{kind}>{''.join(parts)}{hit}<title>{escape(tooltip(poll))}</title></g>"


def _room(count: int) -> float:
    """The width of a poll with the gap after it. A few polls stand at the right."""
    return (RIGHT - LEFT) / max(count, 24)


def _x(place: int, count: int) -> float:
    """Where the bar of a poll begins."""
    return RIGHT - (count - place) * _room(count)


def _word(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _clock(poll: PastPoll) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(poll.began_at))
