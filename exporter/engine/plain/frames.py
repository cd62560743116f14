"""Where replies end and whether they may be read. `_fastparse.pyi` states its use.

The walk goes step by step: a step is a method that takes bytes from `self._data` at `self.at` and names the
next step.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MORE, DONE, TOO_LARGE, SKIPPED, BROKEN, HOPELESS = range(6)

#: lists within lists; the deepest reply on record has 6
DEPTH_MAX = 32
#: bytes of a status or an error
LINE_MAX = 65536
#: errors within lists of all replies: each becomes a Python object
ERRORS_MAX = 100
#: bytes that the shortest element takes
ELEMENT_MIN = 3

_NUMBER_MAX = 2**63 - 1
_LINE_END = re.compile(rb"[\r\n]")


class Frames:
    # of the element under way, from its type on
    _kind: int
    #: of a text or the digits of a number, as far as it came; bytes of a bulk that are still to come
    _length: int
    _number: int
    _negative: bool

    def __init__(self) -> None:
        self.expect(0, 0, 0, 0)

    def expect(self, replies: int, bytes_max: int, elements_max: int, total_max: int) -> None:
        self.at = self.kept = self.finished = 0
        self.skipping = False
        self.why = ""
        self._wanted = replies
        self._bytes_max, self._elements_max, self._total_max = bytes_max, elements_max, total_max
        self._total = 0  # bytes walked over before `self._data[self.at]`
        self._frame_n = 0  # bytes of the reply under way that came before `self.kept`
        self._elements = 0  # what the reply under way has announced
        self._errors = 0  # within lists so far
        self._ends: list[int] = []
        self._left: list[int] = []  # elements that are still to come, by depth
        self._step: Callable[[], int] = self._type

    def scan(self, data: bytes, begin: int = 0) -> int:
        if begin > len(data):
            raise ValueError("beyond the data")
        self._data = data
        self.at = self.kept = max(begin, 0)
        self._base = self._total - self.at  # bytes before `data`
        code = MORE
        if self._base + len(data) > self._total_max:
            code = self._fail(HOPELESS, "the replies have too many bytes in all")
        while code == MORE and self.at < len(data):
            code = self._step()
        self._total = self._base + self.at
        self._frame_n += self.at - self.kept
        return code

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(self._ends)

    def _fail(self, code: int, why: str) -> int:
        self.why = why
        self.skipping = self.skipping or code == TOO_LARGE
        return code

    def _take(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    @property
    def _room(self) -> int:
        """Bytes that all replies may still have."""
        return self._total_max - self._base - self.at

    def _so_far(self) -> int:
        """Bytes of the reply under way."""
        return self._frame_n + self.at - self.kept

    # The steps.

    def _type(self) -> int:
        if self._left and not self.skipping and self._so_far() > self._bytes_max:
            return self._fail(TOO_LARGE, "a reply has too many bytes")
        self._kind = self._take()
        self._length = 0
        if self._kind in b"+-":
            self._step = self._text
            if self._kind == 45 and self._left and not self.skipping:
                self._errors += 1
                if self._errors > ERRORS_MAX:
                    return self._fail(TOO_LARGE, "the replies have too many errors within lists")
        elif self._kind in b"$*:":
            self._number, self._negative = 0, False
            self._step = self._digit
        else:
            return self._fail(BROKEN, "a reply of an unknown type")
        return MORE

    def _digit(self) -> int:
        byte = self._take()
        if 48 <= byte <= 57 and not (self._length == 1 and self._number == 0):
            self._number = 10 * self._number + byte - 48
            self._length += 1
            return (
                MORE
                if self._number <= _NUMBER_MAX + self._negative
                else self._fail(BROKEN, "an invalid number")
            )
        if byte == 45 and self._length == 0 and not self._negative:
            self._negative = True
            return MORE
        if byte != 13 or self._length == 0 or (self._negative and self._number == 0):
            return self._fail(BROKEN, "an invalid number")
        if self._kind != 58 and self._negative and self._number != 1:
            return self._fail(BROKEN, "a length or count below zero")
        self._step = self._header_end
        return MORE

    def _header_end(self) -> int:
        if self._data[self.at] != 10:
            return self._fail(BROKEN, "a line that does not end in CR LF")
        self.at += 1
        self._step = self._type
        if self._kind == 58 or self._negative:
            return self._close()
        return self._open_bulk() if self._kind == 36 else self._open_list()

    def _open_bulk(self) -> int:
        self._length = self._number
        self._step = self._body if self._number else self._cr
        if self._number > self._room:
            return self._fail(HOPELESS, "a reply has too many bytes")
        if not self.skipping and self._so_far() + self._number > self._bytes_max:
            return self._fail(TOO_LARGE, "a reply has too many bytes")
        return MORE

    def _open_list(self) -> int:
        if self._number == 0:
            return self._close()
        if len(self._left) == DEPTH_MAX:
            return self._fail(BROKEN, "lists are nested too deeply")
        if self._number > self._room // ELEMENT_MIN:
            return self._fail(HOPELESS, "a reply has too many elements")
        self._left.append(self._number)
        self._elements += self._number
        if not self.skipping and self._elements > self._elements_max:
            return self._fail(TOO_LARGE, "a reply has too many elements")
        return MORE

    def _body(self) -> int:
        step = min(self._length, len(self._data) - self.at)
        self.at += step
        self._length -= step
        if not self._length:
            self._step = self._cr
        return MORE

    def _text(self) -> int:
        limit = self.at + LINE_MAX - self._length
        found = _LINE_END.search(self._data, self.at, limit)
        end = found.start() if found else min(limit, len(self._data))
        self._length += end - self.at
        self.at = end
        if end == len(self._data):
            return MORE
        if self._data[end] == 13:
            self.at += 1
            self._step = self._lf
            return MORE
        return (
            self._fail(BROKEN, "a line that does not end in CR LF")
            if self._data[end] == 10
            else self._fail(HOPELESS, "a line is too long")
        )

    def _cr(self) -> int:
        if self._data[self.at] != 13:
            return self._fail(BROKEN, "a line that does not end in CR LF")
        self.at += 1
        self._step = self._lf
        return MORE

    def _lf(self) -> int:
        if self._data[self.at] != 10:
            return self._fail(BROKEN, "a line that does not end in CR LF")
        self.at += 1
        self._step = self._type
        return self._close()

    def _close(self) -> int:
        """An element has ended, and with it maybe the lists that it was the last of."""
        while self._left:
            self._left[-1] -= 1
            if self._left[-1]:
                return MORE
            self._left.pop()
        if self.finished < self._wanted:
            self._ends.append(self._base + self.at)
        self.finished += 1
        self._frame_n = self._elements = 0
        self.kept = self.at
        if self.skipping:
            self.skipping = False
            return SKIPPED
        return DONE if self.finished == self._wanted else MORE
