"""The rules in real programs: a Redis dies, and the one who has to act hears of it; every series that a rule
reads is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alertmanager import Alertmanager, Notice, Webhook
from tests.clusters import Cluster
from tests.deploy.dashboard_servers import Servers, exporter_of
from tests.deploy.rule_files import DEPLOY, RULES, read_each_second, rules, selectors
from tests.deploy.set_ups import instances
from tests.prometheus import Prometheus
from tests.servers import HOST, PATIENCE_S, wait_until
from tests.system.conftest import Exporter
from tests.watch_harness import RedisFactory

CONFIG = DEPLOY / "alertmanager" / "alertmanager.yml"
WEBHOOK = "127.0.0.1:5001"
#: metric → when a server or the exporter has it; our real ones do not
MISSING = {
    "redis_acl_access_denied_auth_total": "Redis 7.2",
    "redis_tls_server_cert_expires_in_seconds": "Valkey 9.1",
    "redis_exporter_certificate_expiry_timestamp_seconds": "TLS with files",
}
#: the same, while something happens
AT_TIMES = {
    "redis_master_sync_in_progress": "replicas",
    "redis_exporter_backoff_seconds": "a server struggles",
    "redis_exporter_target_polls_skipped_total": "a poll was skipped",
    "redis_exporter_target_series_refused": "a limit refused series",
}


def quick(text: str, webhook: Webhook) -> str:
    """The configuration of Alertmanager with our webhook, and without its pauses."""
    text = re.sub(r"group_wait: \w+", "group_wait: 0s", text)
    return re.sub(r"group_interval: \w+", "group_interval: 1s", text).replace(
        WEBHOOK, f"{HOST}:{webhook.port}"
    )


def configuration(exporter_port: int, *alertmanagers: str) -> str:
    """deploy/prometheus/prometheus.yml with these addresses, every second, without Prometheus itself."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [each for each in config["scrape_configs"] if each["job_name"] == "redis"]
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"{HOST}:{exporter_port}"]}]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
    return json.dumps(config)


def with_scrapes_of_each(config: str, places: Sequence[str]) -> str:
    """The same, with a second job that asks the exporter for each server, as service-discovery.yml does."""
    parsed = json.loads(config)
    [page] = parsed["scrape_configs"]
    [[exporter]] = [each["targets"] for each in page["static_configs"]]
    parsed["scrape_configs"].append(
        {
            "job_name": "redis-each",
            "metrics_path": "/scrape",
            "honor_labels": True,
            "static_configs": [{"targets": list(places)}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__address__"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": exporter},
            ],
        }
    )
    return json.dumps(parsed)


def with_rules(directory: Path, *, soon: bool) -> Path:
    """A folder of Prometheus that has our rules; `soon`: alerts wait for two seconds only."""
    (directory / "rules").mkdir(parents=True)
    for file in RULES.glob("*.yml"):
        text = read_each_second(file.read_text())
        (directory / "rules" / file.name).write_text(re.sub(r"for: \w+", "for: 2s", text) if soon else text)
    return directory


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def webhook(stack: ExitStack) -> Webhook:
    webhook = Webhook()
    stack.callback(webhook.stop)
    return webhook


@pytest.mark.server
@pytest.mark.prometheus
@pytest.mark.alertmanager
def test_a_redis_dies_and_the_one_on_call_hears_of_it_and_of_its_return(
    redis_server: RedisFactory, webhook: Webhook, stack: ExitStack, tmp_path: Path
) -> None:
    dying, living = redis_server(), redis_server()
    addresses = ",".join(f"redis://{HOST}:{each.port}" for each in (dying, living))
    program = Exporter(tmp_path / "exporter.log", f"--redis.addr={addresses}", "--target-labels=instance")
    stack.callback(program.stop)
    manager = Alertmanager(tmp_path / "alertmanager", quick(CONFIG.read_text(), webhook))
    stack.callback(manager.stop)
    prometheus = Prometheus(
        with_rules(tmp_path / "prometheus", soon=True),
        configuration(program.port, f"{HOST}:{manager.port}"),
    )
    stack.callback(prometheus.stop)
    prometheus.wait_for("sum(redis_up)", 2)

    def heard(status: str) -> list[Notice]:
        return [
            each
            for each in webhook.notices
            if each.labels["alertname"] == "RedisDown" and each.status == status
        ]

    assert heard("firing") == []
    dying.stop()
    wait_until(lambda: heard("firing"), "the webhook hears that Redis is down")
    notice = heard("firing")[0]
    assert notice.path == "/on-call"
    assert notice.labels == {
        "alertname": "RedisDown",
        "severity": "critical",
        "job": "redis",
        "instance": f"{HOST}:{dying.port}",
        "cluster": "production",
        "datacenter": "us-east-1",
    }
    assert notice.annotations["summary"] == f"Redis {HOST}:{dying.port} is down"
    assert notice.annotations["description"].endswith("Reason: refused.")
    dying.start()
    wait_until(lambda: heard("resolved"), "the webhook hears that Redis is back")
    down = [each for each in webhook.notices if each.labels["alertname"] == "RedisDown"]
    assert {each.labels["instance"] for each in down} == {f"{HOST}:{dying.port}"}


SERVER = {"job": "redis", "instance": "10.0.0.1:6379"}
PAGE = {"job": "redis", "instance": "exporter:9121"}


