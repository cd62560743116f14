"""Basic authentication: who is let in, and what that costs."""

from __future__ import annotations

import asyncio
import base64
import os

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.web import auth, password_checks
from exporter.web.auth import COST_MAX, BasicAuth, auth_of, hash_fault

PASSWORD = "pässword:with colon"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def header(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture(params=["clear", "hashed"])
def guard(request: pytest.FixtureRequest) -> BasicAuth:
    return auth_of("prom", PASSWORD) if request.param == "clear" else auth_of("prom", "", HASHED)


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
        guard = auth_of("prom", "", HASHED)
        for password in (PASSWORD, PASSWORD, "wrong", PASSWORD, "wrong", "other"):
            await guard.accepts(header("prom", password))
        assert [word for word in checked if word.isascii()] == [b"wrong", b"other"]
        assert checked.count(PASSWORD.encode()) == 1

    async def test_who_comes_all_at_once_costs_one_look(self, checked: list[bytes]) -> None:
        guard = auth_of("prom", "", HASHED)
        assert (
            await asyncio.gather(*(guard.accepts(header("prom", PASSWORD)) for _ in range(50))) == [True] * 50
        )
        assert checked == [PASSWORD.encode()]

    @pytest.mark.parametrize(
        "costless", ["", "Basic", "Bearer abc", header("", ""), header("prom", ""), header("", PASSWORD)]
    )
    async def test_without_credentials_no_hash_is_worked_on(
        self, checked: list[bytes], costless: str
    ) -> None:
        assert not await auth_of("prom", "", HASHED).accepts(costless)
        assert checked == []

    async def test_of_wrong_passwords_the_newest_are_remembered(
        self, monkeypatch: pytest.MonkeyPatch, checked: list[bytes]
    ) -> None:
        monkeypatch.setattr(auth, "WRONG_MAX", 2)
        guard = auth_of("prom", "", HASHED)
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
            guard = auth_of("prom", "", bcrypt.hashpw(configured, bcrypt.gensalt(4)).decode())
        else:
            guard = auth_of("prom", os.fsdecode(configured))
        assert await guard.accepts("Basic " + base64.b64encode(b"prom:" + sent).decode())
        assert not await guard.accepts("Basic " + base64.b64encode(b"prom:" + sent[:-1]).decode())

    async def test_a_password_that_no_text_has_is_compared_as_bytes(self) -> None:
        guard = auth_of("prom", os.fsdecode(b"\xff\xfe\x80"))
        assert await guard.accepts("Basic " + base64.b64encode(b"prom:\xff\xfe\x80").decode())
        assert not await guard.accepts("Basic " + base64.b64encode(b"prom:\xff\xfe\x81").decode())

    async def test_of_a_long_password_bcrypt_takes_the_beginning(self) -> None:
        guard = auth_of("prom", "", bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
        assert await guard.accepts(header("prom", "x" * 80))
        assert not await guard.accepts(header("prom", "x" * 71))

    async def test_of_right_passwords_those_in_use_are_remembered(self, checked: list[bytes]) -> None:
        guard = auth_of("prom", "", bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
        for number in range(100):
            assert await guard.accepts(header("prom", "x" * 72))
            assert await guard.accepts(header("prom", "x" * 72 + str(number)))
        assert len(guard._right) == auth.RIGHT_MAX
        assert len(checked) == 101


HASHES = {
    name: bcrypt.hashpw(f"{name}'s".encode(), bcrypt.gensalt(4)).decode() for name in ("ann", "bob", "zoë")
}


class TestSeveralUsers:
    @pytest.mark.parametrize("name", HASHES)
    async def test_each_has_a_password(self, name: str) -> None:
        guard = BasicAuth(HASHES)
        assert await guard.accepts(header(name, f"{name}'s"))
        others = [other for other in HASHES if other != name]
        for other in others:
            assert not await guard.accepts(header(name, f"{other}'s"))
            assert not await guard.accepts(header(other, f"{name}'s"))
        assert await guard.accepts(header(name, f"{name}'s"))

    async def test_a_name_is_the_same_in_latin_1(self) -> None:
        sent = "zoë".encode("latin-1") + ":zoë's".encode("latin-1")
        assert await BasicAuth(HASHES).accepts("Basic " + base64.b64encode(sent).decode())

    async def test_a_user_who_does_not_exist_costs_as_much_as_one_who_does(
        self, checked: list[bytes]
    ) -> None:
        guard = BasicAuth(HASHES)
        for name in ("ann", "nobody", "Ann", "ann "):
            assert not await guard.accepts(header(name, "guess"))
        assert checked == [b"guess"] * 4
        assert not await guard.accepts(header("nobody", "guess"))
        assert len(checked) == 4  # that one is remembered like any other

    async def test_nor_do_different_costs_show_who_exists(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that nobody has is always checked against the same hash."""
        asked: list[bytes] = []

        def refuse(password: bytes, password_hash: bytes) -> bool:
            asked.append(password_hash)
            return False

        monkeypatch.setattr(password_checks, "matches", refuse)
        hashes = {f"user{cost}": bcrypt.hashpw(b"x", bcrypt.gensalt(cost)).decode() for cost in (4, 5)}
        guard = BasicAuth(hashes)
        for number in range(20):
            for name in ("nobody", "somebody", "anybody"):
                await guard.accepts(header(name, str(number)))
        of_names = {tuple(asked[start::3]) for start in range(3)}
        assert of_names <= {(each.encode(),) * 20 for each in hashes.values()}

    async def test_a_password_alone_is_not_enough(self) -> None:
        guard = BasicAuth({"ann": HASHES["ann"]})
        assert not await guard.accepts(header("nobody", "ann's"))
        assert await guard.accepts(header("ann", "ann's"))
        assert not await guard.accepts(header("nobody", "ann's"))

    async def test_a_user_and_a_password_cannot_be_cut_elsewhere(self) -> None:
        guard = BasicAuth({}, {"a": "b:c"})
        assert await guard.accepts("Basic " + base64.b64encode(b"a:b:c").decode())
        assert guard._digest(b"a", b"b:c") != guard._digest(b"a:b", b"c") != guard._digest(b"a", b":bc")


@pytest.mark.parametrize("cost", ["04", "10", str(COST_MAX)])
@pytest.mark.parametrize("kind", "abxy")
def test_every_kind_of_bcrypt_hash_is_taken(kind: str, cost: str) -> None:
    assert hash_fault(f"$2{kind}${cost}$" + "x" * 53) == ""


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
        auth_of(*words)
    assert "s3cret" not in str(caught.value)
