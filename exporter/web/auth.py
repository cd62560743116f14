"""Basic authentication of the HTTP endpoint: users, each with a password or a bcrypt hash of it.

https://www.rfc-editor.org/rfc/rfc7617
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial

from exporter.errors import ConfigError
from exporter.web.password_checks import ANYBODY, PasswordChecks, Sender

_HASH = re.compile(r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")
#: a hash of a higher cost takes several seconds for each check
COST_MAX = 16
#: sign-ins with a wrong password that are remembered
WRONG_MAX = 1024
#: right ones that are remembered for each user: bcrypt reads only the beginning, so a right one has many
#: spellings
RIGHT_MAX = 16


def hash_fault(text: str) -> str:
    """What is wrong with a bcrypt hash; "" for nothing. It holds nothing of the text."""
    if not _HASH.match(text):
        return "is not a bcrypt hash: write one such as htpasswd -nB prints, beginning with $2"
    if int(text[4:6]) > COST_MAX:
        return f"has a cost above {COST_MAX}, which is slow: write one such as htpasswd -nB -C 12 prints"
    return ""


def auth_of(username: str, password: str = "", password_hash: str = "", waiting_max: int = 8) -> BasicAuth:
    """What the flags say about one user. Raises ConfigError."""
    if password and password_hash:
        raise ConfigError(
            "--basic-auth-password and --basic-auth-hash-password are both set: keep one of them"
        )
    if not username or not (password or password_hash):
        raise ConfigError(
            "basic authentication is half set: set --basic-auth-username and a password or hash, or neither"
        )
    if ":" in username:
        raise ConfigError(
            "--basic-auth-username holds a colon, which ends the name in basic authentication: choose a name "
            "without a colon"
        )
    fault = hash_fault(password_hash) if password_hash else ""
    if fault:
        raise ConfigError(f"--basic-auth-hash-password {fault}")
    clear, hashed = ({username: password}, {}) if password else ({}, {username: password_hash})
    return BasicAuth(hashed, clear, waiting_max)


class BasicAuth:
    """Decides whether a request may be answered. `hashed` are bcrypt hashes by user, `clear` passwords.

    bcrypt is slow on purpose: a check takes a good part of a second. So it runs only for a sign-in that is
    not known yet. Right and wrong ones are remembered as digests under a key of this process, which nobody
    else can make.

    A user who does not exist is checked against the hash of one who does, always the same one for a name.
    So the time of an answer does not show which names exist.
    """

    def __init__(
        self, hashed: Mapping[str, str], clear: Mapping[str, str] | None = None, waiting_max: int = 8
    ) -> None:
        self._key = os.urandom(32)
        self._hashes = {
            self._digest(name): password_hash.encode()
            for username, password_hash in hashed.items()
            for name in _spellings(os.fsencode(username))
        }
        self._decoys = tuple(self._hashes.values())
        self._checks = PasswordChecks(waiting_max)
        self._right = OrderedDict.fromkeys(
            self._digest(name, word)
            for username, password in (clear or {}).items()
            for name in _spellings(os.fsencode(username))
            for word in _spellings(os.fsencode(password))
        )  # the newest last
        self._right_max = len(self._right) + RIGHT_MAX * len(hashed)
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    async def accepts(self, header: str, sender: Sender = ANYBODY) -> bool:
        """Whether the value of the header Authorization ("" without one) is right. Raises
        TooManyChecksError."""
        known = self.known(header)
        return await self._check(header, sender) if known is None else known

    def known(self, header: str) -> bool | None:
        """The same, without a wait. None if the password has to be checked."""
        username, password = _credentials(header)
        digest = self._digest(username, password)
        if _is_any(digest, self._right):
            self._right.move_to_end(digest)
            return True
        if not self._decoys or not username or not password or digest in self._wrong:
            return False
        return None

    async def _check(self, header: str, sender: Sender) -> bool:
        username, password = _credentials(header)
        digest, name = self._digest(username, password), self._digest(username)
        own_hash = self._hashes.get(name)
        password_hash = own_hash or self._decoys[int.from_bytes(name[:8], "big") % len(self._decoys)]
        is_user = own_hash is not None
        learn = partial(self._learn, digest, is_user)
        is_password = await self._checks.are_right(digest, _spellings(password), password_hash, sender, learn)
        return is_user and is_password

    def _learn(self, digest: bytes, is_user: bool, is_password: bool) -> None:
        if is_user and is_password:
            _remember(self._right, digest, self._right_max)
        else:
            _remember(self._wrong, digest, WRONG_MAX)

    def _digest(self, *words: bytes) -> bytes:
        """Of a user, or of a user and a password: neither can be moved from one to the other."""
        text = b"".join(len(word).to_bytes(4, "big") + word for word in words)
        return hmac.digest(self._key, text, hashlib.sha256)


def _remember(known: OrderedDict[bytes, None], digest: bytes, at_most: int) -> None:
    known[digest] = None
    if len(known) > at_most:
        known.popitem(last=False)


def _is_any(word: bytes, known: Iterable[bytes]) -> bool:
    """The time does not depend on which it is."""
    found = False
    for each in known:
        found |= hmac.compare_digest(word, each)
    return found


def _spellings(text: bytes) -> list[bytes]:
    """The same characters in UTF-8 and in Latin-1, which clients send; the given spelling first."""
    spellings = [text]
    try:
        spellings.append(text.decode().encode("latin-1"))
    except UnicodeDecodeError:
        spellings.append(text.decode("latin-1").encode())
    except UnicodeEncodeError:
        pass
    return list(dict.fromkeys(spellings))


def _credentials(header: str) -> tuple[bytes, bytes]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        username, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return username, password
