"""What a server refuses to the exporter's user, and the ACL rule that would allow it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.collectors._acl_words import asked_words, grants, handshake_words, ordered_words, quoted_word
from exporter.errors import CUT_OFF, HANG_UP
from exporter.polling.refusals import Refusal
from exporter.polling.target_state import TargetState
from exporter.safe_text import one_line

#: refused commands that are shown: a server without commands of keys may refuse thousands
SHOWN_MAX = 200
#: the code of an error reply to a user who may not run a command
NOT_PERMITTED = "NOPERM"
#: the user of connections without one
DEFAULT_USER = "default"


@dataclass(frozen=True, slots=True)
class RefusedCommand:
    """One of them, with the server's words. `since` is wall-clock seconds, `again_s` from now on: when the
    command is sent again; None: not to this run of the server. `grants` are the words of an ACL rule that
    allow it; () where no rule helps, most often because the server does not have the command."""

    name: str
    words: str
    since: float
    times: int
    again_s: float | None
    grants: tuple[str, ...]


def refused_commands(state: TargetState, now: float, wall: float) -> tuple[RefusedCommand, ...]:
    """Those that are known, the newest first. `now` is monotonic, which is `wall` on the wall clock."""
    known = list(state.memory.refusals.known.items())[-SHOWN_MAX:]
    if not known:
        return ()
    words, clean = ordered_words(_words(state)), state.memory.redaction.clean
    return tuple(
        RefusedCommand(
            one_line(clean(name)),
            refusal.reply.text.removeprefix(f"{HANG_UP} ").removeprefix(f"{CUT_OFF} "),
            wall - (now - refusal.at),
            refusal.times,
            max(0.0, refusal.again_at - now) if refusal.again_at < math.inf else None,
            tuple(_grants(words, name, refusal)),
        )
        for name, refusal in reversed(known)
    )


def acl_line(user: str, refused: Iterable[RefusedCommand]) -> str:
    """The command for redis-cli that allows all of them; "" where no rule helps."""
    words = ordered_words({word for each in refused for word in each.grants})
    if not words:
        return ""
    return " ".join(["ACL SETUSER", quoted_word(user or DEFAULT_USER), *map(quoted_word, words)])


def _words(state: TargetState) -> set[str]:
    """All words that the target's collectors and its connection need."""
    assignment, facts = state.assignment, state.memory.facts
    collectors = [each.collector for each in assignment.family_sets.of_collectors]
    asked = asked_words(collectors, [facts] if facts is not None else (), assignment.options)
    return asked | handshake_words(assignment.options, databases=bool(assignment.target.db))


def _grants(words: Iterable[str], name: str, refusal: Refusal) -> list[str]:
    """The command may be missing in the rule, or the keys that it names."""
    if refusal.reply.code != NOT_PERMITTED:
        return []
    if " key" in refusal.reply.raw.lower():
        return [word for word in words if not word.startswith("+")]
    return grants(words, name)
