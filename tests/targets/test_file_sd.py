"""Targets in files of Prometheus' file_sd form."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from exporter import files
from exporter.targets.file_sd import FileSd
from exporter.targets.target import Target
from tests.store_fixture import until
from tests.watch_harness import others


class Following:
    """A source that runs, and what it says."""

    def __init__(self, source: FileSd) -> None:
        self.source = source
        self.said: list[Sequence[Target]] = []
        self._task = asyncio.create_task(source.run(self.said.append))

    async def has(self, *hosts: str) -> None:
        await until(lambda: self.said and [target.host for target in self.said[-1]] == list(hosts))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sd"
    folder.mkdir()
    return folder


@pytest.fixture
async def following(folder: Path) -> AsyncIterator[Following]:
    following = Following(FileSd(str(folder / "*.json"), 3600))
    await following.has()
    yield following
    await following.stop()
    assert others() == set()


def write(file: Path, *hosts: str) -> None:
    replace(file, json.dumps([{"targets": list(hosts)}]))


def replace(file: Path, text: str) -> None:
    """As a program should: by a name that no pattern matches."""
    new = file.with_name(".new")
    new.write_text(text)
    new.rename(file)


async def test_files_come_change_and_go_with_their_targets(following: Following, folder: Path) -> None:
    write(folder / "b.json", "b")
    await following.has("b")
    write(folder / "a.json", "a1", "a2")
    await following.has("a1", "a2", "b")
    write(folder / "a.json", "a2", "a3")
    await following.has("a2", "a3", "b")
    (folder / "b.json").unlink()
    await following.has("a2", "a3")
    assert following.source.health.failures == 0
    assert following.source.health.succeeded_at is not None


async def test_a_file_that_is_broken_keeps_its_targets_and_harms_no_other(
    following: Following, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder / "a.json", "a")
    write(folder / "b.json", "b")
    await following.has("a", "b")
    replace(folder / "a.json", "[{")
    await until(lambda: following.source.health.failures)
    write(folder / "b.json", "b1")
    await following.has("a", "b1")
    [line] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert line.getMessage() == "the targets that were found before stay"
    assert vars(line)["err"].startswith(f"{folder / 'a.json'}: not valid JSON")
    write(folder / "a.json", "a1")
    await following.has("a1", "b1")


async def test_a_part_that_cannot_be_used_is_said_once(
    following: Following, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for host in ("a", "b"):
        write(folder / "a.json", host, "http://no")
        await following.has(host)
    assert caplog.messages == ["a part of the targets that were found cannot be used"]
    assert following.source.health.failures == 0


async def test_what_is_wrong_with_a_file_that_goes_is_forgotten(
    following: Following, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        write(folder / "a.json", "a", "http://no")
        await following.has("a")
        (folder / "a.json").unlink()
        await following.has()
    assert caplog.messages == ["a part of the targets that were found cannot be used"] * 2


async def test_all_files_are_read_again_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no stamp shows: a network file system that shows old ones."""
    write(folder / "a.json", "a")
    monkeypatch.setattr(files, "stamp", lambda name: (1,))
    monkeypatch.setattr("exporter.folder_watcher.LOOK_EVERY_S", 0.1)
    following = Following(FileSd(str(folder / "a.json"), 0.3))
    await following.has("a")
    (folder / "a.json").write_text('[{"targets": ["b"]}]')
    await following.has("b")
    await following.stop()


async def test_the_folder_may_come_later(tmp_path: Path) -> None:
    following = Following(FileSd(str(tmp_path / "late" / "*.yml"), 3600))
    await following.has()
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "a.yml").write_text("- targets: [a]\n")
    await following.has("a")
    await following.stop()


async def test_a_config_map_of_kubernetes(tmp_path: Path) -> None:
    def swap(version: str, *hosts: str) -> None:
        (tmp_path / version).mkdir()
        write(tmp_path / version / "redis.json", *hosts)
        (tmp_path / "..tmp").symlink_to(version)
        (tmp_path / "..tmp").rename(tmp_path / "..data")

    swap("..1", "a")
    (tmp_path / "redis.json").symlink_to("..data/redis.json")
    following = Following(FileSd(str(tmp_path / "*.json"), 3600))
    await following.has("a")
    swap("..2", "a", "b")
    await following.has("a", "b")
    await following.stop()


def test_equal_ones_go_on_at_a_reload() -> None:
    assert FileSd("/a/*.yml", 60) == FileSd("/a/*.yml", 60)
    assert FileSd("/a/*.yml", 60) != FileSd("/a/*.yml", 30)
    assert FileSd("/a/*.yml", 60).name == "--targets.file-sd=/a/*.yml"
