"""The endpoint: where it listens, what it reports of itself, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from exporter.app.backend import Backend
from exporter.app.build import Configuration, configure
from exporter.app.frontend import Frontend
from exporter.errors import ConfigError
from exporter.options.commandline import parse
from exporter.web.reload import Reloaded
from tests.servers import Certificates
from tests.watch_harness import others

OPEN_FILES = 1000


def configuration(*argv: str) -> Configuration:
    return configure(parse(["--web.listen-address=127.0.0.1:0", *argv], {}), ())


async def no_reload() -> Reloaded:
    return Reloaded(False, "")


class Endpoint:
    """A frontend and the backend behind it."""

    def __init__(self, *argv: str) -> None:
        self.configuration = configuration(*argv)
        self.frontend = Frontend(self.configuration.options.web, OPEN_FILES)
        self.backend = Backend(self.configuration, OPEN_FILES, self.frontend.readers())

    async def start(self) -> None:
        await self.backend.apply(self.configuration)
        await self.frontend.start(self.configuration, self.backend, no_reload)

    async def stop(self) -> None:
        await self.frontend.stop()
        await self.backend.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()
    assert others() == set()


async def test_answers_with_the_pages_of_the_backend(endpoint: Endpoint) -> None:
    [address] = endpoint.frontend.addresses
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as response:
        assert response.status == 200
        assert "redis_exporter_http_connections 1.0" in await response.text()


async def test_is_nowhere_before_its_start() -> None:
    assert Endpoint().frontend.addresses == []


async def test_an_address_that_cannot_be_had_is_a_mistake(endpoint: Endpoint) -> None:
    [address] = endpoint.frontend.addresses
    second = Endpoint(f"--web.listen-address={address}")
    with pytest.raises(ConfigError, match="another program uses this address"):
        await second.start()
    assert second.frontend.addresses == []
    await second.stop()


async def test_says_that_it_has_tls(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "exporter")
    endpoint = Endpoint(
        f"--tls-server-cert-file={certificates.server}", f"--tls-server-key-file={certificates.server_key}"
    )
    await endpoint.start()
    [address] = endpoint.frontend.addresses
    assert f"listening on https://{address}" in caplog.text
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session:
            await session.get(f"http://{address}/metrics")
    await endpoint.stop()
