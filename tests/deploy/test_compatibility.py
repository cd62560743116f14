"""Dashboards and alerts that people use find one result for each server, in each arrangement of exporter and
Prometheus. Servers, exporters and Prometheus are real; tests/data/dashboards has names, and the shapes of
queries."""

from __future__ import annotations

import csv
import re
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clusters import Cluster
from tests.deploy.compatibility_servers import ARRANGEMENTS, EACH, FLAGS, RAW, Servers, scraping
from tests.prometheus import Prometheus
from tests.servers import PATIENCE_S

DATA = Path(__file__).parents[1] / "data" / "dashboards"
QUERIES: dict[str, list[dict[str, Any]]] = yaml.safe_load((DATA / "queries.yml").read_text())
METRICS = list(csv.DictReader((DATA / "metrics.csv").read_text().splitlines()))
RANGE = "30s"

pytestmark = [pytest.mark.prometheus, pytest.mark.server]


class Judge:
    """Says of a query in one arrangement what is wrong with its results; nothing if all is well."""

    def __init__(self, prometheus: Prometheus, servers: Servers, exporter: str) -> None:
        self.prometheus = prometheus
        self._servers = servers
        self._exporter = exporter

    def places(self, kind: str, job: str = "") -> set[str]:
        """The instances of servers of a kind. On a raw page all have that of the exporter."""
        return {self._exporter} if job == RAW else self._servers.places(kind)

    def results(self, query: str, job: str) -> list[dict[str, str]]:
        """The labels of each result."""
        text = query.replace("{@", f'{{job="{job}",instance=~".+"').replace("[@]", f"[{RANGE}]")
        return [labels for labels, _ in self.prometheus.answer(text)]

    def fault(self, row: dict[str, Any], job: str) -> str:
        expected = row.get(job, row["per"])
        if job == RAW:
            return self._raw_fault(row)
        found = self.results(row["query"], job)
        return self._fault(expected, found, row.get("by", []))

    def _fault(self, expected: str, found: list[dict[str, str]], by: list[str]) -> str:
        if expected == "none":
            return f"{len(found)} results" if found else ""
        if expected in ("one", "some"):
            return "" if len(found) == 1 or (found and expected == "some") else f"{len(found)} results"
        places = self.places(expected)
        instances = {labels.get("instance", "") for labels in found}
        if instances != places:
            return f"too many {sorted(instances - places)}, missing {sorted(places - instances)}"
        if any(label not in labels for labels in found for label in by):
            return f"a result lacks one of {by}: {found[0]}"
        keys = {(labels["instance"], *(labels[label] for label in by)) for labels in found}
        return "" if len(keys) == len(found) else f"{len(found)} results, {len(keys)} of them differ"

    def _raw_fault(self, row: dict[str, Any]) -> str:
        """All servers have the instance of the exporter."""
        expected = row.get("raw", "each")
        try:
            found = self.results(row["query"], RAW)
        except urllib.error.HTTPError as error:
            return "" if expected == "error" else str(error)
        if expected in ("error", "none"):
            return f"{len(found)} results" if found or expected == "error" else ""
        if row["per"] in ("one", "some"):
            return self._fault(row["per"], found, [])
        instances = {labels["instance"] for labels in found}
        if instances != {self._exporter}:
            return f"instances {instances}"
        if expected == "one":
            keys = {tuple(labels[label] for label in row.get("by", [])) for labels in found}
            return "" if len(keys) == len(found) else "servers are not added up"
        usual = self.results(row["query"], ARRANGEMENTS[-1])
        if expected == "each":
            return "" if len(found) == len(usual) else f"{len(found)} results, not {len(usual)}"
        return "" if len(found) > len(usual) else "no more results than there should be"


@pytest.fixture(scope="module")
def judge(redis_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("compatibility")
        servers = Servers(directory, redis_cluster, stack)
        prometheus, exporter = scraping(directory, servers, stack)
        yield Judge(prometheus, servers, exporter)


def variable_fault(judge: Judge, row: dict[str, Any], job: str) -> str:
    """What is wrong with the choices of a dashboard's variable. On a raw page there is one instance."""
    expected = sorted(row.get("values") or judge.places(row["per"], job))
    found = judge.prometheus.label_values(row["label"], row["of"].replace("{@", f"{{job='{job}'"))
    return "" if found == expected else f"{found}, not {expected}"


def metric_faults(judge: Judge, job: str) -> Iterator[str]:
    """Metrics that are not where they should be, or lack a label."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for labels in judge.prometheus.labels_of(f"{{job='{job}'}}"):
        instances, names = found.setdefault(labels["__name__"], (set(), set()))
        instances.add(labels["instance"])
        names.update(labels)
    for row in METRICS:
        if row["on"] == "exporter" and job == EACH:
            continue  # /scrape is about the server only
        instances, names = found.get(row["metric"], (set(), set()))
        if not set(row["labels"].split()) <= names:
            yield f"{row['metric']}, {job}: labels {names}"
        if row["on"] in ("some", "exporter"):
            if not instances:
                yield f"{row['metric']}, {job}: missing"
        elif instances != judge.places(row["on"], job):
            yield f"{row['metric']}, {job}: on {instances}"


def faults_of(judge: Judge) -> str:
    """What is wrong, in all arrangements, one a line."""
    faults = [
        f"{row['is']}, {job}: {fault}"
        for row in (*QUERIES["panels"], *QUERIES["alerts"])
        for job in ARRANGEMENTS
        if (fault := judge.fault(row, job))
    ]
    faults += [
        f"{row['is']}, {job}: {fault}"
        for row in QUERIES["variables"]
        for job in ARRANGEMENTS
        if (fault := variable_fault(judge, row, job))
    ]
    faults += [fault for job in ARRANGEMENTS for fault in metric_faults(judge, job)]
    return "\n".join(faults)


def assert_no_faults(judge: Judge) -> None:
    """Scrapes are a second apart: a query may find that this machine was too busy for one."""
    give_up = time.monotonic() + PATIENCE_S
    while faults := faults_of(judge):
        assert time.monotonic() < give_up, faults


def test_dashboards_and_alerts_find_what_they_ask_for(judge: Judge) -> None:
    """One test for all: its servers start once."""
    assert_no_faults(judge)


@pytest.mark.deploy
@pytest.mark.usefixtures("newest_prometheus")
def test_they_do_so_with_the_newest_prometheus(judge: Judge) -> None:
    """It is the one that `judge` finds in PATH."""
    assert_no_faults(judge)


def test_metrics_of_the_queries_are_listed() -> None:
    named = set(re.findall(r"\bredis_\w+(?=\{)", (DATA / "queries.yml").read_text()))
    assert len(named) > 40
    assert named <= {row["metric"] for row in METRICS}


def test_flags_that_metrics_need_are_set() -> None:
    assert {row["needs"] for row in METRICS} - {""} <= set(FLAGS)
