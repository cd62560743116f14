"""The dashboards without a server: they come from the code as it is, hang together, and name what exists."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import jsonschema
import pytest
import yaml

from deploy.grafana.src.boards import BOARDS
from deploy.grafana.src.lanes import LANES, STEPS, family_of, lane_of, step_of
from exporter.collectors._registry import REGISTRY
from exporter.commands.docs import FLAGS, _flags_of, _own_rows
from exporter.metrics.lane import Lane
from exporter.options.table import OPTIONS
from exporter.pages.exposition import AGE
from exporter.polling.server_cost import READ_S
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES
from tests.deploy.dashboards import (
    FILES,
    FLAG,
    GRAFANA,
    Panel,
    board,
    filled,
    panels,
    rows_and_panels,
    selectors,
)

#: what Prometheus itself makes of each scrape
OF_SCRAPES = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
VALUES = {"__rate_interval": "4m", "__range": "3h", "top": "10"}
DOC = GRAFANA.parents[1] / "docs" / "dashboards.md"

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
ALL = [panel for file in FILES for panel in panels(file)]


def readable(query: str) -> str:
    return filled(query, {**dict.fromkeys(re.findall(r"\$(\w+)", query), ".*"), **VALUES})


def names_of(panel: Panel) -> set[str]:
    """The families that it asks for, without `redis_` and the endings of histograms."""
    return {family_of(name) for query in panel.queries for name, _ in selectors(readable(query))}


def events_of(file: Path) -> list[str]:
    """The queries whose moments all graphs mark."""
    return [event["expr"] for event in board(file)["annotations"].get("list", ())]


def test_the_files_are_what_the_code_makes() -> None:
    assert {file.stem for file in FILES} == {each.name for each in BOARDS}
    for each in BOARDS:
        stale = (GRAFANA / "dashboards" / f"{each.name}.json").read_text() != each.text(BOARDS)
        assert not stale, f"{each.name}.json is not what the code makes: run `make dashboards`"


def test_each_dashboard_is_found_by_a_uid_of_its_own_and_by_links() -> None:
    for file in FILES:
        found = board(file)
        assert found["uid"] == f"redpoll-{file.stem}"
        leads_to = [re.findall(r"^/d/([\w-]+)\?", link["url"])[0] for link in found["links"]]
        assert leads_to == [f"redpoll-{each.name}" for each in BOARDS if each.name != file.stem]
        assert "redpoll" in found["tags"]
        assert found["schemaVersion"] == 41
        assert "id" not in found
    assert len({board(file)["title"] for file in FILES}) == len(FILES)
    named = {uid for file in FILES for uid in re.findall(r"/d/([\w-]+)", file.read_text())}
    assert named == {f"redpoll-{each.name}" for each in BOARDS}


@every_file
def test_panels_have_what_a_reader_needs(file: Path) -> None:
    for panel in panels(file):
        assert panel.title, panel
        assert re.fullmatch(r"[A-Z0-9].*\.", panel.shows), panel
        assert panel.spec["fieldConfig"]["defaults"]["unit"], panel
        assert panel.queries, panel
        assert panel.spec["type"] != "text", panel
        without_data = panel.spec["fieldConfig"]["defaults"].get("noValue")
        assert without_data or panel.spec["type"] == "table", panel
        if panel.flags and panel.spec["type"] not in ("stat", "table"):
            assert without_data.startswith(("Needs", "Empty")), panel
        if panel.spec["type"] == "stat":  # it is cut where it does not fit in
            assert len(panel.title) <= 7 * panel.spec["gridPos"]["w"], panel
    titles = Counter((panel.title, panel.spec["type"]) for panel in panels(file))
    assert [title for title, count in titles.items() if count > 1] == []
    numbers = [each["id"] for each in rows_and_panels(file)]
    assert len(set(numbers)) == len(numbers)


@every_file
def test_panels_stand_side_by_side(file: Path) -> None:
    places = [each["gridPos"] for each in rows_and_panels(file)]
    for place in places:
        assert place["x"] + place["w"] <= 24, place
    shown = board(file)["panels"]
    for group in (shown, *(row["panels"] for row in shown if row["type"] == "row")):
        for one, other in combinations([each["gridPos"] for each in group], 2):
            beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert beside or below, (one, other)
        lines: dict[int, list[dict[str, int]]] = {}
        for each in group:
            lines.setdefault(each["gridPos"]["y"], []).append(each["gridPos"])
        for line in lines.values():
            assert sum(place["w"] for place in line) == 24, f"this line has a gap: {line}"
            assert len({place["h"] for place in line}) == 1, f"these heights differ: {line}"


@every_file
def test_queries_are_promql_of_metrics_that_the_exporter_has(file: Path) -> None:
    families = {family.name for collector in REGISTRY for family in collector.families}
    families |= {family.name for family in (*TARGET_FAMILIES, AGE)}
    families |= {name.removeprefix("redis_") for name, *_ in _own_rows()}
    for panel in panels(file):
        assert names_of(panel) <= families | OF_SCRAPES, panel
    for query in events_of(file):
        assert {family_of(name) for name, _ in selectors(readable(query))} <= families


@every_file
def test_variables_are_made_before_they_are_used(file: Path) -> None:
    known = {"__rate_interval", "__range"}
    for variable in board(file)["templating"]["list"]:
        text = variable["query"]["query"] if isinstance(variable["query"], dict) else ""
        assert set(re.findall(r"\$(\w+)", text)) <= known, variable["name"]
        known.add(variable["name"])
    queries = [*events_of(file), *(query for panel in panels(file) for query in panel.queries)]
    used = {name for query in queries for name in re.findall(r"\$(\w+)", query)}
    assert used <= known
    assert known - used <= {"__rate_interval", "__range", "datasource"}
    for panel in panels(file):
        for target in panel.spec["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def interval_s(text: str) -> int:
    """Seconds of a text such as 15s or 5m; 0 of an empty one."""
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]] if text else 0


def test_a_rate_spans_several_polls_of_the_lane() -> None:
    slow = {name for name, lane in LANES.items() if lane is Lane.SLOW}
    assert "commands_latencies_usec" in slow
    assert step_of('rate(redis_commands_latencies_usec_bucket{a="b"}[1m]) + redis_up') == "1m"
    assert step_of("redis_memory_used_bytes") == ""
    assert interval_s(step_of("redis_exporter_target_server_seconds_total")) == READ_S
    assert step_of("redis_keys_count{}") == "5m"
    for flag, lane in {"standard": Lane.STANDARD, "slow": Lane.SLOW, "scan": Lane.SCAN}.items():
        default = next(each.default for each in OPTIONS if each.flag == f"poll.{flag}-interval")
        assert interval_s(default) == interval_s(STEPS[lane])
    for panel in ALL:
        for target in panel.spec["targets"]:
            for name, span in selectors(readable(target["expr"])):
                if span and "$__rate_interval" in target["expr"]:
                    assert interval_s(target.get("interval", "")) >= interval_s(STEPS[lane_of(name)]), panel
                if span and "commands_latencies" in name:  # read every two minutes, on a lane of one
                    assert "[5m]" in target["expr"], panel
                else:
                    assert "$__" in target["expr"] or "[1h]" in target["expr"] or not span, panel


def test_buckets_of_several_commands_are_not_added_up() -> None:
    """A server leaves out the empty buckets of each command: a sum over commands would lack calls."""
    for panel in ALL:
        for query in panel.queries:
            if "redis_commands_latencies_usec_bucket" in query:
                assert "by (cmd, le)" in query or 'cmd="$heat"' in query, panel


def test_a_panel_says_which_flag_it_needs() -> None:
    flags: dict[str, set[str]] = {name: {flag} for name, flag in FLAGS.items()}
    for collector in REGISTRY:
        needed = set(FLAG.findall(_flags_of(collector) or ""))
        for family in collector.families if needed else ():
            flags.setdefault(family.name, set()).update(needed)
    for panel in ALL:
        needs = [flags[name] for name in names_of(panel) if name in flags]
        for needed in needs:
            assert needed & panel.flags, f"{panel} needs one of {sorted(needed)} and does not say so"


def test_flags_that_panels_name_exist_and_the_docs_name_the_same() -> None:
    named = {flag for panel in ALL for flag in panel.flags}
    assert named <= {option.flag for option in OPTIONS}
    table = DOC.read_text().split("## Flags", 1)[1].split("\n## ", 1)[0]
    assert set(FLAG.findall(table)) == named


def test_the_docs_name_every_dashboard() -> None:
    text = DOC.read_text()
    for file in FILES:
        assert f"`{file.name}`" in text
        assert board(file)["title"] in text


DATASOURCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "uid", "type", "access", "url"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "uid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "type": {"const": "prometheus"},
        "access": {"enum": ["proxy", "direct"]},
        "orgId": {"type": "integer"},
        "url": {"type": "string", "pattern": "^https?://[^/]+$"},
        "isDefault": {"type": "boolean"},
        "editable": {"type": "boolean"},
        "jsonData": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "timeInterval": {"type": "string", "pattern": "^[0-9]+[smh]$"},
                "httpMethod": {"enum": ["GET", "POST"]},
                "prometheusType": {"const": "Prometheus"},
                "manageAlerts": {"type": "boolean"},
            },
        },
    },
}
PROVIDER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "type", "options"],
    "properties": {
        "name": {"type": "string"},
        "orgId": {"type": "integer"},
        "folder": {"type": "string"},
        "folderUid": {"type": "string"},
        "type": {"const": "file"},
        "disableDeletion": {"type": "boolean"},
        "updateIntervalSeconds": {"type": "integer"},
        "allowUiUpdates": {"type": "boolean"},
        "options": {
            "type": "object",
            "additionalProperties": False,
            "required": ["path"],
            "properties": {"path": {"type": "string", "pattern": "^/"}},
        },
    },
}


@pytest.mark.parametrize(
    ("name", "key", "item"),
    [("datasources", "datasources", DATASOURCE), ("dashboards", "providers", PROVIDER)],
)
def test_provisioning_has_the_form_that_grafana_reads(name: str, key: str, item: dict[str, object]) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", key],
        "properties": {"apiVersion": {"const": 1}, key: {"type": "array", "minItems": 1, "items": item}},
    }
    jsonschema.validate(provisioned(name), schema)


def provisioned(name: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = yaml.safe_load(
        (GRAFANA / "provisioning" / name / f"{name}.yml").read_text()
    )
    return found


def test_there_are_two_data_sources_and_one_of_them_is_the_default() -> None:
    sources = provisioned("datasources")["datasources"]
    assert len(sources) == 2
    for key in ("name", "uid", "url"):
        assert len({source[key] for source in sources}) == 2
    assert [source["isDefault"] for source in sources] == [True, False]
