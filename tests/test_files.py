"""Reading files: regular ones of a bounded size, within a bounded time."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter import files
from exporter.files import FileError, FileLimits
from tests.servers import PATIENCE_S, wait_until


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a file that is no regular one: `odd("fifo")`."""
    with ExitStack() as cleanup:

        def make(kind: str) -> str:
            path = tmp_path / kind
            match kind:
                case "fifo":
                    os.mkfifo(path)
                case "folder":
                    path.mkdir()
                case "socket":
                    cleanup.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
                case "device":
                    return "/dev/zero"
                case "missing":
                    pass
                case "link to a fifo":
                    os.mkfifo(tmp_path / "fifo")
                    path.symlink_to(tmp_path / "fifo")
                case "loop":
                    path.symlink_to(path)
            return str(path)

        yield make


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("fifo", "it is a FIFO, not a regular file"),
        ("link to a fifo", "it is a FIFO, not a regular file"),
        ("device", "it is a device, not a regular file"),
        ("socket", "it is a socket, not a regular file"),
        ("folder", "Is a directory"),
        ("missing", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(odd: Callable[[str], str], kind: str, why: str) -> None:
    with pytest.raises(FileError, match=why):  # and not because it took longer than it may
        files.fetch(odd(kind))


def test_a_fifo_that_takes_the_place_of_a_file_after_the_look_is_refused(
    odd: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = odd("fifo")
    regular = os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda name: regular)
    with pytest.raises(FileError, match="it is a FIFO"):
        files.read(fifo)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_cannot_be_one(name: str) -> None:
    with pytest.raises(FileError, match="its name holds a character"):
        files.read(name)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"\xffdata")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert files.fetch(str(tmp_path / "link")) == b"\xffdata"


@pytest.mark.parametrize(("size", "fits"), [(0, True), (1000, True), (1001, False)])
def test_size(tmp_path: Path, size: int, fits: bool) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    if fits:
        assert len(files.read(str(tmp_path / "file"), 1000)) == size
    else:
        with pytest.raises(FileError, match=r"more than 1000 bytes, the limit of --files\.max-bytes"):
            files.read(str(tmp_path / "file"), 1000)


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as large:
        large.truncate(1 << 40)
    with pytest.raises(FileError, match="more than"):
        files.fetch(str(tmp_path / "large"))


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    for data, text in ((b"\xc3\xa9", "é"), (b"\xef\xbb\xbfx", "x")):
        (tmp_path / "file").write_bytes(data)
        assert files.read_text(str(tmp_path / "file")) == text
    (tmp_path / "file").write_bytes(b"\xe9")
    with pytest.raises(FileError, match="not UTF-8: save it as UTF-8"):
        files.read_text(str(tmp_path / "file"))


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Calls hang at it until the test has ended."""
    go = threading.Event()
    wait_until(lambda: not reads(), "the calls of other tests have ended")
    yield go
    go.set()
    wait_until(lambda: not reads(), "the calls have ended")


def reads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "file"]


def test_what_takes_too_long_is_given_up(go: threading.Event) -> None:
    with pytest.raises(FileError, match=r"took longer than 0.05 s, the limit of --files\.timeout"):
        files.within(go.wait, 0.05)


async def test_the_event_loop_goes_on_meanwhile(go: threading.Event) -> None:
    waiting = asyncio.ensure_future(files.off_loop(go.wait))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    go.set()
    assert await waiting


async def test_exceptions_come_through() -> None:
    for error in (KeyError("x"), TimeoutError("of its own")):

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)):
            files.within(fail, PATIENCE_S)
        with pytest.raises(type(error)):
            await files.off_loop(fail)


def test_reads_that_hang_are_bounded(go: threading.Event) -> None:
    ended = [files.start(go.wait) for _ in range(files.READERS_MAX)]
    with pytest.raises(FileError, match="hang already"):
        files.start(go.wait)
    go.set()
    for each in ended:
        each.result(PATIENCE_S)
    assert files.fetch(__file__)


async def test_what_ended_in_the_moment_of_the_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Future[int]):
        """Ends while whoever waited for it is told that it has not."""

        def result(self, timeout: float | None = None) -> int:
            if not self.done():
                self.set_result(7)
                raise TimeoutError
            return super().result(timeout)

    monkeypatch.setattr(files, "start", lambda function: Late())
    assert files.within(lambda: 7, 1.0) == 7


def test_where_the_system_gives_no_thread_the_place_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(files.READERS_MAX + 1):
            with pytest.raises(FileError, match="the system gives no thread"):
                files.start(int)
    assert files.fetch(__file__)


class TestNoting:
    def test_what_is_read_in_any_thread_is_noted_with_its_stamp_from_before(self, tmp_path: Path) -> None:
        here, apart, later = (tmp_path / name for name in ("here", "apart", "later"))
        for file in (here, apart, later):
            file.write_text("old")
        stamps = {str(file): files.stamp(str(file)) for file in (here, apart)}
        noted: dict[str, files.Stamp] = {}
        with files.noting(noted):
            files.read(str(here))
            here.write_text("newer")
            files.read(str(here))
            files.fetch(str(apart))
        files.read(str(later))
        assert noted == stamps
        assert files.changed(noted)
        assert not files.changed({str(apart): stamps[str(apart)]})

    def test_a_file_that_cannot_be_read_is_noted_too(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        noted: dict[str, files.Stamp] = {}
        with files.noting(noted), pytest.raises(FileError):
            files.read(str(missing))
        assert noted == {str(missing): ()}
        missing.write_text("")
        assert files.changed(noted)

    def test_after_an_error_what_was_not_reached_is_as_good_as_read(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("new")
        before: files.Noted = {str(file): (1,), str(tmp_path / "missing"): (2,)}
        noted: files.Noted = {}
        with pytest.raises(FileError), files.noting(noted, before):
            files.read(str(tmp_path / "missing"))
        assert noted == {str(tmp_path / "missing"): (), str(file): files.stamp(str(file))}

    def test_what_others_look_after_is_left_out(self) -> None:
        noted: dict[str, files.Stamp] = {}
        with files.noting(noted), files.noting(None):
            files.read(__file__)
        assert noted == {}

    @pytest.mark.parametrize("way", ["written", "renamed", "linked", "removed"])
    def test_a_stamp_tells_each_change(self, tmp_path: Path, way: str) -> None:
        file, other = tmp_path / "file", tmp_path / "other"
        file.write_text("a")
        other.write_text("b")
        before = {str(file): files.stamp(str(file))}
        match way:
            case "written":
                file.write_text("c")
            case "renamed":
                other.rename(file)
            case "linked":
                file.unlink()
                file.symlink_to(other)
            case "removed":
                file.unlink()
        assert files.changed(before)


def test_the_limits_are_those_of_the_options() -> None:
    from exporter.options.commandline import parse

    given = parse([], {}).files
    assert FileLimits(given.max_bytes, given.timeout_s) == files.DEFAULT
