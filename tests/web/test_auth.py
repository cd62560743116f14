"""Basic authentication: who is let in, and that every path asks."""

from __future__ import annotations

import asyncio
import base64

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.web import auth
from exporter.web.auth import BasicAuth
from tests.web.test_routes import Site, site  # noqa: F401  # a fixture

PASSWORD = "pässword:with colon"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def header(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture(params=["clear", "hashed"])
def guard(request: pytest.FixtureRequest) -> BasicAuth:
    return BasicAuth("prom", PASSWORD) if request.param == "clear" else BasicAuth("prom", "", HASHED)


class TestAccepts:
    async def test_the_user_with_the_password_again_and_again(self, guard: BasicAuth) -> None:
        for _ in range(3):
            assert await guard.accepts(header("prom", PASSWORD))
        assert await guard.accepts(header("prom", PASSWORD).replace("Basic", "basic"))

    @pytest.mark.parametrize(
        "wrong",
        [
            header("prom", "other"), header("other", PASSWORD), header("", ""), header("prom", ""), "", "Basic", "Basic !!!", "Bearer abc",
            "Basic " + base64.b64encode(b"no colon").decode(), header("prom", "x" * 80), header("prom", "nul\0"),
        ],
    )  # fmt: skip
    async def test_nobody_else(self, guard: BasicAuth, wrong: str) -> None:
        assert not await guard.accepts(wrong)
        await guard.accepts(header("prom", PASSWORD))
        assert not await guard.accepts(wrong)

    async def test_a_hash_is_worked_on_once_for_a_right_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        guard, checked = BasicAuth("prom", "", HASHED), []
        matches = auth._matches
        monkeypatch.setattr(auth, "_matches", lambda *args: checked.append(args) or matches(*args))
        for password in (PASSWORD, PASSWORD, "wrong", PASSWORD, "wrong"):
            await guard.accepts(header("prom", password))
        assert [args[0] for args in checked] == [PASSWORD.encode(), b"wrong", b"wrong"]

    async def test_who_comes_all_at_once_costs_one_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        guard, checked = BasicAuth("prom", "", HASHED), []
        matches = auth._matches
        monkeypatch.setattr(auth, "_matches", lambda *args: checked.append(args) or matches(*args))
        assert await asyncio.gather(*(guard.accepts(header("prom", PASSWORD)) for _ in range(5))) == [True] * 5
        assert len(checked) == 1

    async def test_of_a_long_password_bcrypt_takes_the_beginning(self) -> None:
        guard = BasicAuth("prom", "", bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
        assert await guard.accepts(header("prom", "x" * 80))
        assert not await guard.accepts(header("prom", "x" * 71))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prom", "a", HASHED), "both set"),
        (("prom", "", ""), "half set"),
        (("", "a", ""), "half set"),
        (("", "", HASHED), "half set"),
        (("prom", "", "$2b$12$short"), "no bcrypt hash"),
        (("prom", "", "s3cret"), "no bcrypt hash"),
        (("prom", "", HASHED.replace("$04$", "$99$")), "no bcrypt hash"),
    ],
)
def test_half_a_configuration_is_refused(words: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        BasicAuth(*words)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("path", ["/", "/metrics", "/scrape?target=first", "/health", "/-/healthy", "/-/reload", "/nowhere"])
async def test_every_path_asks(site: Site, path: str) -> None:  # noqa: F811
    site.auth = BasicAuth("prom", PASSWORD)
    await site.start()
    response, body = await site.ask(path)
    assert (response.status, body) == (401, b"Unauthorized\n")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="redis-exporter", charset="UTF-8"'
    response, _ = await site.ask(path, Authorization=header("prom", PASSWORD))
    assert response.status == {"/nowhere": 404, "/-/reload": 400}.get(path, 200)
