"""State files as bytes: what was written is read again, and what is not whole is refused."""

from __future__ import annotations

import math
import os
import resource
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.app import state_file
from exporter.app.state_file import MAGIC, StateError, StateRecord, StateWriter, check_place, read_records

RECORDS = [
    StateRecord({"number": number, "text": "é\n" * number}, (b"\0" * number, os.urandom(number * 1000)))
    for number in range(50)
]
LAST = StateRecord({"last": True})


def write(path: Path, records: Sequence[StateRecord] = RECORDS) -> Path:
    writer = StateWriter(str(path))
    assert writer.add(records, math.inf) == len(records)
    writer.finish([LAST])
    return path


def put_another(place: Path, kind: str) -> None:
    """Something that is no state file."""
    if kind == "fifo":
        os.mkfifo(place)
    else:
        place.write_text("redpoll: is my configuration\n")


def read(path: Path) -> list[StateRecord]:
    return [StateRecord(each.data, tuple(each.blobs)) for each in read_records(str(path))]


class TestWriting:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        assert read(write(tmp_path / "state")) == [*RECORDS, LAST]

    def test_in_many_chunks_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(state_file, "CHUNK", 1000)
        found = read(write(tmp_path / "state"))
        assert sorted(found[:-1], key=lambda record: record.data["number"]) == RECORDS
        assert found[-1] == LAST

    def test_only_its_user_may_read_it_and_nothing_else_is_left(self, tmp_path: Path) -> None:
        file = write(tmp_path / "state")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [file]

    def test_it_is_there_when_it_is_whole(self, tmp_path: Path) -> None:
        writer = StateWriter(str(tmp_path / "state"))
        writer.add(RECORDS, math.inf)
        assert not (tmp_path / "state").exists()
        writer.finish([LAST])
        assert (tmp_path / "state").exists()

    def test_it_takes_the_place_of_an_older_one(self, tmp_path: Path) -> None:
        write(tmp_path / "state")
        assert read(write(tmp_path / "state", RECORDS[:1])) == [RECORDS[0], LAST]

    def test_what_a_killed_stop_left_is_in_nobodys_way(self, tmp_path: Path) -> None:
        for half in (b"", MAGIC[:4], MAGIC + b"half"):
            (tmp_path / "state.new").write_bytes(half)
            assert read(write(tmp_path / "state")) == [*RECORDS, LAST]
            assert not (tmp_path / "state.new").exists()

    def test_what_somebody_else_put_there_is_left(self, tmp_path: Path) -> None:
        put_another(tmp_path / "state.new", "text")
        why = "state.new is in its way: a file is there that is no state file"
        with pytest.raises(StateError, match=why):
            StateWriter(str(tmp_path / "state"))
        with pytest.raises(StateError, match=why):
            check_place(str(tmp_path / "state"))
        assert os.listdir(tmp_path) == ["state.new"]

    def test_a_mask_that_takes_all_rights_away_leaves_its_user_those(self, tmp_path: Path) -> None:
        mask = os.umask(0o777)
        try:
            file = write(tmp_path / "state")
        finally:
            os.umask(mask)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    @pytest.mark.parametrize("kind", ["fifo", "text"])
    def test_it_takes_the_place_of_nothing_else(self, tmp_path: Path, kind: str) -> None:
        place = tmp_path / "state"
        writer = StateWriter(str(place))
        writer.add(RECORDS[:1], math.inf)
        put_another(place, kind)
        before = place.lstat()
        with pytest.raises(StateError):
            writer.finish([LAST])
        assert (place.lstat().st_ino, place.lstat().st_size) == (before.st_ino, before.st_size)
        assert list(tmp_path.iterdir()) == [place]

    def test_after_the_deadline_the_rest_is_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(state_file, "CHUNK", 1000)
        writer = StateWriter(str(tmp_path / "state"))
        count = writer.add(RECORDS, time.monotonic())
        assert 0 < count < len(RECORDS)
        writer.finish([LAST])
        assert read(tmp_path / "state") == [*RECORDS[:count], LAST]

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        """A limit on the size of files stands for it."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        writer = StateWriter(str(tmp_path / "state"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(StateError, match="File too large"):
                writer.add(RECORDS, math.inf)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert list(tmp_path.iterdir()) == []


class TestReading:
    def test_a_file_that_was_cut_off_is_refused(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "state").read_bytes()
        for size in (0, 5, len(whole) // 2, len(whole) - 1):
            (tmp_path / "state").write_bytes(whole[:size])
            with pytest.raises(StateError):
                read(tmp_path / "state")

    def test_a_changed_byte_is_seen_wherever_it_is(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "state", RECORDS[:3]).read_bytes()
        for at in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[at] ^= 1
            (tmp_path / "state").write_bytes(changed)
            with pytest.raises(StateError):
                read(tmp_path / "state")

    def test_another_version_is_refused(self, tmp_path: Path) -> None:
        file = write(tmp_path / "state")
        file.write_bytes(file.read_bytes().replace(b"state 1", b"state 2"))
        with pytest.raises(StateError, match="no state file of this version"):
            read(file)

    def test_the_file_of_another_user_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write(tmp_path / "state")
        monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
        with pytest.raises(StateError, match="belongs to another user"):
            read(file)

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "link").symlink_to(write(tmp_path / "state"))
        for name, why in {
            "fifo": "it is not a regular file",
            "link": "it is a symbolic link",
            "none": "No such file or directory",
        }.items():
            with pytest.raises(StateError, match=why):
                read(tmp_path / name)


class TestPlace:
    def test_a_good_one_is_left_as_it_was(self, tmp_path: Path) -> None:
        file = write(tmp_path / "state")
        before = file.read_bytes()
        check_place(str(file))
        assert file.read_bytes() == before
        assert list(tmp_path.iterdir()) == [file]

    @pytest.mark.parametrize(
        ("name", "why"),
        [("none/state", "No such file"), ("", "Is a directory"), ("a\0b", "holds a character")],
    )
    def test_where_no_file_can_be_the_reason_is_said(self, tmp_path: Path, name: str, why: str) -> None:
        with pytest.raises(StateError, match=why):
            check_place(f"{tmp_path}/{name}")

    @pytest.mark.parametrize(
        ("kind", "why"),
        [("fifo", "it is not a regular file"), ("text", "a file is there that is no state file")],
    )
    def test_what_somebody_else_put_there_is_not_to_be_replaced(
        self, tmp_path: Path, kind: str, why: str
    ) -> None:
        put_another(tmp_path / "state", kind)
        with pytest.raises(StateError, match=why):
            check_place(str(tmp_path / "state"))
        assert os.listdir(tmp_path) == ["state"]

    def test_a_device_is_not_to_be_replaced(self) -> None:
        """As root, a stop would put a file in the place of it."""
        with pytest.raises(StateError, match="it is not a regular file"):
            check_place("/dev/null")

    def test_a_link_an_empty_file_and_another_version_are_replaced(self, tmp_path: Path) -> None:
        place = tmp_path / "state"
        (tmp_path / "kept").write_text("kept")
        place.symlink_to(tmp_path / "kept")
        assert read(write(place)) == [*RECORDS, LAST]
        assert (tmp_path / "kept").read_text() == "kept"
        for content in (b"", b"redpoll state 99\n\0\0"):
            place.write_bytes(content)
            check_place(str(place))
            assert read(write(place)) == [*RECORDS, LAST]