@pytest.mark.alertmanager
def test_what_follows_from_something_worse_is_left_out(
    webhook: Webhook, stack: ExitStack, tmp_path: Path
) -> None:
    manager = Alertmanager(tmp_path / "alertmanager", quick(CONFIG.read_text(), webhook))
    stack.callback(manager.stop)
    given = {
        "RedisDown": SERVER,
        "RedisRejectedConnections": SERVER,
        "RedisEvictingKeys": {**SERVER, "instance": "10.0.0.2:6379"},
        "RedisReplicaLost": {**PAGE, "addr": "redis://10.0.0.3:6379"},
        "RedisMasterWithoutReplica": {**PAGE, "addr": "redis://10.0.0.3:6379"},
        "RedisExporterDown": PAGE,
        "RedisSnapshotStale": PAGE | {"addr": "redis://10.0.0.1:6379"},
        "RedisExporterReloadFailed": {**SERVER},
        "RedisTargetsMissing": {},
    }
    manager.give(*({"alertname": name, "severity": "warning", **labels} for name, labels in given.items()))

    def states() -> dict[str, str]:
        found = {}
        for each in manager.alerts():
            found[each["labels"]["alertname"]] = each["status"]["state"]
        return found

    out = {"RedisRejectedConnections", "RedisSnapshotStale", "RedisTargetsMissing"}
    out |= {"RedisReplicaLost", "RedisMasterWithoutReplica"}  # their exporter is down
    wanted = {name: "suppressed" if name in out else "active" for name in given}
    wait_until(lambda: states() == wanted, "Alertmanager has sorted them")


def amtool(*args: str) -> str:
    binary = shutil.which("amtool")
    assert binary is not None
    done = subprocess.run([binary, *args], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.alertmanager
def test_amtool_takes_the_configuration_and_it_sends_by_severity() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))
    for severity, receiver in {"critical": "on-call", "warning": "team", "info": "log"}.items():
        asked = ("config", "routes", "test", f"--config.file={CONFIG}", f"severity={severity}")
        assert amtool(*asked).strip() == receiver


def test_alerts_that_the_configuration_names_exist() -> None:
    names = {rule.name for rule in rules()}
    written = re.findall(r'alertname!?=~?"([^"]+)"', CONFIG.read_text())
    for name in (each for text in written for each in text.split("|")):
        assert any(re.fullmatch(name, known) for known in names), name


def groups_of(prometheus: Prometheus) -> list[dict[str, Any]]:
    with urllib.request.urlopen(
        f"http://{HOST}:{prometheus.port}/api/v1/rules", timeout=PATIENCE_S
    ) as response:
        found: list[dict[str, Any]] = json.load(response)["data"]["groups"]
        return found


def have_all_been_evaluated(prometheus: Prometheus) -> bool:
    found = [rule for group in groups_of(prometheus) for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in found if rule.get("lastError")] == []
    return len(found) == len(rules()) and all(rule["health"] == "ok" for rule in found)


@pytest.mark.server
@pytest.mark.prometheus
@pytest.mark.timeout(240)
def test_every_series_is_there_and_only_what_is_wrong_is_pending(
    redis_cluster: Cluster, stack: ExitStack, tmp_path: Path
) -> None:
    (tmp_path / "servers").mkdir()
    servers = Servers(tmp_path / "servers", redis_cluster)
    stack.callback(servers.stop)
    servers.start()
    program = exporter_of(servers, tmp_path / "exporter", "exporter", "--target-labels=instance")
    stack.callback(program.stop)
    entries = json.loads((tmp_path / "exporter" / "targets.json").read_text())["redis_instances"]
    places = [each["addr"].removeprefix("redis://") for each in entries]
    config = with_scrapes_of_each(configuration(program.port), places)
    prometheus = Prometheus(with_rules(tmp_path / "prometheus", soon=False), config)
    stack.callback(prometheus.stop)

    names = {selector.name for rule in rules() for selector in selectors(rule.tree)}
    missing = names - AT_TIMES.keys()

    def all_found() -> bool:
        missing.difference_update([name for name in missing if prometheus.ask(f"count({name})")])
        return missing == MISSING.keys()

    wait_until(all_found, f"all but {sorted(MISSING)} are there; still missing: {missing}")
    recorded = {rule.name for rule in rules() if "record" in rule.spec}
    wait_until(lambda: all(prometheus.ask(f"count({name})") for name in recorded), "recordings have data")
    wait_until(lambda: have_all_been_evaluated(prometheus), "each rule was evaluated")

    def pending(job: str) -> dict[str, list[str]]:
        """The servers of each alert that is not about the exporter."""
        found: dict[str, list[str]] = {}
        for labels, _ in prometheus.series(f'ALERTS{{job="{job}"}}'):
            # those of a busy machine are left out
            if not re.match("RedisExporter|RedisScrapeSlow|RedisPolls", labels["alertname"]):
                found.setdefault(labels["alertname"], []).append(labels["instance"])
        return {name: sorted(instances) for name, instances in found.items()}

    down: list[str] = []

    def one_is_down() -> bool:
        down[:] = instances(prometheus, 'redis_up{job="redis"} == 0')
        return len(down) == 1

    wait_until(one_is_down, "one is down")
    masters = [f"{HOST}:{each.port}" for each in (servers.master, servers.promoted)]
    wanted = {
        "RedisDown": down,
        "RedisSeriesRefused": [masters[0]],
        "RedisTwoMastersAfterFailover": sorted(masters),
    }

    def is_as_wanted(job: str) -> bool:
        return pending(job) == wanted

    for job in ("redis", "redis-each"):
        wait_until(partial(is_as_wanted, job), f"{job}: what is wrong is pending, and no more")
