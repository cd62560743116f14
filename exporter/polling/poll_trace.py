"""What one traced poll did, from the name of the server to the last reply. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.polling.traced_command import TracedCommand


@dataclass(frozen=True, slots=True)
class PollTrace:
    """`began_at` is wall-clock seconds, all others are durations. `waited_s` is the time until the limits of
    polls and dials had room. `steps_s` has the steps of the dial that were begun, in order; the last one is
    where a dial failed. `peer` is the numeric address that it led to. `handshake` and `commands` are what was
    sent; `left_out` are commands that the server refused before and that were not sent, with its words.
    `failures` are collectors that could not use their replies. `reason` and `error_text` are empty if the
    poll went well.
    """

    began_at: float
    lanes: tuple[str, ...]
    waited_s: float
    duration_s: float
    deadline_s: float
    steps_s: Mapping[str, float]
    peer: str
    notices: tuple[str, ...]
    handshake: tuple[TracedCommand, ...]
    commands: tuple[TracedCommand, ...]
    left_out: Mapping[str, str]
    failures: Mapping[str, str]
    reason: str
    error_text: str
