"""How long each step of a dial takes: with real servers, and with a dial that stops on its way."""

from __future__ import annotations

import time

import pytest

from exporter.connection.dial_times import DialStep, DialTimes
from exporter.connection.dialer import Dialer
from exporter.connection.settings import DialSettings
from exporter.errors import AuthError, TargetError
from tests.connection.dialling import AMPLE_S, SECRET, RedisFactory, ScriptFactory, needs_tls_server, target
from tests.servers import Certificates, answers

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


async def times_of(
    to_port: int, within_s: float = AMPLE_S, settings: DialSettings | None = None, **more: str
) -> tuple[DialTimes, str]:
    """The steps of a dial, and the name of the error that ended it."""
    times, failure = DialTimes(), ""
    dialer, until = Dialer(settings), time.monotonic() + within_s
    try:
        (await dialer.dial(target(to_port, **more), until, times=times)).close()
    except TargetError as error:
        failure = type(error).__name__
    times.end()
    return times, failure


async def test_a_dial_has_the_steps_that_it_needs(redis_server: RedisFactory) -> None:
    server = redis_server()
    began_at = time.monotonic()
    times, failure = await times_of(server.port)
    took_s = time.monotonic() - began_at
    assert not failure
    assert list(times.by_step) == [DialStep.DNS, DialStep.CONNECT, DialStep.AUTH]
    assert all(seconds >= 0.0 for seconds in times.by_step.values())
    assert 0.0 < sum(times.by_step.values()) <= took_s


@needs_tls_server
async def test_tls_is_a_step_of_its_own(redis_server: RedisFactory, certificates: Certificates) -> None:
    settings = DialSettings(
        ca_file=certificates.ca, cert_file=certificates.client, key_file=certificates.client_key
    )
    server = redis_server(certificates=certificates)
    times, failure = await times_of(server.port, settings=settings, scheme="rediss")
    assert not failure
    assert list(times.by_step) == [DialStep.DNS, DialStep.CONNECT, DialStep.TLS, DialStep.AUTH]
    assert times.by_step[DialStep.TLS] > 0.0


@pytest.mark.usefixtures("connects_in_time")
async def test_a_step_that_fails_counts_up_to_its_failure(scripted_server: ScriptFactory) -> None:
    silent = scripted_server(answers())
    times, failure = await times_of(silent.port, within_s=0.2)
    assert failure == "SilenceError"
    assert list(times.by_step)[-1] is DialStep.AUTH
    assert times.by_step[DialStep.AUTH] > 0.0


async def test_a_wrong_password_fails_in_the_login(redis_server: RedisFactory) -> None:
    times, failure = await times_of(redis_server("--requirepass", "other").port, password=SECRET)
    assert failure == AuthError.__name__
    assert DialStep.AUTH in times.by_step


async def test_steps_do_not_overlap() -> None:
    times = DialTimes()
    times.begin(DialStep.DNS)
    times.begin(DialStep.CONNECT)
    times.end()
    times.end()
    assert list(times.by_step) == [DialStep.DNS, DialStep.CONNECT]
