"""The check at the door: requests that the entrance does not let in are refused before anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Middleware

from exporter.web.answers import TextAnswer, response_of
from exporter.web.clients import client_of
from exporter.web.entrance import Entrance
from exporter.web.incidents import REFUSING, Incidents
from exporter.web.password_checks import Presence, Sender, TooManyChecksError
from exporter.web.visit import wait_within

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHALLENGE = 'Basic realm="redis-exporter", charset="UTF-8"'


class SignIn:
    """Refuses the requests that `entrance` does not let in, and notes that. `open_paths` let everybody in:
    they are rows of the table of endpoints."""

    def __init__(self, entrance: Entrance, incidents: Incidents, open_paths: Collection[str] = ()) -> None:
        self._entrance = entrance
        self._incidents = incidents
        self._open_paths = frozenset(open_paths)

    def refusal(
        self, header: str, sender: Sender, path: str
    ) -> TextAnswer | Awaitable[TextAnswer | None] | None:
        """None if the value of the header Authorization is right; or a wait for that. `path` is a row of the
        table of endpoints."""
        if path in self._open_paths:
            return None
        self._entrance.look()
        admission = self._entrance.newest
        if admission.bucket is not None and not admission.bucket.take():
            self._incidents.note("rate_limited", client=sender.address)
            return self._refuse(429, "Too many requests\n", sender, path)
        if admission.auth is None:
            return None
        known = admission.auth.known(header)
        if known is None:
            return self._checked(admission.auth.accepts(header, sender), sender, path)
        return None if known else self._refuse(401, "Unauthorized\n", sender, path)

    async def _checked(self, checking: Awaitable[bool], sender: Sender, path: str) -> TextAnswer | None:
        try:
            accepted = await checking
        except TooManyChecksError:
            self._incidents.note("too_many_checks", client=sender.address)
            return self._refuse(429, "Too many sign-ins at once\n", sender, path)
        return None if accepted else self._refuse(401, "Unauthorized\n", sender, path)

    def _refuse(self, status: int, text: str, sender: Sender, path: str) -> TextAnswer:
        self._incidents.note_refusal(status, sender.address, path)
        headers = {"WWW-Authenticate": CHALLENGE} if status == 401 else {"Retry-After": "1"}
        return TextAnswer(status, text, headers)


def middleware(sign_in: SignIn) -> Middleware:
    """Lets only requests through that are not refused. It comes before every path, also before one that does
    not exist."""

    @web.middleware
    async def signed_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        header = request.headers.get("Authorization", "")
        refusal = sign_in.refusal(header, RequestSender(request), path_of(request))
        if isinstance(refusal, Awaitable):
            refusal = await wait_within(request, refusal)
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
