"""Basic authentication: who is let in, and that every path asks."""

from __future__ import annotations

import asyncio
import base64
import os
import threading

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.web import auth, password_checks
from exporter.web.auth import BasicAuth
from tests.store_fixture import until
from tests.web.test_routes import Site, site  # noqa: F401  # a fixture

PASSWORD = "pässword:with colon"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def header(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture(params=["clear", "hashed"])
def guard(request: pytest.FixtureRequest) -> BasicAuth:
    return BasicAuth("prom", PASSWORD) if request.param == "clear" else BasicAuth("prom", "", HASHED)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that bcrypt was asked about."""
    asked: list[bytes] = []
    matches = password_checks.matches

    def counted(password: bytes, password_hash: bytes) -> bool:
        asked.append(password)
        return matches(password, password_hash)

    monkeypatch.setattr(password_checks, "matches", counted)
    return asked


class TestAccepts:
    async def test_the_user_with_the_password_again_and_again(self, guard: BasicAuth) -> None:
        for _ in range(3):
            assert await guard.accepts(header("prom", PASSWORD))
        assert await guard.accepts(header("prom", PASSWORD).replace("Basic", "basic"))

    @pytest.mark.parametrize(
        "wrong",
        [
            header("prom", "other"), header("other", PASSWORD), header("", ""), header("prom", ""), "",
            "Basic",
            "Basic !!!",
            "Bearer abc",
            "Basic " + base64.b64encode(b"no colon").decode(), header("prom", "x" * 80), header("prom",
                                                                                                "nul\0"),
        ],
    )  # fmt: skip
    async def test_nobody_else(self, guard: BasicAuth, wrong: str) -> None:
        assert not await guard.accepts(wrong)
        await guard.accepts(header("prom", PASSWORD))
        assert not await guard.accepts(wrong)

    async def test_a_hash_is_worked_on_once_for_each_password(self, checked: list[bytes]) -> None:
        guard = BasicAuth("prom", "", HASHED)
        for password in (PASSWORD, PASSWORD, "wrong", PASSWORD, "wrong", "other"):
            await guard.accepts(header("prom", password))
        assert [word for word in checked if word.isascii()] == [b"wrong", b"other"]
        assert checked.count(PASSWORD.encode()) == 1

    async def test_who_comes_all_at_once_costs_one_look(self, checked: list[bytes]) -> None:
        guard = BasicAuth("prom", "", HASHED)
        assert (
            await asyncio.gather(*(guard.accepts(header("prom", PASSWORD)) for _ in range(50))) == [True] * 50
        )
        assert checked == [PASSWORD.encode()]

    @pytest.mark.parametrize(
        "costless", ["", "Basic", "Bearer abc", header("", ""), header("prom", ""), header("other", PASSWORD)]
    )
    async def test_without_credentials_or_with_another_user_no_hash_is_worked_on(
        self, checked: list[bytes], costless: str
    ) -> None:
        assert not await BasicAuth("prom", "", HASHED).accepts(costless)
        assert checked == []

    async def test_of_wrong_passwords_the_newest_are_remembered(
        self, monkeypatch: pytest.MonkeyPatch, checked: list[bytes]
    ) -> None:
        monkeypatch.setattr(auth, "_WRONG_MAX", 2)
        guard = BasicAuth("prom", "", HASHED)
        for password in ("a", "b", "c", "b", "a"):
            await guard.accepts(header("prom", password))
        assert checked == [b"a", b"b", b"c", b"a"]

    @pytest.mark.parametrize("is_hashed", [False, True], ids=["clear", "hashed"])
    @pytest.mark.parametrize(
        "configured", ["pässwörd".encode(), "pässwörd".encode("latin-1")], ids=["utf-8", "latin-1"]
    )
    @pytest.mark.parametrize(
        "sent", ["pässwörd".encode(), "pässwörd".encode("latin-1")], ids=["utf-8", "latin-1"]
    )
    async def test_a_password_is_the_same_in_utf_8_and_latin_1(
        self, is_hashed: bool, configured: bytes, sent: bytes
    ) -> None:
        """As a variable of the environment it comes as `os.fsdecode` has it."""
        if is_hashed:
            guard = BasicAuth("prom", "", bcrypt.hashpw(configured, bcrypt.gensalt(4)).decode())
        else:
            guard = BasicAuth("prom", os.fsdecode(configured))
        assert await guard.accepts("Basic " + base64.b64encode(b"prom:" + sent).decode())
        assert not await guard.accepts("Basic " + base64.b64encode(b"prom:" + sent[:-1]).decode())

    async def test_a_password_that_no_text_has_is_compared_as_bytes(self) -> None:
        guard = BasicAuth("prom", os.fsdecode(b"\xff\xfe\x80"))
        assert await guard.accepts("Basic " + base64.b64encode(b"prom:\xff\xfe\x80").decode())
        assert not await guard.accepts("Basic " + base64.b64encode(b"prom:\xff\xfe\x81").decode())

    async def test_of_a_long_password_bcrypt_takes_the_beginning(self) -> None:
        guard = BasicAuth("prom", "", bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
        assert await guard.accepts(header("prom", "x" * 80))
        assert not await guard.accepts(header("prom", "x" * 71))

    async def test_of_right_passwords_those_in_use_are_remembered(self, checked: list[bytes]) -> None:
        guard = BasicAuth("prom", "", bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
        for number in range(100):
            assert await guard.accepts(header("prom", "x" * 72))
            assert await guard.accepts(header("prom", "x" * 72 + str(number)))
        assert len(guard._right) == auth._RIGHT_MAX
        assert len(checked) == 101


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prom", "a", HASHED), "both set"),
        (("prom", "", ""), "half set"),
        (("", "a", ""), "half set"),
        (("", "", HASHED), "half set"),
        (("prom", "", "$2b$12$short"), "is not a bcrypt hash"),
        (("prom", "", "s3cret"), "is not a bcrypt hash"),
        (("prom", "", HASHED.replace("$04$", "$99$")), "is not a bcrypt hash"),
        (("prom", "", HASHED.replace("$04$", "$31$")), "a cost above 16"),
        (("prom:eu", "a", ""), "--basic-auth-username holds a colon"),
    ],
)
def test_half_a_configuration_is_refused(words: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        BasicAuth(*words)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/sd", "/metrics", "/scrape?target=first", "/health", "/-/healthy", "/-/reload", "/nowhere"]
)
async def test_every_path_asks(site: Site, path: str) -> None:  # noqa: F811
    site.auth = BasicAuth("prom", PASSWORD)
    await site.start()
    response, body = await site.ask(path)
    assert (response.status, body) == (401, b"Unauthorized\n")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="redis-exporter", charset="UTF-8"'
    response, _ = await site.ask(path, Authorization=header("prom", PASSWORD))
    assert response.status == {"/nowhere": 404, "/-/reload": 400}.get(path, 200)


async def test_too_many_sign_ins_are_answered_with_429(
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(
        password_checks, "matches", lambda password, password_hash: let_go.wait(10) and password == b"right"
    )
    site.auth = BasicAuth("prom", "", HASHED, waiting_max=1)
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
