"""What is refused before anything else looks at a request: on every path, with the reason counted."""

from __future__ import annotations

import asyncio
import threading

import bcrypt
import pytest

from exporter.options.endpoints import PROBES
from exporter.web import password_checks
from exporter.web.auth import auth_of
from exporter.web.entrance import Entrance, EntranceRules
from exporter.web.incidents import Incidents
from exporter.web.password_checks import ANYBODY
from exporter.web.sign_in import SignIn
from exporter.web.token_bucket import RateLimit, TokenBucket
from tests.store_fixture import until
from tests.web.test_auth import HASHED, PASSWORD, header
from tests.web.test_password_checks import Guesser
from tests.web.test_routes import Site, site  # noqa: F401  # a fixture


@pytest.mark.parametrize(
    "path", ["/sd", "/metrics", "/scrape?target=first", "/health", "/-/healthy", "/-/reload", "/nowhere"]
)
async def test_every_path_asks(site: Site, path: str) -> None:  # noqa: F811
    site.auth = auth_of("prom", PASSWORD)
    await site.start()
    response, body = await site.ask(path)
    assert (response.status, body) == (401, b"Unauthorized\n")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="redis-exporter", charset="UTF-8"'
    response, _ = await site.ask(path, Authorization=header("prom", PASSWORD))
    assert response.status == {"/nowhere": 404, "/-/reload": 400}.get(path, 200)


@pytest.mark.parametrize("path", ["/metrics", "/scrape?target=first", "/-/reload", "/nowhere", *PROBES])
async def test_probes_may_be_open_and_nothing_else(site: Site, path: str) -> None:  # noqa: F811
    site.auth = auth_of("prom", PASSWORD)
    await site.start(open_probes=True)
    response, _ = await site.ask(path)
    assert response.status == (200 if path in PROBES else 401)


async def test_too_many_sign_ins_are_answered_with_429(
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(
        password_checks, "matches", lambda password, password_hash: let_go.wait(10) and password == b"right"
    )
    site.auth = auth_of("prom", "", HASHED, waiting_max=1)
    await site.start()
    asked = [
        asyncio.ensure_future(site.ask("/health", Authorization=header("prom", f"guess{number}")))
        for number in range(6)
    ]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    refused, body = done.pop().result()
    assert (refused.status, refused.headers["Retry-After"], body) == (
        429,
        "1",
        b"Too many sign-ins at once\n",
    )
    assert {record.__dict__["client"] for record in caplog.records if hasattr(record, "client")} == {
        "127.0.0.1"
    }
    right = asyncio.ensure_future(site.ask("/health", Authorization=header("prom", "right")))
    await until(lambda: sum(task.done() for task in asked) == 5)  # it took the place of the one that waited
    let_go.set()
    assert (await right)[0].status == 200
    assert sorted(response.status for response, _ in await asyncio.gather(*asked)) == [
        401,
        429,
        429,
        429,
        429,
        429,
    ]


class TestWithoutASite:
    def test_without_users_everybody_is_let_in(self) -> None:
        assert SignIn(Entrance(), Incidents()).refusal("", ANYBODY, "/metrics") is None

    def test_beyond_the_rate_the_answer_is_429_before_a_password_is_looked_at(self) -> None:
        incidents = Incidents()
        admission = EntranceRules(auth_of("prom", PASSWORD), bucket=TokenBucket(RateLimit(3600.0, 2)))
        sign_in = SignIn(Entrance(lambda: admission), incidents, ["/health"])
        answers = [sign_in.refusal("", ANYBODY, "/metrics") for _ in range(5)]
        assert [getattr(each, "status", None) for each in answers] == [401, 401, 429, 429, 429]
        assert getattr(answers[-1], "headers", None) == {"Retry-After": "1"}
        assert incidents.counts["rate_limited"] == 3
        assert [each.status for each in incidents.refused] == [429, 429, 429, 401, 401]
        assert sign_in.refusal("", ANYBODY, "/health") is None

    def test_the_log_names_who_is_beyond_the_rate(self, caplog: pytest.LogCaptureFixture) -> None:
        admission = EntranceRules(bucket=TokenBucket(RateLimit(3600.0, 1)))
        sign_in = SignIn(Entrance(lambda: admission), Incidents())
        sender = Guesser("192.0.2.7")
        assert [sign_in.refusal("", sender, "/metrics") is None for _ in range(2)] == [True, False]
        assert [record.__dict__["client"] for record in caplog.records] == ["192.0.2.7"]

    async def test_new_users_come_in_and_old_ones_stay_out_from_the_next_request_on(self) -> None:
        entrance = Entrance(lambda: EntranceRules(auth_of("prom", PASSWORD)))
        sign_in = SignIn(entrance, Incidents())
        assert sign_in.refusal(header("prom", PASSWORD), ANYBODY, "/metrics") is None
        entrance.newest = EntranceRules(
            auth_of("prom", "", bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode())
        )
        waiting = sign_in.refusal(header("prom", PASSWORD), ANYBODY, "/metrics")
        assert hasattr(waiting, "__await__")
        refusal = await waiting  # type: ignore[misc]
        assert getattr(refusal, "status", None) == 401
        accepted = sign_in.refusal(header("prom", "new"), ANYBODY, "/metrics")
        assert accepted is not None
        assert await accepted is None  # type: ignore[misc]
