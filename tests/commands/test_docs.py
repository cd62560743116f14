"""The pages that come from the tables. Whether they are up to date is a test of the documentation."""

from __future__ import annotations

import re

import pytest

from exporter import engine
from exporter.cli import main
from exporter.collectors._registry import REGISTRY
from exporter.commands import docs
from exporter.metrics.family import Family, NameSet
from exporter.metrics.family_set import make_family_set
from exporter.metrics.lane import Lane
from exporter.options.table import OPTIONS
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES


def lines(page: str) -> dict[str, str]:
    """The rows of a page's tables by the name that they begin with."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)`.*$", page, re.M)}


@pytest.fixture(scope="module")
def metrics() -> str:
    return docs.metrics_page()


class TestMetrics:
    def test_every_family_has_a_row(self, metrics: str) -> None:
        names = {f"redis_{family.name}" for collector in REGISTRY for family in collector.families}
        assert names | {f"redis_{family.name}" for family in TARGET_FAMILIES} <= lines(metrics).keys()

    def test_a_row_tells_type_labels_meaning_and_whose_it_is(self, metrics: str) -> None:
        assert (
            lines(metrics)["redis_commands_total"]
            == "| `redis_commands_total` | counter | `cmd` | Calls of a command. |"
        )
        assert lines(metrics)["redis_io_thread_reads_total"].endswith(
            "| Reads by one I/O thread. *own, since 8.0* |"
        )
        assert lines(metrics)["redis_used_memory_bytes"].endswith(" *second name* |")
        assert lines(metrics)["redis_total_system_memory_bytes"].endswith(
            " *with `--include-system-metrics`* |"
        )

    def test_a_collector_tells_its_lane_and_its_flags(self, metrics: str) -> None:
        assert "\n## stats\n\nStatistics by command and by error. Lane: standard.\n" in metrics
        assert (
            "\n## unknown\n\nFields of INFO that have no metric of their own. Lane: slow. With "
            "`--export-unknown-info`.\n" in metrics
        )

    def test_a_collector_that_is_off_by_itself_names_a_flag(self, metrics: str) -> None:
        assert "With ." not in metrics

    def test_the_exporters_own_series(self, metrics: str) -> None:
        assert "`redis_exporter_http_request_duration_seconds` | histogram | `endpoint` |" in metrics
        assert "`redis_exporter_scrapes_total` | counter |" in metrics

    def test_a_bar_stays_in_its_cell(self) -> None:
        assert (
            list(docs._rows([("a", "gauge", ("b",), "One | two.")]))[2]
            == "| `a` | gauge | `b` | One \\| two. |"
        )


class TestSecondNames:
    def test_all_that_are_read_from_info_are_measured(self) -> None:
        found = [
            family
            for collector in REGISTRY
            for family in collector.families
            if family.name_set is NameSet.SECOND and family.source
        ]
        assert docs.second_names_cost()[0] == len(found)
        assert {family.name for family in found if not self.measured(family)} == set()

    @staticmethod
    def measured(family: Family) -> int:
        part = make_family_set("one", Lane.FAST, [family], namespace="redis")
        assert part.plan is not None
        labels = engine.Labels(b"", {})
        return part.plan.read(docs._some_info([family]).encode(), labels, engine.LineOrder(), 0.0, 0).series

    def test_what_they_cost_is_told(self, metrics: str) -> None:
        names, series, size, head_size = docs.second_names_cost()
        assert series >= names > 0
        assert size / series > len('redis_a{addr="redis://10.0.0.1:6379"} 1\n')
        said = f"these are {series} series of a target, {size:,} bytes before compression; HELP and TYPE are"
        assert f"{said} {head_size:,} bytes" in " ".join(metrics.split())


class TestOptions:
    def test_every_flag_has_a_row(self) -> None:
        assert lines(docs.options_page()).keys() == {f"--{option.flag}" for option in OPTIONS}

    def test_a_row_has_value_default_variable_scope_and_meaning(self) -> None:
        found = lines(docs.options_page())["--stale-policy"]
        assert found == (
            "| `--stale-policy` drop\\|serve\\|fail | `drop` | `REDIS_EXPORTER_STALE_POLICY` | start |"
            " What to do with stale values. drop: leave them out. serve: show them. fail: leave them out, and"
            " answer 503 on /scrape. |"
        )


@pytest.mark.parametrize("page", docs.PRINTED)
def test_the_command_prints_the_page(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", page], {}) == 0
    assert capsys.readouterr() == (docs.PRINTED[page](), "")
