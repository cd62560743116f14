"""Faults made for real: the targets beside a faulty one do not notice, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.names import FILES_VARIABLE, LOOP_VARIABLE
from tests.faults.running import running, targets
from tests.faults.table import FAULTS, GROUPS
from tests.faults.trial import HEALED_WITHIN_S, ROOM_S, SEEN_WITHIN_S, Trial
from tests.faults.watched import INTERVAL_S
from tests.servers import wait_until
from tests.system.conftest import STOP_S, Exporter

#: on a machine that is busy with other tests; the figures of docs/reliability.md are of a quiet one
AGE_P99_MAX_S = 3 * INTERVAL_S
PAGE_P99_MAX_S = 1.0
HELD_MAX_S = 0.25
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
    with running(group, well_ports, folder, variables) as started:
        trial = Trial(started.watched, started.pairs)
        report = trial.run()
        print(report)
        mistakes = report.mistakes + trial.end_in_the_middle(STOP_S)
        assert mistakes == [], started.watched.program.log.read_text()[-5000:]
    for finding in report.findings:
        assert finding.seen_s < finding.fault.develops_s + SEEN_WITHIN_S + ROOM_S, finding.fault.name
        assert finding.healed_s < HEALED_WITHIN_S + ROOM_S, finding.fault.name
    assert report.figures.age_p99_s < AGE_P99_MAX_S
    assert report.figures.took_p99_s < PAGE_P99_MAX_S
    assert report.busy_s < HELD_MAX_S


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
