"""What is listened on: a host and port, a file, sockets of systemd."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.systemd import GivenSocket
from exporter.web import listening_sockets
from exporter.web.listener import shown
from exporter.web.listening_sockets import open_sockets
from tests.store_fixture import until
from tests.web.door import GET, Door


async def answer(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    text = await reader.read()
    writer.close()
    return text


class TestFile:
    async def test_answers_and_is_removed_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        async with Door(address=f"unix:{path}") as door:
            assert (await answer(path)).endswith(b"ok")
            assert [shown(bound) for bound in door.listener.addresses] == [f"unix:{path}"]
        assert not path.exists()

    async def test_its_clients_are_one_client(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        async with Door(address=f"unix:{path}", places_per_address=2) as door:
            clients = [await asyncio.open_unix_connection(path) for _ in range(5)]
            await until(lambda: door.count("evicted") == 3)
            assert len(door.guard) == 2
            for _, writer in clients:
                writer.close()

    async def test_has_the_rights_that_the_umask_leaves(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        before = os.umask(0o007)
        try:
            sockets = await open_sockets(f"unix:{path}", {})
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o770
        sockets.close()

    async def test_one_that_was_left_behind_makes_room(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))
        async with Door(address=f"unix:{path}"):
            assert (await answer(path)).endswith(b"ok")

    async def test_one_that_is_in_use_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        async with Door(address=f"unix:{path}"):
            with pytest.raises(OSError, match="in use"):
                await open_sockets(f"unix:{path}", {})
            assert (await answer(path)).endswith(b"ok")

    async def test_a_file_of_another_kind_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "notes"
        path.write_text("mine")
        with pytest.raises(OSError, match="there already, and it is no socket"):
            await open_sockets(f"unix:{path}", {})
        assert path.read_text() == "mine"

    async def test_the_file_of_another_program_stays_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "pages.sock"
        async with Door(address=f"unix:{path}"):
            path.unlink()
            other = socket.socket(socket.AF_UNIX)
            other.bind(str(path))
        assert path.exists()
        other.close()


class TestSystemd:
    @pytest.fixture
    def listening(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield listening

    @staticmethod
    def hand_over(monkeypatch: pytest.MonkeyPatch, *given: tuple[str, int]) -> None:
        """Descriptors of this test stand for those from 3 on, which the test runner has taken."""
        sockets = tuple(GivenSocket(name, descriptor) for name, descriptor in given)
        monkeypatch.setattr(listening_sockets, "given_sockets", lambda environ: sockets)

    async def test_those_of_a_name_are_taken(
        self, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hand_over(monkeypatch, ("other", 3), ("pages", os.dup(listening.fileno())))
        async with Door(address="fd://pages") as door:
            assert door.listener.addresses == [listening.getsockname()]
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(GET)
            assert b"ok" in await reader.read(200)
            writer.close()

    @pytest.mark.parametrize(
        ("address", "given", "text"),
        [
            ("fd://wrong", [("pages", 3)], "fd://wrong: .* no socket of this name, but these: pages$"),
            ("fd://", [], "systemd has handed over no socket; start the .socket unit of this service$"),
        ],
    )
    async def test_without_one_the_error_says_which_there_are(
        self, address: str, given: list[tuple[str, int]], text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hand_over(monkeypatch, *given)
        with pytest.raises(ConfigError, match=text):
            await open_sockets(address, {})

    async def test_what_does_not_listen_is_refused(
        self, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those before it are closed."""
        with socket.socket() as idle:
            self.hand_over(monkeypatch, ("", os.dup(listening.fileno())), ("", idle.fileno()))
            with pytest.raises(ConfigError, match=rf"descriptor {idle.fileno()} cannot be used: it does not"):
                await open_sockets("fd://", {})
        self.hand_over(monkeypatch, ("", 9999))
        with pytest.raises(ConfigError, match=r"descriptor 9999 cannot be used: Bad file descriptor"):
            await open_sockets("fd://", {})
