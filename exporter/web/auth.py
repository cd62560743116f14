"""Basic authentication of the HTTP endpoint: one user, with a password or a bcrypt hash of it.

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
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Middleware

from exporter.errors import ConfigError
from exporter.web.answers import TextAnswer, response_of
from exporter.web.clients import client_of
from exporter.web.incidents import REFUSING, Incidents
from exporter.web.password_checks import ANYBODY, PasswordChecks, Presence, Sender, TooManyChecksError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHALLENGE = 'Basic realm="redis-exporter", charset="UTF-8"'
_HASH = re.compile(r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")
#: a hash of a higher cost takes several seconds for each check
_COST_MAX = 16
#: wrong passwords that are remembered
_WRONG_MAX = 1024
#: right ones that are remembered: bcrypt reads only the beginning, so a right one has many spellings
_RIGHT_MAX = 16


class BasicAuth:
    """Decides whether a request may be answered.

    bcrypt is slow on purpose: a check takes a good part of a second. So it runs only for the right user, and
    for a password that is not known yet. Right and wrong passwords are remembered as digests under a key of
    this process.

    A wrong user is refused without bcrypt, so the time of the answer shows whether a user name is right. That
    name is not a secret: it is in the scraper's configuration and in the list of processes. In return, only
    clients that know it can keep bcrypt busy.
    """

    def __init__(
        self, username: str, password: str = "", password_hash: str = "", waiting_max: int = 8
    ) -> None:
        if password and password_hash:
            raise ConfigError(
                "--basic-auth-password and --basic-auth-hash-password are both set: keep one of them"
            )
        if not username or not (password or password_hash):
            raise ConfigError(
                "basic authentication is half set: set --basic-auth-username and a password or hash, or "
                "neither"
            )
        if ":" in username:
            raise ConfigError(
                "--basic-auth-username holds a colon, which ends the name in basic authentication: choose a "
                "name without a colon"
            )
        if password_hash and not _HASH.match(password_hash):
            raise ConfigError(
                "--basic-auth-hash-password is not a bcrypt hash: write one such as htpasswd -nB prints, "
                "beginning with $2"
            )
        if password_hash and int(password_hash[4:6]) > _COST_MAX:
            raise ConfigError(
                f"--basic-auth-hash-password has a cost above {_COST_MAX}, which is slow: write one such as "
                f"htpasswd -nB -C 12 prints"
            )
        self._usernames = _spellings(os.fsencode(username))
        self._checks = PasswordChecks(password_hash.encode(), waiting_max) if password_hash else None
        self._key = os.urandom(32)
        self._right = OrderedDict.fromkeys(
            map(self._digest, _spellings(os.fsencode(password))) if password else ()
        )  # the newest last
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    async def accepts(self, header: str, sender: Sender = ANYBODY) -> bool:
        """Whether the value of the header Authorization ("" without one) is right. Raises
        TooManyChecksError."""
        known = self.known(header)
        return await self._check(header, sender) if known is None else known

    def known(self, header: str) -> bool | None:
        """The same, without a wait. None if the password has to be checked."""
        username, password = _credentials(header)
        digest = self._digest(password)
        is_user = _is_any(username, self._usernames)
        is_right = _is_any(digest, self._right)
        if is_user and is_right:
            self._right.move_to_end(digest)
            return True
        if self._checks is None or not is_user or not password or digest in self._wrong:
            return False
        return None

    async def _check(self, header: str, sender: Sender) -> bool:
        assert self._checks is not None
        _, password = _credentials(header)
        digest = self._digest(password)
        if not await self._checks.are_right(digest, _spellings(password), sender):
            _remember(self._wrong, digest, _WRONG_MAX)
            return False
        _remember(self._right, digest, _RIGHT_MAX)
        return True

    def _digest(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, hashlib.sha256)


class SignIn:
    """Refuses the requests that `auth` does not accept, and notes that."""

    def __init__(self, auth: BasicAuth, incidents: Incidents) -> None:
        self._auth = auth
        self._incidents = incidents

    def refusal(
        self, header: str, sender: Sender, path: str
    ) -> TextAnswer | Awaitable[TextAnswer | None] | None:
        """None if the value of the header Authorization is right; or a wait for that. `path` is a row of the
        table of endpoints."""
        known = self._auth.known(header)
        if known is None:
            return self._checked(header, sender, path)
        return None if known else self._refuse(401, sender, path)

    async def _checked(self, header: str, sender: Sender, path: str) -> TextAnswer | None:
        try:
            accepted = await self._auth.accepts(header, sender)
        except TooManyChecksError:
            self._incidents.note("too_many_checks")
            return self._refuse(429, sender, path)
        return None if accepted else self._refuse(401, sender, path)

    def _refuse(self, status: int, sender: Sender, path: str) -> TextAnswer:
        self._incidents.note_refusal(status, sender.address, path)
        if status == 429:
            return TextAnswer(429, "Too many sign-ins at once\n", {"Retry-After": "1"})
        return TextAnswer(401, "Unauthorized\n", {"WWW-Authenticate": CHALLENGE})


def middleware(sign_in: SignIn) -> Middleware:
    """Lets only requests through that are not refused. It comes before every path, also before one that does
    not exist."""

    @web.middleware
    async def signed_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        header = request.headers.get("Authorization", "")
        refusal = sign_in.refusal(header, RequestSender(request), path_of(request))
        if isinstance(refusal, Awaitable):
            refusal = await refusal
        return await handler(request) if refusal is None else response_of(refusal)

    return signed_in


def noting_refusals(handler: Handler, incidents: Incidents) -> Handler:
    """The same handler. What it refuses is remembered."""

    async def noted(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        if response.status in REFUSING:
            incidents.note_refusal(response.status, client_of(request.transport), path_of(request))
        return response

    return noted


def path_of(request: web.Request) -> str:
    """The row of the table of endpoints that a request is for; "" if there is none. It has nothing of the
    request itself, which may hold passwords."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


class RequestSender:
    """The client of a request, which waits for the check of its password."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.address = client_of(request.transport)

    @property
    def presence(self) -> Presence:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return Presence.GONE
        return Presence.LISTENING if getattr(self._request.protocol, "half_closed", False) else Presence.HERE


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
