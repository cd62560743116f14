"""Reloads when a file changes that was read."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter import files
from exporter.app.file_watch import reload_on_changes
from exporter.errors import ConfigError, StoppingError
from tests.store_fixture import PATIENCE_S, until
from tests.watch_harness import others

BURSTS = 5


def put(file: Path, text: str) -> None:
    """Write a file in one step: nobody reads it while it is empty."""
    new = file.parent.parent / "new"
    new.write_text(text)
    new.rename(file)


class Reader:
    """Reads a file at each reload, and notes it. `contents` are what it has read."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.contents: list[str] = []
        self.error: Exception | None = None
        self.noted: dict[str, files.Stamp] = {}
        self.read()

    def read(self) -> None:
        self.noted = {}
        with files.noting(self.noted):
            try:
                self.contents.append(files.read(str(self.file)).decode())
            except files.FileError as error:
                raise ConfigError(str(error)) from None

    async def reload(self) -> None:
        if self.error is not None:
            raise self.error
        self.read()

    async def has_read(self, *contents: str) -> None:
        await until(lambda: self.contents[1:] == list(contents))


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    folder = tmp_path / "watched"
    folder.mkdir()
    file = folder / "redis.yml"
    file.write_text("first")
    reader = Reader(file)
    watching = asyncio.create_task(reload_on_changes(lambda: reader.noted, reader.reload))
    await asyncio.sleep(0.1)
    yield reader
    watching.cancel()
    await asyncio.wait([watching])
    assert others() == set()


@pytest.mark.parametrize("way", ["written", "renamed", "linked"])
async def test_a_change_is_read_once(reader: Reader, tmp_path: Path, way: str) -> None:
    next_one = reader.file.parent / ".next"
    match way:
        case "written":
            with reader.file.open("r+") as file:  # as long as before, so in one step
                file.write("newer")
        case "renamed":
            next_one.write_text("newer")
            next_one.rename(reader.file)
        case "linked":
            (tmp_path / "elsewhere").write_text("newer")
            next_one.symlink_to(tmp_path / "elsewhere")
            next_one.rename(reader.file)
    await reader.has_read("newer")
    if way == "linked":  # what a link leads to is watched too
        with (tmp_path / "elsewhere").open("r+") as file:
            file.write("as if")
        await reader.has_read("newer", "as if")
    (reader.file.parent / "another file").write_text("")
    await asyncio.sleep(0.6)
    assert len(reader.contents) == (3 if way == "linked" else 2)


async def test_a_burst_is_one_reload_or_two_if_a_look_falls_into_it(reader: Reader) -> None:
    """On a busy machine a burst may have longer pauses: then another one is tried."""
    counts = []
    for burst in range(BURSTS):
        before, last = len(reader.contents), f"{burst}, version 9"
        for number in range(10):
            put(reader.file, f"{burst}, version {number}")
            await asyncio.sleep(0.02)
        await until(lambda: reader.contents[-1] == last)  # noqa: B023
        counts.append(len(reader.contents) - before)
        if counts[-1] <= 2:
            return
    pytest.fail(f"reloads of each burst: {counts}")


async def test_a_secret_of_kubernetes_is_read_when_its_link_is_swapped(tmp_path: Path) -> None:
    def swap(number: int) -> None:
        version = tmp_path / f"..version-{number}"
        version.mkdir()
        (version / "password").write_text(f"password {number}")
        (tmp_path / "..data_tmp").symlink_to(version.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        shutil.rmtree(tmp_path / f"..version-{number - 1}", ignore_errors=True)

    swap(0)
    (tmp_path / "password").symlink_to("..data/password")
    reader = Reader(tmp_path / "password")
    watching = asyncio.create_task(reload_on_changes(lambda: reader.noted, reader.reload))
    await asyncio.sleep(0.1)
    swap(1)
    await reader.has_read("password 1")
    swap(2)
    await reader.has_read("password 1", "password 2")
    watching.cancel()
    await asyncio.wait([watching])


async def test_a_folder_that_goes_and_comes_back(reader: Reader) -> None:
    shutil.rmtree(reader.file.parent)
    await asyncio.sleep(0.5)
    reader.file.parent.mkdir()
    put(reader.file, "back")
    await reader.has_read("back")
    put(reader.file, "again")
    await reader.has_read("back", "again")


async def test_a_reload_that_fails_is_tried_again_at_the_next_change(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.file.unlink()
    await until(lambda: reader.noted == {str(reader.file): ()})
    put(reader.file, "mended")
    await reader.has_read("mended")
    reader.error = KeyError("a bug")
    put(reader.file, "new")
    await until(lambda: "internal error in a reload (please report)" in caplog.text)
    reader.error = None
    await reader.has_read("mended", "new")


async def test_it_ends_when_the_exporter_stops(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    reader = Reader(file)
    reader.error = StoppingError()
    watching = asyncio.create_task(reload_on_changes(lambda: reader.noted, reader.reload))
    file.write_text("new")
    await asyncio.wait_for(watching, PATIENCE_S)
