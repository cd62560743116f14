"""Numbers and label values: reading, converting, escaping their text."""

from __future__ import annotations

import re
from typing import NamedTuple

from exporter.engine.plain.labels import escape

NUM, USEC, MSEC, PERCENT, KIB, FLAG, UP, STATUS, ONE, AGO, SIGNED = range(11)
RAW, PERCENTILE, FRACTION, SIZE = range(4)

#: a longer text is not a number: servers print shorter ones, and Prometheus could not hold it
NUMBER_MAX = 40

_NUMBER = re.compile(rb"([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,2}))?\Z")
_INF = re.compile(rb"([+-]?)inf\Z", re.IGNORECASE)

_SIZE = re.compile(rb"([0-9]{1,6})([KMGT]?)\Z")
_POSITIVE = re.compile(rb"[0-9]+(?:\.[0-9]+)?\Z")
_FLAGS = {b"ok": b"1", b"true": b"1", b"yes": b"1", b"err": b"0", b"fail": b"0", b"false": b"0", b"no": b"0"}


class _Number(NamedTuple):
    sign: bytes
    whole: bytes
    fraction: bytes
    exponent: int | None


def _parse(text: bytes) -> _Number | None:
    if len(text) > NUMBER_MAX:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    sign, whole, fraction, exponent = match.groups()
    return _Number(
        b"-" if sign == b"-" else b"", whole, fraction or b"", None if exponent is None else int(exponent)
    )


def _with_point(sign: bytes, digits: bytes, decimals: int) -> bytes:
    """`digits` with a point before the last `decimals`, without zeros at the end."""
    digits = digits.rjust(decimals + 1, b"0")
    cut = len(digits) - decimals
    whole = digits[:cut].lstrip(b"0") or b"0"
    fraction = digits[cut:].rstrip(b"0")
    return sign + whole + (b"." + fraction if fraction else b"")


def _shift(number: _Number, decimals: int) -> bytes:
    """The number divided by ten to the power of `decimals`, by moving the point: nothing is rounded."""
    if number.exponent is not None:
        fraction = b"." + number.fraction if number.fraction else b""
        return number.sign + number.whole + fraction + b"e%d" % (number.exponent - decimals)
    return _with_point(number.sign, number.whole + number.fraction, decimals + len(number.fraction))


def convert(text: bytes, transform: int, now: float) -> bytes | None:
    """The sample's value; None for a text that is not a value; b"" for a value to leave out uncounted."""
    if transform == ONE:
        return b"1" if text else b""
    if transform == UP:
        return b"1" if text == b"up" else b"0"
    if transform == STATUS:
        return b"1" if text == b"ok" else b"0"
    if transform == FLAG and text in _FLAGS:
        return _FLAGS[text]
    if transform == PERCENT and text.endswith(b"%"):
        text = text[:-1]
    number = _parse(text)
    if number is None:
        inf = _INF.match(text) if transform in (NUM, FLAG, SIGNED) else None
        if inf is None or inf[1] != b"-":
            return inf and b"+Inf"
        return b"-Inf" if transform == SIGNED else b""
    if number.sign and transform != SIGNED and (number.whole + number.fraction).strip(b"0"):
        return b""
    if transform == USEC:
        return _shift(number, 6)
    if transform == MSEC:
        return _shift(number, 3)
    if transform == PERCENT:
        return _shift(number, 2)
    if transform == KIB:
        digits = number.whole + number.fraction
        if number.exponent is not None or len(digits) > 15:
            return None
        return _with_point(number.sign, b"%d" % (int(digits) * 1024), len(number.fraction))
    if transform == AGO:
        if number.exponent is not None or number.fraction or number.sign or len(number.whole) > 15:
            return None
        return b"%d" % (int(now) - int(number.whole))
    return text[1:] if text[:1] == b"+" else text


def sub_label(name: bytes, kind: int, limit: int) -> bytes | None:
    """The label value that the name of a sub-field stands for; None where it is of another form."""
    if len(name) > NUMBER_MAX:
        return None
    if kind == RAW:
        return escape(name, limit)
    if kind == SIZE:
        match = _SIZE.match(name)
        return match and b"%d" % (int(match[1]) << (10 * b"KMGT".find(match[2]) + 10 if match[2] else 0))
    if name[:1] != b"p" or not _POSITIVE.match(name[1:]):
        return None
    if kind == PERCENTILE:
        return name[1:]
    number = _parse(name[1:])
    return number and _shift(number, 2)


def format_value(value: float | int | bytes) -> bytes:
    """The shortest text that reads back as the same number."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    if value != value:
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"+Inf" if value > 0 else b"-Inf"
    if value == int(value) and abs(value) < 1e15:
        return b"%d" % int(value)
    return repr(value).encode()
