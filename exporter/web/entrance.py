"""Whom the endpoint lets in, and what all its answers carry."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter import files
from exporter.pem_files import FreshFiles
from exporter.web.answers import USUAL, CommonHeaders
from exporter.web.auth import BasicAuth
from exporter.web.tls import LOOK_S, ServerContext
from exporter.web.token_bucket import TokenBucket


@dataclass(frozen=True, slots=True)
class EntranceRules:
    """What holds now. Without `auth` everybody may ask, without `tls` the endpoint speaks plain HTTP, without
    `bucket` there is no limit on the number of requests. `notes` are lines for the log."""

    auth: BasicAuth | None = None
    tls: ServerContext | None = None
    headers: CommonHeaders = USUAL
    bucket: TokenBucket | None = None
    notes: Sequence[str] = ()


class Entrance(FreshFiles[EntranceRules]):
    """`newest` is what holds now. `make` reads it from the files of these names: it is made again when one
    has changed, and nothing has to be restarted."""

    def __init__(
        self,
        make: Callable[[], EntranceRules] = EntranceRules,
        names: Sequence[str] = (),
        shown: str = "",
        limits: files.FileLimits = files.DEFAULT,
    ) -> None:
        super().__init__(names, make, shown, limits)
        self._can_change = bool(self._names)

    @property
    def is_guarded(self) -> bool:
        """Whether a request may be refused, now or later."""
        return self._can_change or self.newest.auth is not None

    @property
    def context(self) -> ssl.SSLContext:
        """That of the next handshake, where there is TLS."""
        tls = self.newest.tls
        assert tls is not None
        return tls.context

    async def freshen_all(self) -> None:
        """Before a handshake: check the files, those of certificates too, unless that was done a short time
        ago."""
        await self.freshen(LOOK_S)
        if self.newest.tls is not None:
            await self.newest.tls.freshen()

    def renew(self) -> None:
        """Read files that have changed. ConfigError if they cannot be used."""
        super().renew()
        if self.newest.tls is not None:
            self.newest.tls.renew()
