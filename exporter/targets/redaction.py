"""Texts of servers as they may be shown: without the secrets of their target, on one line, of a bounded
length. Pure.

A server can repeat what was sent to it: an old one replies to an unknown AUTH with its arguments, a hostile
one may reply anything. So a server's text is cleaned where an error is made from it, and what uses the error
needs no care.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote

from exporter import safe_text

MASK = "***"
#: characters of a server's text that are shown
SHOWN_MAX = 200
#: characters of it that are looked at
READ_MAX = 4096
#: a shorter secret is masked only as a whole word: within words, other text would be masked
SHORT = 4
#: a longer secret is found by its beginning, because servers cut what they repeat
HEAD = 16
#: different logins whose secrets stay prepared; most targets share theirs
KEPT_MAX = 1024

_SCHEME = re.compile(r"\b[a-z]+://", re.IGNORECASE)
#: %hh, also of a % that was escaped itself; \xhh, \uhhhh and \n, after any number of backslashes; + for a
#: space
_ESCAPE = re.compile(
    r"%(?:25)*(?P<byte>[0-9a-fA-F]{2})"
    r"|\\+(?:x(?P<hex>[0-9a-fA-F]{2})|u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\+u[dD][c-fC-F][0-9a-fA-F]{2})|u(?P<unit>[0-9a-fA-F]{4})"
    r"|(?P<sign>[abtnvfr])|(?P<none>))"
    r"|(?P<plus>\+)"
)
_SIGNS = dict(zip("abtnvfr", (b"\a", b"\b", b"\t", b"\n", b"\v", b"\f", b"\r"), strict=True))
#: what an address may be part of
_RUN = re.compile(r"[^\s\"']+")


class Redaction:
    """Cleans texts of servers that have, or had, this user and one of these passwords."""

    def __init__(self, user: str = "", *passwords: str) -> None:
        words = [safe_text.given_bytes(password) for password in passwords]
        found = {form for word in words for form in _forms(safe_text.given_bytes(user), word)}
        forms = sorted(found, key=len, reverse=True)
        rests: dict[str, list[str]] = {}  # by the beginning: several forms can begin alike
        for form in forms:
            if len(form) >= SHORT:
                rests.setdefault(form[:HEAD], []).append(form[HEAD:].lower())
        self._long = [(re.compile(re.escape(head), re.IGNORECASE), rest) for head, rest in rests.items()]
        self._needles = tuple(needle for word in words for needle in _needles(word))
        short = [re.escape(form) for form in forms if len(form) < SHORT]
        self._short = re.compile(rf"(?<!\w)(?:{'|'.join(short)})(?!\w)") if short else None

    def clean(self, text: str) -> str:
        """At most `SHOWN_MAX` characters of a text, as valid UTF-8 on one line, with `***` in place of each
        secret."""
        is_cut = len(text) > READ_MAX
        text = text[:READ_MAX]
        text = _mask_escaped(text, self._needles)
        for head, rest in self._long:
            text = _mask(text, head, rest)
        if self._short is not None:
            text = self._short.sub(MASK, text)
        if is_cut:  # it may end with the beginning of a secret
            text = f"{text[:-HEAD]}…"
        return safe_text.one_line(_mask_userinfo(text), SHOWN_MAX)


def redaction_of_login(login: bytes) -> Redaction:
    """For a web server that was sent this login, `user:password`."""
    user, _, password = login.decode("utf-8", "surrogateescape").partition(":")
    return Redaction(user, *filter(None, [password]))


def _mask(text: str, head: re.Pattern[str], rests: Sequence[str]) -> str:
    """Mask each place where a secret begins, as far as one of its forms continues there."""
    parts = []
    at = 0
    for match in head.finditer(text):
        if match.start() < at:
            continue
        parts += [text[at : match.start()], MASK]
        following = [sign.lower() for sign in text[match.end() : match.end() + max(map(len, rests))]]
        at = match.end() + max(_common(following, rest) for rest in rests)
    return "".join([*parts, text[at:]])


def _common(one: Sequence[object], other: Sequence[object]) -> int:
    """How many first items are the same in both."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _mask_userinfo(text: str) -> str:
    """Mask user and password in addresses. The time grows with the length of the text; with one regular
    expression it would grow with its square."""
    return _RUN.sub(_mask_run, text) if "://" in text and "@" in text else text


