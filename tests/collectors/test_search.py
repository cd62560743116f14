"""Search indexes. All replies are played, in the form that RediSearch's own code gives them: no server
here has the module."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors._answered import Answered
from exporter.collectors.info import InfoCollector
from exporter.collectors.search import INDEXES_MAX, SearchCollector
from exporter.errors import BusyError, ProtocolError, ReplyError
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive
from tests.collectors.go_rows import assert_same_families, go_rows
from tests.servers import Conversation
from tests.watch_harness import RedisFactory, ScriptFactory, WatchHarnessFactory, info

FACTS = Facts((7, 4, 1), "redis", "master", "standalone", "r", False, False, 16)
ROWS = go_rows("FT._LIST + FT.INFO")
ALL = parse(["--include-search-indexes-metrics"], {})
LIST = [("FT._LIST",)]
#: what FT.INFO tells besides numbers
NESTED = [
    b"index_name",
    b"idx",
    b"index_options",
    [],
    b"attributes",
    [[b"identifier", b"num_docs", b"type", b"TEXT"]],
]
GONE = ReplyError("idx: no such index")


def reply(**fields: object) -> list[Any]:
    return [*NESTED, *(item for name, value in fields.items() for item in (name.encode(), value))]


def told(
    drive: Drive, *replies: object, names: list[Any] | None = None, options: Options = ALL
) -> dict[str, str]:
    names = [b"idx"] if names is None else names
    """From a server that has taken FT.INFO before."""
    memory = Answered({"FT.INFO"}, FACTS.run_id)
    played = drive(SearchCollector(), [names], list(replies), facts=FACTS, options=options, memory=memory)
    return played.samples()


def of(index: str, samples: dict[str, str]) -> dict[str, str]:
    """Without the zeros, which stand for what is missing."""
    ending = f'{{index_name="{index}"}}'
    return {
        name.removesuffix(ending): value
        for name, value in samples.items()
        if name.endswith(ending) and value != "0"
    }


def test_the_families_of_the_go_exporter() -> None:
    assert len(ROWS) == 24
    assert_same_families(SearchCollector(), ROWS)


def test_every_field_is_the_family_it_should_be(drive: Drive) -> None:
    fields = {row["field"]: str(number).encode() for number, row in enumerate(ROWS.values(), 1)}
    assert of("idx", told(drive, reply(**fields))) == {
        f"redis_{name}": str(number * (1_048_576 if row["field"].endswith("_mb") else 1))
        for number, (name, row) in enumerate(ROWS.items(), 1)
    }


def test_of_more_indexes_the_first_are_asked_about(drive: Drive) -> None:
    names = [b"i%d" % number for number in range(INDEXES_MAX + 5)]
    played = drive(
        SearchCollector(), [names], [reply()], [reply()] * (INDEXES_MAX - 1), facts=FACTS, options=ALL
    )
    assert [len(batch) for batch in played.asked] == [1, 1, INDEXES_MAX - 1]
    assert played.output.cut == 5


def test_numbers_come_as_text_or_as_integers(drive: Drive) -> None:
    fields = reply(
        num_docs=b"3",
        number_of_uses=7,
        percent_indexed=b"0.25",
        doc_table_size_mb=b"6.103515625e-05",
        indexing=b"1",
    )
    assert of("idx", told(drive, fields)) == {
        "redis_search_index_num_docs": "3",
        "redis_search_index_number_of_uses_total": "7",
        "redis_search_index_percent_indexed": "0.25",
        "redis_search_index_doc_table_size_bytes": "64",
        "redis_search_index_indexing": "1",
    }


def test_missing_fields_are_0(drive: Drive) -> None:
    assert told(drive, reply()) == {f'redis_{name}{{index_name="idx"}}': "0" for name in ROWS}


@pytest.mark.parametrize(
    "value", [b"-nan", b"nan", b"inf", b"", b"x", b"1_0", b"9e999", None, [b"1"], ReplyError("ERR no")]
)
def test_one_bad_field_costs_no_other(drive: Drive, value: object) -> None:
    samples = told(drive, reply(bytes_per_record_avg=value, num_docs=b"3"))
    assert 'redis_search_index_avg_per_record_bytes{index_name="idx"}' not in samples
    assert samples['redis_search_index_num_docs{index_name="idx"}'] == "3"
    assert len(samples) == 23


def test_one_failing_index_costs_no_other(drive: Drive) -> None:
    samples = told(
        drive, reply(num_docs=b"1"), GONE, b"odd", reply(num_docs=b"2"), names=[b"a", b"b", b"c", b"d"]
    )
    assert {name: value for name, value in samples.items() if "num_docs" in name} == {
        'redis_search_index_num_docs{index_name="a"}': "1",
        'redis_search_index_num_docs{index_name="d"}': "2",
    }
    assert len(samples) == 48


def test_all_that_are_refused_are_no_failure(drive: Drive) -> None:
    """One is asked about, and its error is the only one."""
    played = drive(SearchCollector(), [[b"a", b"b"]], [GONE], facts=FACTS, options=ALL)
    assert (played.asked, played.text) == ([LIST, [("FT.INFO", b"a")]], "")


def test_all_failing_is_a_failure(drive: Drive) -> None:
    """Of a server that has answered before, so that the indexes are gone."""
    memory = Answered({"FT.INFO"}, FACTS.run_id)
    with pytest.raises(ProtocolError, match="no such index"):
        drive(SearchCollector(), [[b"a"]], [GONE], facts=FACTS, options=ALL, memory=memory)


def test_only_names_that_fit_are_asked_one_first(drive: Drive) -> None:
    options = parse(["--include-search-indexes-metrics", "--check-search-indexes=^user|x$"], {})
    names = [b"users", b"my-user", b"idx", 5, None, b"user \xff"]
    played = drive(SearchCollector(), [names], [reply()], [reply()] * 2, facts=FACTS, options=options)
    assert played.asked == [
        LIST,
        [("FT.INFO", b"users")],
        [("FT.INFO", b"idx"), ("FT.INFO", b"user \xff")],
    ]
    assert 'index_name="user \ufffd"' in played.text


@pytest.mark.parametrize("names", [[], [b"idx"], None, b"OK"])
def test_no_index_fits(drive: Drive, names: object) -> None:
    options = parse(["--include-search-indexes-metrics", "--check-search-indexes=nothing"], {})
    played = drive(SearchCollector(), [names], facts=FACTS, options=options)
    assert (played.asked, played.text) == ([LIST], "")


def test_a_server_without_the_module(drive: Drive) -> None:
    unknown = ReplyError("ERR unknown command 'FT._LIST', with args beginning with: ")
    assert drive(SearchCollector(), [unknown], facts=FACTS, options=ALL).text == ""
    with pytest.raises(BusyError):
        drive(SearchCollector(), [ReplyError("BUSY something else")], facts=FACTS, options=ALL)


def test_it_is_asked_for_on_demand_and_where_there_may_be_modules() -> None:
    assert not SearchCollector().enabled(parse([], {}))
    assert SearchCollector().enabled(ALL)
    assert SearchCollector().wants(FACTS, ALL)
    assert not SearchCollector().wants(dataclasses.replace(FACTS, version=(3, 2, 13)), ALL)
    assert not SearchCollector().wants(dataclasses.replace(FACTS, mode="sentinel"), ALL)


async def test_over_a_socket(scripted_server: ScriptFactory, make_watch_harness: WatchHarnessFactory) -> None:
    """Names and keys come as statuses there, numbers as text."""

    def search(talk: Conversation) -> None:
        answers = {
            b"INFO": info(),
            b"FT._LIST": b"*2\r\n+one\r\n+two\r\n",
            b"FT.INFO": b"*6\r\n+index_name\r\n+one\r\n+num_docs\r\n$2\r\n12\r\n"
            b"+inverted_sz_mb\r\n$3\r\n0.5\r\n",
            b"CONFIG": b"*0\r\n",
        }
        while True:
            words = talk.command()
            talk.send(
                b"-two: no such index\r\n" if words[-1] == b"two" else answers.get(words[0], b"+OK\r\n")
            )

    server = scripted_server(search)
    watch_harness = make_watch_harness(
        [InfoCollector(), SearchCollector()], argv=["--include-search-indexes-metrics"]
    )
    watched = watch_harness.watched(server.port)
    await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_search_index_num_docs", "one") == 12
    assert watch_harness.value(watched, "redis_search_index_inverted_size_bytes", "one") == 524288
    assert watch_harness.value(watched, "redis_search_index_num_docs", "two") is None


async def test_a_real_server_without_the_module_is_asked_once(
    redis_server: RedisFactory, make_watch_harness: WatchHarnessFactory
) -> None:
    server = redis_server()
    watch_harness = make_watch_harness(
        [InfoCollector(), SearchCollector()], argv=["--include-search-indexes-metrics"]
    )
    watched = watch_harness.watched(server.port)
    for _ in range(13):
        await watch_harness.poll(watched)
    assert watch_harness.value(watched, "redis_exporter_collector_supported", "search") == 0
    assert b"errorstat_ERR:count=1\r\n" in server.ask("INFO", "errorstats")
