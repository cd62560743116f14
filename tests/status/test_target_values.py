"""The values of a target, as its page of metrics has them: by family, filtered, cut, in slices."""

from __future__ import annotations

import pytest

from exporter.status.target_values import LINES, ServedValues, served_values

TEXT = """\
# HELP redis_up 1 if the newest poll went well.
# TYPE redis_up gauge
redis_up 1
# HELP redis_db_keys Keys by database,\\nwith a \\\\ in it.
# TYPE redis_db_keys gauge
redis_db_keys{db="db0"} 5
redis_db_keys{db="db1"} 7 1700000000000
# HELP redis_latency_seconds How long commands take.
# TYPE redis_latency_seconds histogram
redis_latency_seconds_bucket{cmd="get",le="0.1"} 3
redis_latency_seconds_sum{cmd="get"} 0.25
redis_latency_seconds_count{cmd="get"} 3
# TYPE redis_odd untyped
redis_odd{text="a \\"} 1 <script>"} +Inf
"""


async def read(text: str = "", pieces: int = 1, page: str = TEXT, shown_max: int = 500) -> ServedValues:
    async def share() -> None: ...

    data = page.encode()
    size = -(-len(data) // pieces)
    return await served_values(
        [data[at : at + size] for at in range(0, len(data), size)], text, share, shown_max
    )


@pytest.mark.parametrize("pieces", [1, 2, 7, 100])
async def test_all_values_with_help_and_type(pieces: int) -> None:
    values = await read(pieces=pieces)
    assert (values.total, values.fit, values.shown) == (7, 7, 7)
    assert [(each.name, each.type) for each in values.families] == [
        ("redis_up", "gauge"),
        ("redis_db_keys", "gauge"),
        ("redis_latency_seconds", "histogram"),
        ("redis_odd", "untyped"),
    ]
    up, keys, latency, odd = values.families
    assert keys.help == "Keys by database, with a \\ in it."
    assert [(each.suffix, each.labels, each.value) for each in up.samples] == [("", "", "1")]
    assert [each.value for each in keys.samples] == ["5", "7 1700000000000"]
    assert [each.suffix for each in latency.samples] == ["_bucket", "_sum", "_count"]
    assert [(each.labels, each.value) for each in odd.samples] == [('text="a \\"} 1 <script>"', "+Inf")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("UP", ["redis_up"]),
        ("db1", ["redis_db_keys"]),
        ("keys database db0", ["redis_db_keys"]),
        ("take get", ["redis_latency_seconds"]),
        ("<script>", ["redis_odd"]),
        ("nothing", []),
        ("redis", ["redis_up", "redis_db_keys", "redis_latency_seconds", "redis_odd"]),
    ],
)
async def test_every_word_has_to_be_in_name_labels_or_help(text: str, found: list[str]) -> None:
    assert [each.name for each in (await read(text)).families] == found


async def test_a_filter_keeps_the_samples_that_fit() -> None:
    values = await read("db1")
    assert [each.labels for each in values.families[0].samples] == ['db="db1"']
    assert (values.total, values.fit, values.shown) == (7, 1, 1)


async def test_more_than_is_shown_is_counted() -> None:
    values = await read(shown_max=2)
    assert (values.total, values.fit, values.shown) == (7, 7, 2)
    assert [(each.name, len(each.samples), each.hidden) for each in values.families] == [
        ("redis_up", 1, 0),
        ("redis_db_keys", 1, 1),
        ("redis_latency_seconds", 0, 3),
        ("redis_odd", 0, 1),
    ]


async def test_the_event_loop_goes_on_between_slices() -> None:
    shares = 0

    async def share() -> None:
        nonlocal shares
        shares += 1

    page = "".join(f'a{{n="{number}"}} 1\n' for number in range(10 * LINES)).encode()
    values = await served_values([page], "", share)
    assert values.total == 10 * LINES
    assert shares == 10
