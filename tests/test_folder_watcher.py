"""Waiting until something changes in folders."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter import folder_watcher
from exporter.folder_watcher import FolderWatcher, folders_of
from tests.store_fixture import PATIENCE_S, until


@pytest.fixture(autouse=True)
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is noticed because the kernel reports it."""
    monkeypatch.setattr(folder_watcher, "LOOK_EVERY_S", 10 * PATIENCE_S)


@pytest.fixture
async def watcher() -> AsyncIterator[FolderWatcher]:
    watcher = FolderWatcher()
    yield watcher
    watcher.close()


async def begun(watcher: FolderWatcher, folder: Path) -> asyncio.Task[None]:
    """A wait that goes on."""
    await watcher.wait([str(folder)])
    waiting = asyncio.create_task(watcher.wait([str(folder)]))
    await until(lambda: any(thread.name == "file" for thread in threading.enumerate()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    return waiting


@pytest.mark.parametrize("way", ["made", "written", "renamed", "linked", "removed"])
async def test_each_change_of_a_file_ends_a_wait(watcher: FolderWatcher, tmp_path: Path, way: str) -> None:
    folder, file, other = tmp_path / "folder", tmp_path / "folder" / "file", tmp_path / "other"
    folder.mkdir()
    other.write_text("b")
    if way != "made":
        file.write_text("a")
    waiting = await begun(watcher, folder)
    match way:
        case "made" | "written":
            file.write_text("c")
        case "renamed":
            other.rename(file)
        case "linked":
            (folder / "next").symlink_to(other)
            (folder / "next").rename(file)
        case "removed":
            file.unlink()
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_many_changes_end_one_wait(watcher: FolderWatcher, tmp_path: Path) -> None:
    waiting = await begun(watcher, tmp_path)
    for number in range(20):
        (tmp_path / f"file-{number}").write_text("")
        await asyncio.sleep(0.01)
    for _ in range(3):  # on a busy machine it may report the last of them apart
        await asyncio.wait_for(waiting, PATIENCE_S)
        waiting = asyncio.create_task(watcher.wait([str(tmp_path)]))
        await asyncio.sleep(0.6)
        if not waiting.done():
            break
    assert not waiting.done()
    (tmp_path / "one more").write_text("")
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_wait_ends_after_a_while_in_any_case(
    watcher: FolderWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watcher, "LOOK_EVERY_S", 0.3)
    await watcher.wait([str(tmp_path)])
    await asyncio.wait_for(watcher.wait([str(tmp_path)]), PATIENCE_S)
    began = time.monotonic()
    await watcher.wait([])  # nothing to watch is no reason to hurry
    await watcher.wait([])
    assert time.monotonic() - began >= 0.3


async def test_other_folders_end_it_at_once(watcher: FolderWatcher, tmp_path: Path) -> None:
    """Something may have changed before they were watched."""
    late = tmp_path / "late"
    await watcher.wait([str(tmp_path), str(late)])
    late.mkdir()
    await asyncio.wait_for(watcher.wait([str(tmp_path), str(late)]), PATIENCE_S)
    waiting = await begun(watcher, late)
    (late / "file").write_text("")
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_folder_that_is_replaced_is_watched_again(
    watcher: FolderWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    await watcher.wait([str(folder)])
    with monkeypatch.context() as patch:
        patch.setattr(folder_watcher, "LOOK_EVERY_S", 1.0)
        waiting = asyncio.create_task(watcher.wait([str(folder)]))
        await asyncio.sleep(0.1)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        await asyncio.wait_for(waiting, PATIENCE_S)
    waiting = await begun(watcher, folder)
    (folder / "file").write_text("")
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_where_the_kernel_watches_nothing_it_looks(
    watcher: FolderWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from watchfiles import _rust_notify

    def refuse(*args: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(_rust_notify, "RustNotify", refuse)
    monkeypatch.setattr(folder_watcher, "LOOK_EVERY_S", 0.05)
    began = time.monotonic()
    for _ in range(4):
        await watcher.wait([str(tmp_path)])
    assert time.monotonic() - began >= 0.15
    [line] = caplog.records
    assert line.getMessage().startswith("the system reports no changes of files here")
    assert "limit reached" in vars(line)["err"]


async def test_the_end_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    watcher = FolderWatcher()
    waiting = await begun(watcher, tmp_path)
    assert len(os.listdir("/proc/self/fd")) > before
    waiting.cancel()
    await asyncio.wait([waiting])
    watcher.close()
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "file"])
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_call_waits_until_the_system_gives_a_thread(
    watcher: FolderWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def refuse_once(thread: threading.Thread) -> None:
        if not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_once)
    monkeypatch.setattr(folder_watcher, "LOOK_EVERY_S", 0.05)
    assert await watcher.call(lambda: "done") == "done"
    assert refused


async def test_waiting_costs_next_to_nothing(watcher: FolderWatcher, tmp_path: Path) -> None:
    waiting = await begun(watcher, tmp_path)
    before = time.process_time()
    await asyncio.sleep(1)
    assert time.process_time() - before < 0.1
    waiting.cancel()
    await asyncio.wait([waiting])


class TestFolders:
    def test_of_a_plain_file(self, tmp_path: Path) -> None:
        assert folders_of([str(tmp_path / "a"), str(tmp_path / "b")]) == {str(tmp_path)}

    def test_of_a_secret_of_kubernetes(self, tmp_path: Path) -> None:
        """The file is a link into ..data, which is a link to the folder of the newest version."""
        version = tmp_path / "..2026"
        version.mkdir()
        (version / "password").write_text("")
        (tmp_path / "..data").symlink_to("..2026")
        (tmp_path / "password").symlink_to("..data/password")
        found = folders_of([str(tmp_path / "password")])
        assert {str(tmp_path), str(version)} <= found

    def test_of_a_link_on_the_way(self, tmp_path: Path) -> None:
        release = tmp_path / "releases" / "1"
        release.mkdir(parents=True)
        (tmp_path / "current").symlink_to(release)
        found = folders_of([str(tmp_path / "current" / "redis.yml")])
        assert {str(tmp_path), str(release)} <= found

    def test_of_a_link_that_goes_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os.path, "islink", lambda place: place == str(tmp_path / "a"))
        assert folders_of([str(tmp_path / "a")]) == {str(tmp_path)}

    def test_of_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        assert folders_of([str(tmp_path / "a")]) == {str(tmp_path)}
