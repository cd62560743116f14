"""The rules without a Prometheus that scrapes: promtool takes them, their cases hold, and all that they name
exists: metrics, labels, lanes, and the headings of docs/alerts.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.errors import REASONS
from exporter.metrics.family import MetricType
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.telemetry.target_series import STRAINS
from tests.deploy.rule_files import (
    CASES,
    METRICS,
    OF_TARGETS,
    RULES,
    Rule,
    alerts,
    labels_of,
    rules,
    selectors,
)

DOC = Path(__file__).parents[2] / "docs" / "alerts.md"
ALERTS = alerts()
SEVERITIES = {"critical", "warning", "info"}
#: the slowest scrapes that our configurations have: a range spans several of them too
SCRAPE_S = 60.0
#: gauges by their type that only grow, as the Go exporter has them
COUNTING = {"redis_aof_delayed_fsync", "redis_replica_resyncs_full"}
#: "the newest values of this lane are stale"
STALE = "redis_exporter_snapshot_stale"

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=str)
every_rule = pytest.mark.parametrize("rule", rules(), ids=str)


def run(program: str, *args: object) -> str:
    binary = shutil.which(program)
    assert binary is not None
    done = subprocess.run([binary, *map(str, args)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.prometheus
def test_promtool_takes_them() -> None:
    assert "FAILED" not in run("promtool", "check", "rules", *sorted(RULES.glob("*.yml")))


@pytest.mark.prometheus
def test_every_case_holds() -> None:
    files = sorted(CASES.glob("*.yml"))
    assert run("promtool", "test", "rules", *files).count("SUCCESS") == len(files)


@pytest.mark.deploy
def test_every_case_holds_with_the_newest_promtool() -> None:
    """It counts what lies on the edge of a range in another way than Debian's."""
    binary = shutil.which("promtool")
    assert binary is not None
    assert Path(binary).parent == DOC.parents[1] / ".tools" / "bin", "run `make tools`"
    test_promtool_takes_them()
    test_every_case_holds()


@cache
def cases() -> list[tuple[str, dict[str, Any]]]:
    """Name of a block of series, and what is expected of one alert then."""
    return [
        (block["name"], case)
        for file in sorted(CASES.glob("*.yml"))
        for block in yaml.safe_load(file.read_text())["tests"]
        for case in block.get("alert_rule_test", ())
    ]


@every_alert
def test_each_alert_is_seen_to_fire_and_to_stay_silent(alert: Rule) -> None:
    mine = [(name, case) for name, case in cases() if case["alertname"] == alert.name]
    assert any(case["exp_alerts"] for _, case in mine), "no case in which it fires"
    silent = {name for name, case in mine if not case["exp_alerts"]}
    others = {f"{alert} fires", f"{alert} is silent while stale", "no series"}
    assert silent - others, "no case of a near miss"
    if alert.pending_for:
        assert f"{alert} fires" in silent, "no case in which it still waits"
    assert any(name == "no series" for name, _ in mine), "no case without series"
    if STALE in alert.spec["expr"] and alert.name != "RedisSnapshotStale":
        assert f"{alert} is silent while stale" in silent, "no case with stale values"


@every_rule
def test_expressions_name_metrics_and_labels_that_exist(rule: Rule) -> None:
    for selector in selectors(rule.tree):
        assert selector.name in METRICS, f"{selector.name} is no metric of the exporter"
        for label, _ in selector.matchers:
            assert label in METRICS[selector.name].labels, f"{selector.name} has no label {label}"
    labels_of(rule.tree)


#: label → the values that it may have
CLOSED = {
    ("redis_exporter_target_down", "reason"): set(REASONS),
    ("redis_exporter_backoff_seconds", "reason"): set(STRAINS),
    ("redis_replication_conflict", "kind"): {"same", "former"},
    (STALE, "lane"): {lane.value for lane in Lane},
    ("redis_exporter_lane_interval_seconds", "lane"): {lane.value for lane in Lane},
    ("redis_cluster_nodes", "state"): {"fail"},
}


@every_rule
def test_values_of_labels_are_those_of_the_program(rule: Rule) -> None:
    for selector in selectors(rule.tree):
        for label, value in selector.matchers:
            if (selector.name, label) in CLOSED:
                assert set(value.split("|")) <= CLOSED[selector.name, label]


