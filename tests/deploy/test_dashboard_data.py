"""Every query of every panel against a real Prometheus that scrapes real servers, in the three arrangements
that docs/dashboards.md shows."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.clusters import Cluster
from tests.deploy.dashboard_servers import Servers, bare_exporter_of, exporter_of
from tests.deploy.dashboards import FILES, Panel, board, filled, panels
from tests.deploy.set_ups import CONFIGS
from tests.prometheus import Prometheus
from tests.servers import HOST, wait_until

DOC = Path(__file__).parents[2] / "docs" / "dashboards.md"
#: the set-ups of the docs, in order, by a name: the jobs of their exporter and of their targets
ARRANGEMENTS = {
    "labels": ("redis", "redis"),
    "page": ("redis", "redis"),
    "single": ("redis_exporter", "redis"),
}
#: one more exporter, set up as the first, without the flags of panels
BARE = "bare"
#: how a description says that a panel may be empty though nothing is wrong
MAY_BE_EMPTY = re.compile(r"\b(Empty|No lines?)\b")
#: variables that may be anything
ANY = ("group", "cluster", "instance", "exporter", "master", "db", "key", "stream", "cmd")
ONE = 'instance="$instance"'
#: how long a value may take to appear: a scan, a scrape, and a rate over them, on a busy machine
PATIENCE_S = 60.0


@pytest.fixture
def servers(tmp_path: Path, redis_cluster: Cluster) -> Iterator[Servers]:
    (tmp_path / "servers").mkdir()
    servers = Servers(tmp_path / "servers", redis_cluster)
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.mark.server
@pytest.mark.prometheus
@pytest.mark.timeout(240)
def test_every_panel_shows_data_in_every_arrangement(servers: Servers, tmp_path: Path) -> None:
    with ExitStack() as cleanup:
        labelled = exporter_of(servers, tmp_path / "labelled", "labelled", "--target-labels=instance")
        cleanup.callback(labelled.stop)
        plain = exporter_of(servers, tmp_path / "plain", "plain")
        cleanup.callback(plain.stop)
        bare = bare_exporter_of(servers, tmp_path / "bare", "--target-labels=instance")
        cleanup.callback(bare.stop)
        ports = (labelled.port, plain.port, plain.port, bare.port)
        prometheus = Prometheus(tmp_path / "prometheus", configuration(*ports))
        cleanup.callback(prometheus.stop)
        servers.silent.pause()
        for program in (labelled, plain):
            pause(program.port)
        missing = [each for arrangement in ARRANGEMENTS for each in asked(servers, arrangement)]
        bare_panels = asked(servers, BARE, zeros=True)
        missing += [each for each in bare_panels if not each.panel.flags and not each.may_be_empty]
        give_up = time.monotonic() + PATIENCE_S
        while missing and time.monotonic() < give_up:
            missing = [each for each in missing if not each.has_data(prometheus)]
        assert not missing, "\n".join(map(str, missing))
        for arrangement in ARRANGEMENTS:
            check_numbers(prometheus, servers, arrangement)
        check_variables(prometheus)
        check_flags(prometheus, list(asked(servers, BARE)))
    assert prometheus.complaints() == []


def configuration(*ports: int) -> str:
    """The set-ups of the docs side by side, and the bare one: the exporter of each, and its jobs, with its
    name in front."""
    files = re.findall(r"\]\(\.\./deploy/prometheus/([\w-]+\.yml)\) \|$", DOC.read_text(), re.M)
    jobs = []
    for name, file, port in zip((*ARRANGEMENTS, BARE), (*files, files[0]), ports, strict=True):
        config = (CONFIGS / file).read_text().replace("exporter:9121", f"{HOST}:{port}")
        for job in yaml.safe_load(config)["scrape_configs"]:
            if job["job_name"] != "prometheus":
                jobs.append(job | {"job_name": f"{name}-{job['job_name']}"})
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})


def jobs_of(arrangement: str) -> tuple[str, str]:
    """Of its exporter, and of its targets."""
    exporters, targets = ARRANGEMENTS.get(arrangement, ("redis", "redis"))
    return f"{arrangement}-{exporters}", f"{arrangement}-{targets}"


def pause(port: int) -> None:
    request = urllib.request.Request(f"http://{HOST}:{port}/api/v1/targets/rest/pause?for=30m", method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        assert response.status == 200, json.load(response)


@dataclass(frozen=True)
class Asked:
    """A query of a panel in an arrangement. One that is about a single server has several forms, one of which
    must have data."""

    panel: Panel
    arrangement: str
    forms: list[str]

    @property
    def may_be_empty(self) -> bool:
        return MAY_BE_EMPTY.search(self.panel.shows) is not None

    def has_data(self, prometheus: Prometheus) -> bool:
        """Whether there is data: of a panel that shows one value, exactly one."""
        one = self.panel.spec["type"] == "stat"
        return any(len(found) == 1 if one else found for found in map(prometheus.ask, self.forms))

    def __str__(self) -> str:
        return f"{self.arrangement}, {self.panel}: {self.forms[0]}"


def asked(servers: Servers, arrangement: str, *, zeros: bool = False) -> Iterator[Asked]:
    """Every query; without the `zeros` that some add where there is no data."""
    exporters, targets = jobs_of(arrangement)
    values = dict.fromkeys(ANY, ".*")
    values |= {
        "top": "10",
        "heat": "get",
        "__rate_interval": "15s",
        "__range": "1m",
        "job": targets,
        "exporters": exporters,
    }
    chosen = (servers.busy, servers.master, servers.replica, servers.silent, servers.refusing)
    ones = [f"{HOST}:{server.port}" for server in chosen]
    for file in FILES:
        for panel in panels(file):
            for query in panel.queries:
                text = query if zeros else query.replace(" or vector(0)", "")
                forms = dict.fromkeys(text.replace(ONE, f'instance="{one}"') for one in ones)
                yield Asked(panel, arrangement, [filled(form, values) for form in forms])


def check_flags(prometheus: Prometheus, bare: list[Asked]) -> None:
    """A panel that says it needs a flag has no data without it, of one query at least."""
    empty = {str(each.panel) for each in bare if not each.has_data(prometheus)}
    claimed = {str(each.panel) for each in bare if each.panel.flags}
    assert claimed <= empty, f"these panels need no flag: {sorted(claimed - empty)}"


def check_numbers(prometheus: Prometheus, servers: Servers, arrangement: str) -> None:
    """Some numbers that are known: no arrangement counts a target twice, or forgets one."""
    configured = 16  # without the adopted one
    expected = {"Targets": configured, "Up": configured - 3, "Down": 2, "Paused": 1}
    expected |= {"Sentinels": 2, "Watched masters": 1, "Masters down": 0, "Broken links": 0, "Conflicts": 2}
    expected |= {"Nodes": 6, "Slots without a node": 0, "Slots ok": 16384}
    for each in asked(servers, arrangement):
        if each.panel.spec["type"] == "stat" and each.panel.title in expected:
            wanted = float(expected.pop(each.panel.title))
            wait_until(partial(_is, prometheus, each.forms[0], wanted), f"{each} is {wanted:g}")
    assert not expected


def _is(prometheus: Prometheus, query: str, wanted: float) -> bool:
    return prometheus.ask(query) == [wanted]


def check_variables(prometheus: Prometheus) -> None:
    """Each variable has values in each arrangement, of the labels that it names."""
    for exporters, targets in map(jobs_of, ARRANGEMENTS):
        for file in FILES:
            for variable in board(file)["templating"]["list"]:
                if variable["type"] != "query":
                    continue
                metric, label = variable["query"]["query"][len("label_values(") : -1].rsplit(", ", 1)
                values = dict.fromkeys(ANY, ".*") | {"job": targets, "exporters": exporters}
                selector = filled(metric.replace(f",{ONE}", ""), values)
                found = prometheus.label_values(label, selector)
                assert found, f"{file.stem}: {variable['name']} has no values with the job {targets}"
