"""What the process takes: as prometheus-client has it, and where parts of /proc are missing."""

from __future__ import annotations

import os
import pathlib
import resource

import prometheus_client
import pytest

from exporter.telemetry.process import FAMILIES, ProcessSeries
from tests.store_fixture import samples_of


def values(series: ProcessSeries) -> dict[str, float]:
    return {name: value for (name, _), value in samples_of(b"".join(series.render()).decode()).items()}


def those_of_prometheus_client() -> dict[str, float]:
    collector = prometheus_client.ProcessCollector(registry=None)
    return {sample.name: sample.value for family in collector.collect() for sample in family.samples}


def test_names_and_values_are_those_of_prometheus_client() -> None:
    ours, theirs = values(ProcessSeries()), those_of_prometheus_client()
    assert theirs.keys() <= ours.keys()
    for name in ("process_start_time_seconds", "process_max_fds"):
        assert ours[name] == theirs[name], name
    assert theirs["process_open_fds"] - 1 <= ours["process_open_fds"] <= theirs["process_open_fds"], (
        "listing the folder opens it"
    )
    for name in (
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ):
        assert ours[name] == pytest.approx(theirs[name], rel=0.1, abs=0.05), name


def test_files_that_are_open_are_counted() -> None:
    before = values(ProcessSeries())["process_open_fds"]
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(7)]
    try:
        assert values(ProcessSeries())["process_open_fds"] == before + 7
    finally:
        for file in files:
            os.close(file)


def test_where_a_folder_has_no_size_its_files_are_counted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "self" / "fd"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / str(number)).touch()
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **kw: os.stat_result((*stat(path)[:6], 0, *stat(path)[7:])))
    assert ProcessSeries(str(tmp_path)).read().open_files == 5


def test_bytes_of_the_network_stand_in_two_lines(tmp_path: pathlib.Path) -> None:
    (tmp_path / "self" / "net").mkdir(parents=True)
    (tmp_path / "self" / "net" / "netstat").write_text(
        "TcpExt: A B\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 70 80\n"
    )
    found = values(ProcessSeries(str(tmp_path)))
    assert found["process_network_receive_bytes_total"] == 70
    assert found["process_network_transmit_bytes_total"] == 80


def test_no_limit_is_the_largest_number_that_the_kernel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert values(ProcessSeries())["process_virtual_memory_max_bytes"] == float(2**64 - 1)


def test_every_row_is_on_the_page_of_this_machine() -> None:
    assert values(ProcessSeries()).keys() == {family.name for family in FAMILIES}


def test_without_proc_the_rest_is_told(tmp_path: pathlib.Path) -> None:
    assert values(ProcessSeries(str(tmp_path))).keys() == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_virtual_memory_max_bytes",
    }
