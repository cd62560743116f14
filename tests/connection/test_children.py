"""Child processes: what they print, what limits them, and that none is left."""

from __future__ import annotations

import os
import selectors
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.connection import children as children_module
from exporter.connection.children import ERRORS_MAX, Children
from tests.open_files import open_files
from tests.servers import wait_until

AMPLE_S = 20.0
OUTPUT_MAX = 1000


@pytest.fixture
def children() -> Children:
    return Children()


def is_running(pid: str) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def no_child_is_left() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def test_what_a_command_prints(children: Children) -> None:
    ended = children.run(["sh", "-c", "printf 'one\\ntwo'; echo three >&2"], AMPLE_S, OUTPUT_MAX)
    assert (ended.output, ended.errors, ended.fault) == (b"one\ntwo", b"three\n", "")


def test_no_shell_reads_the_arguments(children: Children) -> None:
    assert children.run(["printf", "%s", "$HOME; *"], AMPLE_S, OUTPUT_MAX).output == b"$HOME; *"


def test_it_has_the_environment_and_an_empty_stdin(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIWI", "fig")
    assert children.run(["sh", "-c", "cat; printf %s $KIWI"], AMPLE_S, OUTPUT_MAX).output == b"fig"


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["sh", "-c", "exit 3"], "ended with exit status 3"),
        (["sh", "-c", "kill -TERM $$"], "ended by signal 15"),
        (["/no/such/program"], "cannot be started: No such file or directory"),
        (["/etc"], "cannot be started: Permission denied"),
        (["printf", "a\0b"], "cannot be started: an argument holds a zero byte"),
    ],
)
def test_what_goes_wrong_is_told(children: Children, args: list[str], fault: str) -> None:
    assert children.run(args, AMPLE_S, OUTPUT_MAX).fault == fault


def test_the_end_of_long_errors_is_kept(children: Children) -> None:
    ended = children.run(["sh", "-c", "seq 100000 >&2; echo last >&2"], AMPLE_S, OUTPUT_MAX)
    assert ended.fault == ""
    assert len(ended.errors) == ERRORS_MAX
    assert ended.errors.endswith(b"100000\nlast\n")


def test_one_that_hangs_is_killed_with_all_that_it_has_started(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    # its time is over when it has started another one, however busy the machine is
    clock = SimpleNamespace(monotonic=lambda: 10.0 if pid.exists() else 0.0)
    monkeypatch.setattr(children_module, "time", clock)
    script = f"sleep 60 & echo $! >{pid}.new; mv {pid}.new {pid}; wait"
    ended = children.run(["sh", "-c", script], 0.5, OUTPUT_MAX)
    assert ended.fault == "took longer than 0.5 s, and was stopped"
    wait_until(lambda: not is_running(pid.read_text().strip()), "the end of what it started")
    assert no_child_is_left()


def test_one_that_closes_its_output_and_hangs_is_killed(children: Children) -> None:
    began_at = time.monotonic()
    ended = children.run(["sh", "-c", "exec >&- 2>&-; exec sleep 60"], 0.5, OUTPUT_MAX)
    assert ended.fault == "took longer than 0.5 s, and was stopped"
    assert time.monotonic() - began_at < AMPLE_S
    assert no_child_is_left()


def test_one_that_prints_too_much_is_killed(children: Children) -> None:
    ended = children.run(["yes"], AMPLE_S, OUTPUT_MAX)
    assert ended.fault == "printed more than 1000 bytes, and was stopped"
    assert no_child_is_left()


def test_what_it_leaves_behind_does_not_hold_up_its_result(children: Children) -> None:
    """A program may start a daemon that keeps the pipes open."""
    began_at = time.monotonic()
    ended = children.run(["sh", "-c", "sleep 30 & echo $!"], AMPLE_S, OUTPUT_MAX)
    assert ended.fault == ""
    assert time.monotonic() - began_at < AMPLE_S / 2
    os.kill(int(ended.output), 9)


def test_what_it_prints_just_before_its_end_is_read(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may hold this process between a look that finds nothing and the next one."""
    go = tmp_path / "go"
    select = selectors.DefaultSelector.select
    looks = 0

    def look_too_early(selector: selectors.DefaultSelector, timeout: float | None = None) -> object:
        nonlocal looks
        looks += 1
        if looks > 1:
            return select(selector, timeout)
        [child] = children._running
        go.touch()
        wait_until(lambda: not is_running(str(child.pid)), "the end of the child")
        return []

    monkeypatch.setattr(selectors.DefaultSelector, "select", look_too_early)
    script = f"until test -e {go}; do sleep 0.01; done; printf last"
    assert children.run(["sh", "-c", script], AMPLE_S, OUTPUT_MAX).output == b"last"


def test_no_descriptor_is_left(children: Children) -> None:
    children.run(["true"], AMPLE_S, OUTPUT_MAX)
    before = open_files()
    for args in (["true"], ["/no/such/program"], ["yes"]):
        children.run(args, AMPLE_S, OUTPUT_MAX)
    assert not open_files() - before


def test_the_end_kills_those_that_run_and_lets_none_start(children: Children, tmp_path: Path) -> None:
    faults: list[str] = []
    pid = tmp_path / "pid"
    script = f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 60"
    running = threading.Thread(
        target=lambda: faults.append(children.run(["sh", "-c", script], AMPLE_S, OUTPUT_MAX).fault)
    )
    running.start()
    wait_until(pid.exists, "the child")
    children.close()
    running.join(AMPLE_S)
    assert faults == ["ended by signal 9"]
    assert not is_running(pid.read_text().strip())
    assert children.run(["true"], AMPLE_S, OUTPUT_MAX).fault == "is not started: the exporter stops"
