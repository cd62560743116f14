"""Forks of a server, as INFO shows them: a child saves the data or rewrites the AOF. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: the fields of INFO that `read_forks` reads
FORK_FIELDS = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "latest_fork_usec")


class Forks(NamedTuple):
    """`is_running`: a child is at work. `newest_s` is how long the newest fork blocked the server; 0: there
    was none, or it is not known."""

    is_running: bool
    newest_s: float


NO_FORKS = Forks(is_running=False, newest_s=0.0)


def read_forks(texts: Sequence[bytes | None]) -> Forks:
    """What the texts of `FORK_FIELDS` say."""
    saving, rewriting, fork_usec = texts
    known = fork_usec is not None and fork_usec.isdigit() and len(fork_usec) <= 18
    return Forks(b"1" in (saving, rewriting), int(fork_usec or 0) / 1e6 if known else 0.0)