def _mask_run(run: re.Match[str]) -> str:
    """From the first scheme to the last @, because a password may have one."""
    scheme, at = _SCHEME.search(run[0]), run[0].rfind("@")
    return f"{run[0][: scheme.end()]}{MASK}{run[0][at:]}" if scheme and at >= scheme.end() else run[0]


def _forms(user: bytes, password: bytes) -> Iterator[str]:
    """The forms that a server can give a password: plain, percent-encoded, escaped as in its logs, in base64,
    in hexadecimal digits.

    `_mask_escaped` finds escapes of any of its characters, but not if the password is shorter than `SHORT`.
    """
    if not password:
        return
    yield password.decode("utf-8", "replace")
    yield password.decode("utf-8", "surrogateescape")
    yield password.decode("latin-1")
    for safe in ("/", ""):
        yield quote(password, safe=safe)
    escaped = str(password)[2:-1]
    yield escaped
    yield escaped.replace('"', '\\"')
    yield escaped.replace("\\'", "'")
    if len(password) < SHORT:
        for before in ("%", "\\x", "\\u00"):
            yield "".join(f"{before}{byte:02x}" for byte in password)
    if len(password) >= SHORT:
        yield password.hex()
        for words in (password, user + b":" + password, b":" + password):
            yield b64encode(words).decode().rstrip("=")
            yield urlsafe_b64encode(words).decode().rstrip("=")


def _needles(password: bytes) -> Iterator[bytes]:
    """What `_unescaped` makes of texts that have the password, plain or escaped."""
    plain = password.replace(b"\\", b"").replace(b"+", b" ").lower()
    for needle in dict.fromkeys((_unescaped(password.decode("utf-8", "surrogateescape"))[0], plain)):
        if len(needle) >= SHORT:
            yield needle


def _unescaped(text: str) -> tuple[bytes, list[int]]:
    """The bytes that a text means, in lower case, without backslashes, with a space for each +; and where in
    the text each of them begins."""
    data = bytearray()
    places: list[int] = []
    end = 0

    def take(begin: int, end: int) -> None:
        if text[begin:end].isascii():
            data.extend(text[begin:end].encode())
            places.extend(range(begin, end))
            return
        for place in range(begin, end):
            put(safe_text.given_bytes(text[place]), place)

    def put(read: bytes, place: int) -> None:
        read = read.replace(b"\\", b"")
        data.extend(read)
        places.extend([place] * len(read))

    for match in _ESCAPE.finditer(text):
        take(end, match.start())
        end = match.end()
        put(_read_escape(match), match.start())
    take(end, len(text))
    return bytes(data).replace(b"+", b" ").lower(), [*places, len(text)]


def _read_escape(match: re.Match[str]) -> bytes:
    kind = match.lastgroup
    if kind == "byte" or kind == "hex":
        return bytes([int(match[kind], 16)])
    if kind == "pair":
        high, low = match[kind][:4], match[kind][-4:]
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()
    if kind == "unit":
        return chr(int(match[kind], 16)).encode("utf-8", "surrogatepass")
    if kind == "sign":
        return _SIGNS[match[kind]]
    return b" " if kind == "plus" else b""


def _mask_escaped(text: str, needles: Sequence[bytes]) -> str:
    """Mask a secret with escaped characters, in one pass over the text."""
    if not needles or _ESCAPE.search(text) is None:
        return text
    data, places = _unescaped(text)
    parts, done = [], 0
    for begin, end in sorted(_found(data, needles)):
        if places[begin] >= done:
            parts += [text[done : places[begin]], MASK]
        done = max(done, places[end])
    return "".join([*parts, text[done:]])


def _found(data: bytes, needles: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where each needle begins, and how far it continues there."""
    for needle in needles:
        head = needle[:HEAD]
        begin = data.find(head)
        while begin >= 0:
            length = _common(data[begin : begin + len(needle)], needle)
            yield begin, begin + length
            begin = data.find(head, begin + length)


#: of a target without a password
NOTHING = Redaction()


@lru_cache(KEPT_MAX)
def redaction_of(user: str, *passwords: str) -> Redaction:
    """Targets with the same user and passwords share this."""
    return Redaction(user, *passwords) if any(passwords) else NOTHING
