"""Faults made for real: the targets beside a faulty one do not notice, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.names import FILES_VARIABLE, LOOP_VARIABLE
from tests.faults.running import running, targets
from tests.faults.table import FAULTS, GROUPS
from tests.faults.trial import HEALED_WITHIN_S, ROOM_S, SEEN_WITHIN_S, Report, Trial
from tests.faults.watched import INTERVAL_S
from tests.servers import wait_until
from tests.system.conftest import STOP_S, Exporter

#: on a machine that is busy with other tests; the figures of docs/reliability.md are of a quiet one
AGE_P99_MAX_S = 3 * INTERVAL_S
PAGE_P99_MAX_S = 1.0
HELD_MAX_S = 0.25
#: a machine that stops the exporter's loop for so long may cost a target a poll: what is wrong in such a
#: trial is no proof, so there is another one
STOPPED_S = 0.5
TRIALS = 2
#: groups of faults that befall connections
OF_CONNECTIONS = ("processes", "conversations", "framing", "sizes", "names", "errors", "tls", "resolver")
#: open files, and targets that want more
FILES, TARGETS = 256, 500


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(
            name,
            marks=[*([pytest.mark.server] if each.real else []), *([pytest.mark.slow] if each.slow else [])],
        )
        for name, each in GROUPS.items()
    ],
)
def test_the_others_do_not_notice(group: str, well_ports: list[int], tmp_path: Path) -> None:
    """Each fault is seen with its reason and in time, and gone in time. A reload, a hangup and scrapes in the
    middle of it change nothing, SIGTERM ends the exporter there, and it holds no more afterwards."""
    assert_unnoticed(group, well_ports, tmp_path, {})


@pytest.mark.slow
@pytest.mark.parametrize("group", OF_CONNECTIONS)
def test_nor_where_the_event_loop_has_the_connections(
    group: str, well_ports: list[int], tmp_path: Path
) -> None:
    """The same with the connections of systems without epoll."""
    assert_unnoticed(group, well_ports, tmp_path, {LOOP_VARIABLE: "1"})


def assert_unnoticed(group: str, well_ports: list[int], folder: Path, variables: Mapping[str, str]) -> None:
    for number in range(TRIALS):
        with running(group, well_ports, folder / str(number), variables) as started:
            trial = Trial(started.watched, started.pairs)
            report = trial.run()
            print(report)
            mistakes = report.mistakes + trial.end_in_the_middle(STOP_S) + limits_exceeded(report)
            log = started.watched.program.log.read_text()[-5000:]
        if not mistakes or report.passed_s - report.busy_s < STOPPED_S:
            break
    assert mistakes == [], log


def limits_exceeded(report: Report) -> list[str]:
    times = {
        f"{each.fault.name}: seen": (each.seen_s, each.fault.develops_s + SEEN_WITHIN_S + ROOM_S)
        for each in report.findings
    }
    times |= {
        f"{each.fault.name}: well": (each.healed_s, HEALED_WITHIN_S + ROOM_S) for each in report.findings
    }
    times |= {
        "age": (report.figures.age_p99_s, AGE_P99_MAX_S),
        "/metrics": (report.figures.took_p99_s, PAGE_P99_MAX_S),
        "loop held": (report.busy_s, HELD_MAX_S),
    }
    return [f"{name} after {took_s:.2f} s" for name, (took_s, most_s) in times.items() if took_s >= most_s]


def test_with_fewer_files_than_targets_the_page_is_there_and_some_are_up(
    well_ports: list[int], tmp_path: Path
) -> None:
    addrs = targets(well_ports, 16)[:TARGETS]
    program = Exporter(
        tmp_path / "exporter.log",
        f"--redis.addr={','.join(addrs)}",
        module=("tests.faults.program", str(tmp_path / "meter.json")),
        environ={FILES_VARIABLE: str(FILES)},
    )
    try:
        wait_until(lambda: len(program.values("redis_up")) == TARGETS, "every target was tried")
        most = FILES * 3 // 4

        def stay_up() -> bool:
            """Whether as many as there are files for are up, and the same ones after more polls. On a busy
            machine one may be down for a moment, and another one gets its file."""
            up, polls = up_of(program), polls_of(program)
            wait_until(lambda: all(polls_of(program)[addr] > polls[addr] + 1 for addr in up), "more polls")
            down = program.values("redis_exporter_target_down", reason="open_files")
            return len(up) == most and up_of(program) == up and down.keys() == set(addrs) - up

        wait_until(stay_up, "as many as there are files for are up, and stay so")
        program.wait_for_log(f"room for {most} of {TARGETS} connections")
    finally:
        program.stop()


def test_each_fault_has_a_name_and_a_group_of_its_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert {fault.group for fault in FAULTS if fault.start is not None} == GROUPS.keys()


def polls_of(program: Exporter) -> dict[str, float]:
    return program.values("redis_exporter_target_polls_total", lane="fast")


def up_of(program: Exporter) -> set[str]:
    return {addr for addr, value in program.values("redis_up").items() if value}
