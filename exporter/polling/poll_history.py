"""The newest polls of one target, in little memory: a fleet may have thousands of targets.

All polls are records of one size in one piece of memory. Texts of errors are few: a server that is down fails
with the same words each time.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.connection.dial_times import DialStep
from exporter.errors import REASONS
from exporter.metrics.lane import Lane
from exporter.polling.outcome import PollOutcome

#: newest polls that are remembered of each target
POLLS_MAX: Final = 64
#: different texts of errors that are remembered of each target, and the bytes of each
TEXTS_MAX, TEXT_BYTES = 6, 256

#: began_at, seconds of the four steps of the dial, bytes, lanes, reason, text
_RECORD = struct.Struct("=dfffffBBB")
_SIZE: Final = _RECORD.size
_TEXT_AT = _SIZE - 1  # where in a record the number of its text is; 0: there is none
_REASONS = ("", *REASONS)  # in a record a reason is its place here
_NUMBERS = {reason: number for number, reason in enumerate(_REASONS)}
_BITS: Final = {lane: 1 << number for number, lane in enumerate(Lane)}
_SCAN: Final = _BITS[Lane.SCAN]
_pack: Final = _RECORD.pack_into


@dataclass(frozen=True, slots=True)
class PastPoll:
    """One poll that ended. `began_at` is wall-clock seconds. Its time is the sum of the steps of its dial
    (0.0 on a connection that was kept) and of `commands_s`, all the rest. `received` counts the bytes of
    replies; infinite where several nodes sent them. `reason` is empty if it went well; `error_text` is empty
    too if it is no longer remembered.
    """

    began_at: float
    duration_s: float
    reason: str
    lanes: tuple[Lane, ...] = ()
    dns_s: float = 0.0
    connect_s: float = 0.0
    tls_s: float = 0.0
    auth_s: float = 0.0
    received: int | float = 0
    error_text: str = ""

    @property
    def commands_s(self) -> float:
        return max(0.0, self.duration_s - self.dns_s - self.connect_s - self.tls_s - self.auth_s)


class PollHistory:
    """See the module: about 2.5 kB, and 4.5 kB with all texts."""

    __slots__ = ("_durations_s", "_has_scans", "_noted", "_records", "_text_number", "_texts")

    def __init__(self) -> None:
        self._records = bytearray(_SIZE * POLLS_MAX)
        #: of the polls, for tables of all targets; negative of scans
        self._durations_s = array("f", bytes(4 * POLLS_MAX))
        self._has_scans = False
        self._noted = 0
        self._texts: list[bytes] = []
        self._text_number = 0  # of the newest text

    def note(self, outcome: PollOutcome, lanes: tuple[Lane, ...]) -> None:
        """Take a poll that was not cancelled."""
        results, error, dial = outcome.results, outcome.error, outcome.dial
        dns_s = connect_s = tls_s = auth_s = 0.0
        if dial is not None:
            took_s = dial.by_step.get
            dns_s, connect_s = took_s(DialStep.DNS, 0.0), took_s(DialStep.CONNECT, 0.0)
            tls_s, auth_s = took_s(DialStep.TLS, 0.0), took_s(DialStep.AUTH, 0.0)
        place = self._noted % POLLS_MAX
        bits = 0
        for lane in lanes:
            bits |= _BITS[lane]
        if bits == _SCAN:
            self._has_scans = True
            self._durations_s[place] = -outcome.duration_s
        else:
            self._durations_s[place] = outcome.duration_s
        _pack(
            self._records,
            place * _SIZE,
            outcome.wall_at,
            dns_s,
            connect_s,
            tls_s,
            auth_s,
            results.received if results is not None else 0.0,
            bits,
            _NUMBERS[error.reason] if error is not None else 0,
            self._number_of(str(error)) if error is not None else 0,
        )
        self._noted += 1

    def newest(self) -> Iterator[PastPoll]:
        """The polls, the newest first."""
        for number in range(self._noted - 1, max(-1, self._noted - 1 - POLLS_MAX), -1):
            yield self._poll(number)

    def durations_s(self) -> Sequence[float]:
        """How long the polls took, in no order and without scans: a scan takes longer on purpose. Cheap, for
        tables of all targets."""
        durations_s = self._durations_s[: min(self._noted, POLLS_MAX)]
        return [each for each in durations_s if each >= 0.0] if self._has_scans else durations_s

    def _poll(self, number: int) -> PastPoll:
        place = number % POLLS_MAX
        began_at, dns_s, connect_s, tls_s, auth_s, received, lanes, reason, text = _RECORD.unpack_from(
            self._records, place * _SIZE
        )
        return PastPoll(
            began_at,
            abs(self._durations_s[place]),
            _REASONS[reason],
            tuple(lane for lane, bit in _BITS.items() if lanes & bit),
            dns_s,
            connect_s,
            tls_s,
            auth_s,
            received,
            self._texts[text - 1].decode("utf-8", "ignore") if text else "",
        )

    def _number_of(self, text: str) -> int:
        """Of a text. A new one takes the place of the oldest, whose polls have no text from then on."""
        wanted = text.encode("utf-8", "replace")[:TEXT_BYTES]
        if wanted in self._texts:
            return self._texts.index(wanted) + 1
        if len(self._texts) < TEXTS_MAX:
            self._texts.append(wanted)
            self._text_number = len(self._texts)
            return self._text_number
        number = self._text_number = self._text_number % TEXTS_MAX + 1
        self._texts[number - 1] = wanted
        for at in range(_TEXT_AT, len(self._records), _SIZE):
            if self._records[at] == number:
                self._records[at] = 0
        return number
