"""A file whose look hangs holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.collectors._file_sizes import HANGING_MAX, WAIT_S, FileSizes, size_of
from tests.servers import wait_until


def test_a_size_is_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"x" * 123)
    assert FileSizes(wait_s=10).get(str(tmp_path / "dump.rdb").encode()) == 123


@pytest.mark.parametrize(
    ("name", "size"),
    [("missing", 0), ("folder", None), ("file/dump.rdb", None), ("a\0b", None), ("x" * 300, None)],
)
def test_what_is_no_regular_file_has_none_and_a_missing_one_has_0(
    tmp_path: Path, name: str, size: int | None
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    assert size_of(str(tmp_path / name).encode()) == size


class TestALookThatHangs:
    @pytest.fixture
    def go(self) -> Iterator[threading.Event]:
        go = threading.Event()
        yield go
        go.set()

    def test_holds_the_caller_for_a_moment_only(self, go: threading.Event) -> None:
        sizes = FileSizes(lambda path: go.wait() and 1)
        began_s = time.thread_time()
        assert sizes.get(b"/share/dump.rdb") is None
        assert sizes.get(b"/share/dump.rdb") is None
        assert time.thread_time() - began_s < 100 * WAIT_S

    def test_gives_its_size_to_the_next_call_once_it_has_ended(self, go: threading.Event) -> None:
        sizes = FileSizes(lambda path: go.wait() and 7)
        assert sizes.get(b"/share/dump.rdb") is None
        go.set()
        wait_until(lambda: sizes.get(b"/share/dump.rdb") == 7, "the look ends")

    def test_has_few_beside_it_and_then_no_file_is_looked_at(self, go: threading.Event) -> None:
        looked: list[bytes] = []

        def look(path: bytes) -> int:
            looked.append(path)
            return int(go.wait())

        sizes = FileSizes(look)
        for number in range(HANGING_MAX + 5):
            assert sizes.get(b"/share/%d" % number) is None
        wait_until(lambda: len(looked) == HANGING_MAX, "all looks that there may be have begun")
