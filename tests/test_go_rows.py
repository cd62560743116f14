"""Every metric of the Go exporter is here: the same name, type and labels, its value asserted somewhere.

Or docs/differences.md has a reason.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.collectors._registry import REGISTRY
from exporter.commands.compare import MetricsPage, read_page
from exporter.metrics.family import Family
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES
from tests.servers import RedisServer

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "data" / "golden"
with (ROOT / "tests" / "data" / "go_metrics.csv").open(newline="") as file:
    ROWS = list(csv.DictReader(file))
OURS: dict[str, Family] = {
    f"redis_{family.name}": family for collector in REGISTRY for family in collector.families
}
OURS |= {f"redis_{family.name}": family for family in TARGET_FAMILIES}
#: rows that stand for any name, or have another form here: what docs/differences.md says of them
DIFFERENT = {
    "redis_cluster_<anything>": "`cluster_…` fields",
    "redis_db<anything>": "fields of INFO MODULES that begin with `db`",
    "redis_cmdstat_<anything>": "`cmdstat_…` fields outside",
    "redis_exporter_scrape_duration_seconds": "`redis_exporter_scrape_duration_seconds`",
    "redis_exporter_build_info": "{golang_version}`",
    "go_<runtime metric>": "`--include-go-runtime-metrics`",
}
#: labels that only servers have which the Go exporter does not know, by row; docs/differences.md names each
MORE_LABELS = {
    "redis_instance_info": {
        "dragonfly_version",
        "garnet_version",
        "kvrocks_version",
        "redict_version",
        "pika_version",
        "server_name",
    }
}
#: rows of the process itself: prometheus-client's, without a family of the table
PROCESS = [row["name"] for row in ROWS if row["source"] == "self" and row["name"] not in (*DIFFERENT, *OURS)]
#: sources whose rows a test goes through one by one, field by field
BY_FIELD = {
    "INFO MODULES": "collectors/test_modules.py",
    "FT._LIST + FT.INFO": "collectors/test_search.py",
    "SERVER EXT": "collectors/test_tile38.py",
    "XINFO STREAM": "collectors/test_streams.py",
}
#: rows of newer servers than the one at hand → the test that asserts them
BY_TEST = {"redis_stream_group_messages_nacked": "collectors/test_streams.py"}
SCRIPT = "return {'answer', '42'}"


def names_of(row: dict[str, str]) -> list[str]:
    """The name, or those that a pattern stands for."""
    if "<type>" not in row["name"]:
        return [row["name"]]
    types = (
        "ping",
        "pong",
        "meet",
        "fail",
        "publish",
        "publishshard",
        "auth_req",
        "auth_ack",
        "update",
        "mfstart",
        "module",
    )
    return [row["name"].replace("<type>", each) for each in types]


def in_golden_pages() -> set[str]:
    return {
        line.split()[2]
        for path in GOLDEN.glob("*.prom")
        for line in path.read_text().splitlines()
        if line.startswith("# TYPE ")
    }


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> MetricsPage:
    """What the whole program tells, after one poll, of a real server with data in it."""
    folder = tmp_path_factory.mktemp("live")
    script = folder / "script.lua"
    script.write_text(SCRIPT)
    server = RedisServer(folder, "--save", "").start()
    try:
        server.ask("SET", "number", "12.5")
        server.ask("SET", "text", "kiwi")
        server.ask("XADD", "stream", "1-1", "a", "b")
        server.ask("XGROUP", "CREATE", "stream", "group", "0")
        server.ask("XREADGROUP", "GROUP", "group", "reader", "STREAMS", "stream", ">")
        server.ask("SAVE")
        page = folder / "page"
        flags = (
            "--ping-on-connect", "--include-rdb-file-size-metric", "--check-single-keys=number,text",
            "--count-keys=*",
            "--check-single-streams=stream", "--check-key-groups=^(.*)$", f"--script={script}",
        )  # fmt: skip
        with page.open("wb") as out, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", _Out(out))
            assert main(["once", f"--redis.addr=redis://127.0.0.1:{server.port}", *flags], {}) == 0
        return read_page(page.read_text())
    finally:
        server.stop()


class _Out:
    """Standard output that goes to a file."""

    def __init__(self, buffer: object) -> None:
        self.buffer = buffer

    def flush(self) -> None: ...


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row["name"] not in DIFFERENT and row["name"] not in PROCESS],
    ids=lambda row: row["name"],
)
def test_a_row_is_a_family_with_its_type_and_labels(row: dict[str, str]) -> None:
    for name in names_of(row):
        assert OURS[name].type.value == row["type"]
        theirs = set(re.findall(r"\w+", row["labels"]))
        assert set(OURS[name].labels) == theirs | MORE_LABELS.get(name, set())


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["name"] not in DIFFERENT], ids=lambda row: row["name"]
)
def test_a_row_is_asserted(row: dict[str, str], live: MetricsPage) -> None:
    """In a golden page, or by a test that goes through the rows of its source, or else told of a real
    server."""
    if row["source"] in BY_FIELD:
        assert f'go_rows("{row["source"]}")' in (ROOT / "tests" / BY_FIELD[row["source"]]).read_text()
    elif row["name"] in BY_TEST:
        assert f"'{row['name']}{{" in (ROOT / "tests" / BY_TEST[row["name"]]).read_text()
    elif row["source"].startswith("INFO") and row["name"] not in in_golden_pages():
        assert (
            OURS[row["name"]].source is not None
        )  # collectors/test_info.py reads each of those from its field
    elif not set(names_of(row)) & in_golden_pages():
        assert row["name"] in set(live.families.values()), (
            "neither in a golden page nor told of a real server"
        )
        assert live.types[row["name"]] == row["type"]


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_otherwise_has_a_reason(name: str) -> None:
    assert DIFFERENT[name] in (ROOT / "docs" / "differences.md").read_text()


@pytest.mark.parametrize("label", sorted(set().union(*MORE_LABELS.values())))
def test_a_label_of_ours_has_a_reason(label: str) -> None:
    assert f"`{label}`" in (ROOT / "docs" / "differences.md").read_text()
