"""Targets from a URL that answers in Prometheus' http_sd form."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from exporter import __version__, files, masks
from exporter.targets.source import Changed, SourceHealth
from exporter.targets.target import Target
from exporter.targets.target_groups import Found, TargetGroupsError, read_json

#: an answer takes at most this long, and less if the interval is shorter
TIMEOUT_S = 30.0
#: intervals differ by this part, so that several exporters do not come at once
JITTER = 0.1
_JSON = re.compile(r"application/json(\s*;\s*charset=\"?utf-8\"?)?\Z", re.IGNORECASE)
_CHUNK = 64 * 1024


class AnswerError(Exception):
    """An answer is not used; the text says why."""


@dataclass(frozen=True)
class HttpSd:
    """What `url` answers, asked for every `refresh_s`. While it fails, the newest good answer counts. User
    and password of the URL are sent as basic authentication, to that server only: redirections are not
    followed. The `number` distinguishes URLs that differ only in what is not shown."""

    url: str = field(repr=False)
    refresh_s: float
    limits: files.FileLimits = files.DEFAULT
    number: int = 1
    health: SourceHealth = field(default_factory=SourceHealth, compare=False)

    @property
    def name(self) -> str:
        number = f" ({self.number})" if self.number > 1 else ""
        return f"--targets.http-sd={masks.mask(self.url)}{number}"

    async def run(self, changed: Changed) -> None:
        timeout = aiohttp.ClientTimeout(total=min(TIMEOUT_S, self.refresh_s))
        headers = {
            "Accept": "application/json",
            "User-Agent": f"redis_exporter/{__version__}",
            "X-Prometheus-Refresh-Interval-Seconds": f"{self.refresh_s:g}",
        }
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            while True:
                targets = await self._find(session)
                if targets is not None:
                    changed(targets)
                await asyncio.sleep(self.refresh_s * random.uniform(1 - JITTER, 1 + JITTER))

    async def _find(self, session: aiohttp.ClientSession) -> Sequence[Target] | None:
        """None if the answer cannot be used."""
        try:
            text = await self._fetch(session)
            found = await files.off_loop(lambda: _parse(text))
        except TimeoutError:
            self.health.fail(self.name, "no whole answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.health.fail(self.name, masks.mask(_why(error)))
        except (AnswerError, files.FileError) as error:
            self.health.fail(self.name, str(error))
        else:
            self.health.succeed()
            self.health.fault(self.name, "; ".join(found.faults))
            return found.targets
        return None

    async def _fetch(self, session: aiohttp.ClientSession) -> bytes:
        async with session.get(self.url, allow_redirects=False) as response:
            if 300 <= response.status < 400:
                raise AnswerError("the answer is a redirection: write the address that it leads to")
            if response.status != 200:
                raise AnswerError(f"the answer has status {response.status}, not 200")
            kind = response.headers.get("Content-Type", "")
            if not _JSON.match(kind.strip()):
                raise AnswerError(f"the answer has the type {kind[:60]!r}, not application/json")
            chunks, size = [], 0
            async for chunk in response.content.iter_chunked(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > self.limits.max_bytes:
                    raise AnswerError(
                        f"the answer has more than {self.limits.max_bytes} bytes, the limit of "
                        f"--files.max-bytes"
                    )
            return b"".join(chunks)


def _why(error: Exception) -> str:
    """What is wrong, in words of ours: those of the libraries hold bytes of the answer, or name nothing."""
    match error:
        case aiohttp.ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as cause
        ):
            return f"the server's certificate cannot be trusted: {cause.verify_message}"
        case aiohttp.ClientConnectorSSLError(__cause__=ssl.SSLError(reason=str(said))):
            return f"TLS failed: {said.replace('_', ' ').lower()}"
        case aiohttp.ClientConnectorError(__cause__=socket.gaierror(strerror=said)):
            return f"the name cannot be resolved: {said}"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int(number))):
            return f"no connection: {os.strerror(number)}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection before it answered"
        case aiohttp.ClientPayloadError():
            return "the answer ends too early, or is not packed in the way that it says"
        case aiohttp.ClientResponseError() | aiohttp.http_exceptions.HttpProcessingError():
            return "the answer is no HTTP/1.x that can be read"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return f"it cannot be asked ({type(error).__name__})"


def _parse(body: bytes) -> Found:
    try:
        return read_json(body.decode("utf-8-sig"), "http_sd")
    except UnicodeDecodeError:
        raise AnswerError("the answer is not UTF-8") from None
    except TargetGroupsError as error:
        raise AnswerError(str(error)) from None