@every_rule
def test_ranges_span_four_polls_and_four_scrapes(rule: Rule) -> None:
    options = parse([], {}).poll
    every_s = {
        Lane.FAST: options.interval_s,
        Lane.STANDARD: options.standard_interval_s,
        Lane.SLOW: options.slow_interval_s,
        Lane.SCAN: options.scan_interval_s,
    }
    for selector in selectors(rule.tree):
        if selector.span is not None:
            slowest_s = max([SCRAPE_S, *(float(every_s[lane]) for lane in METRICS[selector.name].lanes)])
            assert selector.span >= timedelta(seconds=4 * slowest_s), f"{selector.name} needs a longer range"


@every_rule
def test_long_ranges_over_values_of_servers_are_read_seldom(rule: Rule) -> None:
    """A day of one series has 5,760 samples, and there may be thousands of servers."""
    long = [
        selector.name
        for selector in selectors(rule.tree)
        if selector.is_range and selector.span is not None and selector.span >= timedelta(hours=6)
    ]
    if any("addr" in METRICS[name].labels for name in long):
        assert rule.interval == "5m", f"{long}: move the rule to the group that is looked at every 5 minutes"


@every_rule
def test_rates_are_of_what_only_grows(rule: Rule) -> None:
    for selector in selectors(rule.tree):
        if selector.function in ("rate", "increase"):
            assert METRICS[selector.name].type is MetricType.COUNTER or selector.name in COUNTING
        elif selector.is_range:
            assert METRICS[selector.name].type is MetricType.GAUGE


@every_alert
def test_values_that_are_too_old_fire_nothing(alert: Rule) -> None:
    """A value of a server that is compared as it stands has the guard of its lane."""
    found = list(selectors(alert.tree))
    guarded = {value for each in found if each.name == STALE for label, value in each.matchers}
    lanes = [METRICS[each.name].lanes for each in found if not each.is_range and each.span is None]
    needed = {lane.value for each in lanes for lane in each}
    assert needed <= guarded, f"the guard of {sorted(needed - guarded)} is missing"
    assert needed or alert.name == "RedisSnapshotStale" or STALE not in alert.spec["expr"]


@every_alert
def test_texts_are_there_and_name_labels_of_the_result(alert: Rule) -> None:
    assert alert.severity in SEVERITIES
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    labels = labels_of(alert.tree)
    assert labels is not None
    texts = alert.annotations["summary"] + alert.annotations["description"]
    named = set(re.findall(r"\$labels\.(\w+)", texts))
    assert named <= labels, f"the result has no label {named - labels}"
    if labels >= OF_TARGETS:
        assert "{{ or $labels.alias $labels.addr $labels.instance }}" in texts, "it does not name the server"
    assert not re.search(r"\$labels\.(alias|addr)\b(?!.*\$labels\.instance)", alert.annotations["summary"])


def test_names_are_used_once() -> None:
    names = [rule.name for rule in rules()]
    assert len(names) == len(set(names))


# -- docs/alerts.md


def sections() -> dict[str, str]:
    """Text by heading."""
    found = re.split(r"^### (\w+)\n", DOC.read_text(), flags=re.M)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


@every_alert
def test_the_runbook_is_a_heading_of_the_docs(alert: Rule) -> None:
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert (DOC.parents[1] / page).samefile(DOC)
    assert anchor == alert.name.lower()
    text = sections()[alert.name]
    assert "*Look at*" in text or "*Do*" in text or "](#" in text, "it does not say what to look at or to do"


def test_the_tables_of_the_docs_are_those_of_the_rules() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| ([\w ]+) \| (.+) \|$", DOC.read_text(), re.M)
    assert [(name, severity, after) for name, _, severity, after, _ in rows] == [
        (alert.name, alert.severity, alert.pending_for or "at once")
        for topic in re.findall(r"^In `(\w+)\.yml`\.$", DOC.read_text(), re.M)
        for alert in ALERTS
        if alert.topic == topic
    ]
    assert {name for name, *_ in rows} == {alert.name for alert in ALERTS} == sections().keys()
    assert all(anchor == name.lower() for name, anchor, *_ in rows)


def test_metrics_that_the_docs_name_exist() -> None:
    recorded = {rule.name for rule in rules() if "record" in rule.spec}
    named = set(re.findall(r"`(redis_(?!exporter`)[\w:]+|redis:[\w:]+)`", DOC.read_text()))
    assert named
    assert named <= METRICS.keys() | recorded


def test_commands_of_the_docs_are_those_that_this_page_runs() -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```", DOC.read_text(), re.M | re.S)
    assert block.splitlines() == [
        "promtool check rules deploy/prometheus/rules/*.yml",
        "promtool test rules deploy/prometheus/tests/*.yml",
        "amtool check-config deploy/alertmanager/alertmanager.yml",
    ]
