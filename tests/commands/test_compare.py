"""Two pages, series by series."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.commands.compare import Series, compare, fetch, read_page, report, run
from exporter.errors import ConfigError

OLD = """\
# HELP redis_up Up.
# TYPE redis_up gauge
redis_up 1
# TYPE redis_calls_total counter
redis_calls_total{cmd="get"} 100
redis_calls_total{cmd="set",empty=""} 5
# TYPE redis_seconds histogram
redis_seconds_bucket{le="1"} 2
redis_seconds_bucket{le="+Inf"} 3
redis_seconds_sum 1.5
redis_seconds_count 3
"""
NEW = (
    OLD.replace("redis_calls_total counter", "redis_calls_total gauge")
    .replace(" 100", " 104")
    .replace("redis_up 1", 'redis_up{addr="h"} 1')
)


def difference(old: str, new: str, tolerance: float = 0.0, ignored: tuple[str, ...] = (), ignored_labels: tuple[str, ...] = ()):
    return compare(read_page(old, ignored_labels), read_page(new, ignored_labels), tolerance, ignored)


class TestReading:
    def test_every_form_of_a_sample(self) -> None:
        page = read_page('a 1\na_b:c{x="1",y="q\\"\\\\\\n}{",} -Inf 1795380000250\n\n# a comment\nd{} NaN\ne{ z = "1" } 2\n')
        assert list(page.values) == [
            Series("a", ()), Series("a_b:c", (("x", "1"), ("y", 'q"\\\n}{'))), Series("d", ()), Series("e", (("z", "1"),)),
        ]  # fmt: skip
        assert page.values[Series("a", ())] == 1

    def test_parts_of_a_histogram_are_of_its_family(self) -> None:
        page = read_page(OLD)
        assert {page.families[series] for series in page.values if series.name.startswith("redis_seconds")} == {"redis_seconds"}

    def test_a_gauge_whose_name_ends_in_count_is_its_own(self) -> None:
        page = read_page("# TYPE key gauge\nkey 1\n# TYPE key_count gauge\nkey_count 2\n")
        assert page.families[Series("key_count", ())] == "key_count"

    def test_of_a_double_the_first_counts(self) -> None:
        assert read_page("a 1\na 2\n").values == {Series("a", ()): 1}

    @pytest.mark.parametrize(("text", "message"), [("ok 1\n{} 2\n", "line 2 is no sample"), ("a b\n", "line 1 has no number")])
    def test_what_is_no_page(self, text: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            read_page(text)


class TestComparing:
    def test_a_page_with_itself(self) -> None:
        same = difference(OLD, OLD)
        assert (same.only_old, same.only_new, same.types, same.values) == ([], [], [], [])
        assert same.nothing_lost

    def test_what_is_only_here_or_there(self) -> None:
        found = difference(OLD, NEW)
        assert found.only_old == [Series("redis_up", ())]
        assert found.only_new == [Series("redis_up", (("addr", "h"),))]
        assert not found.nothing_lost

    def test_labels_may_be_left_out(self) -> None:
        found = difference(OLD, NEW, ignored_labels=("addr",))
        assert (found.only_old, found.only_new) == ([], [])

    def test_types_that_differ(self) -> None:
        assert difference(OLD, NEW).types == [("redis_calls_total", "counter", "gauge")]

    def test_values_that_differ(self) -> None:
        series = Series("redis_calls_total", (("cmd", "get"),))
        assert difference(OLD, NEW).values == [(series, 100, 104)]
        assert difference(OLD, NEW, tolerance=0.05).values == []

    def test_families_may_be_left_out(self) -> None:
        found = difference(OLD, NEW, ignored=("redis_up", "redis_ca*"))
        assert found.nothing_lost
        assert found.values == []

    def test_nan_is_nan(self) -> None:
        assert difference("a NaN\n", "a NaN\n").values == []
        assert len(difference("a NaN\n", "a 1\n").values) == 1

    def test_more_series_are_no_loss(self) -> None:
        assert difference(OLD, OLD + "more 1\n").nothing_lost


class TestReport:
    def test_tells_all_of_it_by_family(self) -> None:
        many = "# TYPE m gauge\n" + "".join(f'm{{n="{number}"}} 1\n' for number in range(7))
        lines = list(report(difference(OLD + many, NEW)))
        assert lines[0] == "OLD: 14 series in 4 families"
        assert "\nonly in OLD: 8 series" in lines
        assert lines[lines.index("  m (gauge)") + 1 :][:6] == [*(f'    m{{n="{number}"}} 1' for number in range(5)), "    and 2 more"]
        assert "  redis_calls_total: counter in OLD, gauge in NEW" in lines
        assert '  redis_calls_total{cmd="get"}: 100 in OLD, 104 in NEW' in lines
        assert lines[-1] == "\nNEW lacks something that OLD has"


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[str]:
        for name, text in (("old", OLD), ("new", NEW)):
            (tmp_path / name).write_text(text)
        return [str(tmp_path / "old"), str(tmp_path / "new")]

    def test_ends_with_one_if_something_is_lost(self, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(files) == 1
        assert "NEW lacks something" in capsys.readouterr().out
        assert run([files[0], files[0]]) == 0
        assert run([*files, "--ignore=redis_calls*", "--ignore-label=addr"]) == 0

    def test_as_json(self, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        run([*files, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["only_old"] == ["redis_up"]
        assert told["types"] == [{"family": "redis_calls_total", "old": "counter", "new": "gauge"}]
        assert told["values"] == [{"series": 'redis_calls_total{cmd="get"}', "old": 100, "new": 104}]
        assert told["nothing_lost"] is False

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("/no/such/file", "No such file"),
            ("ftp://h/x", "write http:// or https://"),
            ("http://user:s3cret@127.0.0.1:1/metrics", "127.0.0.1:1: .*refused"),
        ],
    )
    def test_a_page_that_cannot_be_had(self, source: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message) as caught:
            fetch(source)
        assert "s3cret" not in str(caught.value)
