"""What a request asks for."""

from __future__ import annotations

import re

import pytest
from multidict import MultiDict

from exporter.errors import RequestError
from exporter.metrics.lane import Lane
from exporter.options.values import KeyName
from exporter.pages.selection import WHOLE, Selection
from exporter.web import query


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("gzip, *;q=0", True),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=", False),
        ("gzip;q=nan", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header: str, takes: bool) -> None:
    assert query.accepts_gzip(header) is takes


@pytest.mark.parametrize(
    ("pairs", "selection"),
    [
        ([], WHOLE),
        ([("part", "0/20")], Selection(slice=(0, 20))),
        ([("part", "19/20")], Selection(slice=(19, 20))),
        ([("part", "own")], Selection(own=True)),
        ([("group", "blue")], Selection(group="blue")),
        (
            [("name[]", "redis_up"), ("name[]", "redis_x")],
            Selection(names=frozenset({"redis_up", "redis_x"})),
        ),
        ([("anything", "else")], WHOLE),
    ],
)
def test_the_query_chooses_a_part_of_the_page(pairs: list[tuple[str, str]], selection: Selection) -> None:
    assert query.selection(MultiDict(pairs)) == selection


@pytest.mark.parametrize(
    "text",
    ["", "1", "1/0", "20/20", "-1/20", "a/b", "1/20/3", " 1/20", "1/20\n", "00/3", "01/20", "\u0661/\u0662"],
)
def test_a_part_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError, match="part=0/20"):
        query.selection(MultiDict(part=text))


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("part", "99999/99999")], "part=0/20"),
        ([("part", "0/1001")], "at most 1,000 parts"),
        ([("part", "0/99999")], "at most 1,000 parts"),
        ([("part", "0/" + "9" * 10**6)], "part=0/20"),
        ([("name[]", f"a{n}") for n in range(10_000)], "at most 200 names"),
        ([("name[]", "a" * 10**6)], "at most 200 characters"),
        ([("name[]", "redis_up\n")], "names of metrics"),
        ([("name[]", "")], "names of metrics"),
        ([("name[]", "\udcff")], "names of metrics"),
        ([("group", "x" * 10**6)], "at most 1,024 characters"),
    ],
)
def test_what_is_too_much_is_refused_with_the_limit(pairs: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)) as caught:
        query.selection(MultiDict(pairs))
    assert len(str(caught.value)) < 200


def test_a_group_is_valid_text() -> None:
    assert query.selection(MultiDict(group="a\udcff")).group == "a\ufffd"


def test_a_scraper_s_names_are_safe_and_short() -> None:
    assert query.scraper("10.0.0.1", {"User-Agent": "Prometheus/2.42.0"}) == ("10.0.0.1", "Prometheus/2.42.0")
    assert query.scraper("", {}) == ("", "")
    assert query.scraper("::1%\x1b", {"User-Agent": "\udcff\r\n" + "x" * 10**6}) == (
        "::1%",
        "\ufffd" + "x" * 79,
    )


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("2", 2.0), ("0.5", 0.5), ("1e3", 1000.0)])
def test_max_age_is_seconds(text: str, seconds: float) -> None:
    assert query.max_age_s(MultiDict(max_age=text)) == seconds


@pytest.mark.parametrize(
    ("text", "lanes"),
    [
        ("all", [Lane.FAST, Lane.STANDARD, Lane.SLOW]),
        ("slow", [Lane.SLOW]),
        ("slow, fast", [Lane.FAST, Lane.SLOW]),
        ("standard,standard", [Lane.STANDARD]),
    ],
)
def test_lanes_are_those_that_are_named(text: str, lanes: list[Lane]) -> None:
    assert list(query.lanes(MultiDict(max_age="0", lanes=text))) == lanes


def test_lanes_may_be_named_one_by_one() -> None:
    asked = MultiDict([("max_age", "0"), ("lanes", "slow"), ("lanes", "fast")])
    assert query.lanes(asked) == (Lane.FAST, Lane.SLOW)


def test_without_lanes_max_age_is_about_fast() -> None:
    assert query.lanes(MultiDict(max_age="0")) == query.lanes(MultiDict()) == (Lane.FAST,)


@pytest.mark.parametrize("text", ["", "scan", "fast,scan", "all,fast", "fast,,slow", "FAST", "x" * 9999])
def test_other_lanes_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(RequestError, match="lanes: write all, or some of fast, standard and slow"):
        query.lanes(MultiDict(max_age="0", lanes=text))


def test_lanes_without_max_age_are_refused() -> None:
    with pytest.raises(RequestError, match="max_age=0&lanes=all"):
        query.lanes(MultiDict(lanes="all"))


def test_max_age_is_not_asked_for_by_default() -> None:
    assert query.max_age_s(MultiDict()) is None


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "now", "5s"])
def test_a_max_age_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError, match="max_age=2"):
        query.max_age_s(MultiDict(max_age=text))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 2.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "10"}, 8.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "0.5"}, 0.4),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "0"}, 2.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "-3"}, 2.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "nan"}, 2.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "1e9"}, 2.0),
        ({"X-Prometheus-Scrape-Timeout-Seconds": "soon"}, 2.0),
    ],
)
def test_a_client_waits_for_eight_tenths_of_its_timeout(headers: dict[str, str], seconds: float) -> None:
    assert query.wait_s(headers) == pytest.approx(seconds)


class TestAsked:
    def test_a_target_alone(self) -> None:
        asked = query.asked(MultiDict(target="first", other="x"))
        assert (asked.text, asked.auth, asked.overrides) == ("first", "", ())

    def test_credentials_by_name(self) -> None:
        assert query.asked(MultiDict(target="one", auth="cache")).auth == "cache"

    def test_lists_of_keys_add_up(self) -> None:
        pairs = [("target", "one"), ("check-keys", "a,db1=b"), ("count-keys", ""), ("check-keys", "c%2A")]
        keys = (KeyName(0, b"a"), KeyName(1, b"b"), KeyName(0, b"c*"))
        assert query.asked(MultiDict(pairs)).overrides == (("check-keys", keys),)

    def test_in_any_order_they_are_the_same(self) -> None:
        pairs = [("check-streams", "s"), ("check-keys", "a"), ("target", "one")]
        assert query.asked(MultiDict(pairs)) == query.asked(MultiDict(reversed(pairs)))

    @pytest.mark.parametrize("pairs", [{}, {"target": ""}])
    def test_without_a_target_it_says_what_to_write(self, pairs: dict[str, str]) -> None:
        with pytest.raises(RequestError, match=re.escape("/scrape?target=redis://host:6379")):
            query.asked(MultiDict(pairs))

    @pytest.mark.parametrize("name", query.KEY_PARAMETERS)
    def test_a_list_that_cannot_be_read_is_named(self, name: str) -> None:
        with pytest.raises(RequestError, match=f"^{name}: a=b=c"):
            query.asked(MultiDict({"target": "one", name: "a=b=c"}))
