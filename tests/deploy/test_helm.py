"""The chart: what helm makes of its values is valid, and the exporter takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.servers import Certificates

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "redpoll"
PAGE = ROOT / "docs" / "helm.md"
RULES = ROOT / "deploy" / "prometheus" / "rules"
KUBERNETES = "1.34"
SECRET = "s3cr:et"
MONITORING = "monitoring.coreos.com/v1"

pytestmark = pytest.mark.deploy

Values = Mapping[str, Any]

#: a name → values
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "password": {"auth": {"enabled": True, "redisPassword": SECRET, "redisUser": "exporter"}},
    "secrets": {
        "redisAddressConfig": {"enabled": True, "isSecret": True, "source": {"name": "s", "key": "addr"}},
        "auth": {"enabled": True, "secret": {"name": "s", "key": "password"}},
    },
    "password file": {
        "auth": {"enabled": True, "redisPasswordFile": {"secret": {"name": "s", "key": "pass.json"}}}
    },
    "tls": {
        "redisAddress": "rediss://redis:6379",
        "redisTlsConfig": {
            "enabled": True,
            **{
                f"{each}File": {"secret": {"name": "tls", "key": each}}
                for each in ("caCert", "clientCert", "clientKey", "serverCert", "serverKey")
            },
        },
    },
    "several targets": {
        "redisAddress": "",
        "extraArgs": {
            "scrape.allow": "*.example",
            "check-keys": ["orders:*", "carts:*"],
            "max-series-per-target": 20_000_000,
        },
        "serviceMonitor": {
            "enabled": True,
            "multipleTarget": True,
            "interval": "15s",
            "targets": [
                {"url": "redis://a.example:6379", "name": "a"},
                {
                    "url": "redis://b.example:6379",
                    "name": "b",
                    "interval": "30s",
                    "additionalMetricsRelabels": {"type": "cluster"},
                },
            ],
        },
    },
    "shards": {
        "shards": 3,
        "config": {
            "options": {"target-labels": "instance"},
            "redis_instances": [
                {"name": f"r{number}", "addr": f"redis://r{number}.example:6379"} for number in range(9)
            ],
        },
        "networkPolicy": {"enabled": True, "from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]},
        "podDisruptionBudget": {"enabled": True},
    },
    "everything around it": {
        "serviceMonitor": {
            "enabled": True,
            "namespace": "monitoring",
            "labels": {"release": "prometheus"},
            "interval": "5s",
            "timeout": "4s",
            "scheme": "https",
            "tlsConfig": {"insecureSkipVerify": True},
            "targetLabels": ["team"],
            "relabelings": [{"targetLabel": "env", "replacement": "production"}],
            "metricRelabelings": [{"regex": "alias", "action": "labeldrop"}],
        },
        "prometheusRule": {
            "enabled": True,
            "additionalLabels": {"release": "prometheus"},
            "rules": [{"alert": "Own", "expr": 'redis_up{namespace="{{ .Release.Namespace }}"} == 0'}],
        },
        "annotations": {"prometheus.io/scrape": "true"},
        "labels": {"team": "a"},
        "customLabels": {"part-of": "shop"},
        "image": {"tag": "0.1.0-bash", "pullSecrets": ["registry"]},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "script": {"configmap": "scripts", "keyname": "users"},
        "env": [{"name": "REDIS_EXPORTER_LOG_FORMAT", "value": "json"}],
        "extraManifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}],
    },
}


def shown() -> dict[str, dict[str, Any]]:
    """The values that the page shows, by its first words."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return {f"docs: {text[:30].splitlines()[-1]}": yaml.safe_load(text) for text in blocks}


CASES |= shown()


def helm(*words: str) -> str:
    program = shutil.which("helm")
    assert program is not None, "helm is not installed: make tools"
    ended = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def rendered(folder: Path, values: Values) -> list[dict[str, Any]]:
    file = folder / "values.yml"
    file.write_text(json.dumps(values))
    text = helm("template", "shop", str(CHART), f"--kube-version={KUBERNETES}.0", f"--values={file}")
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(manifests: Sequence[dict[str, Any]], *kinds: str) -> dict[str, Any]:
    [found] = [each for each in manifests if each["kind"] in kinds]
    return found


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[dict[str, Any]]:
    return rendered(tmp_path, request.param)


def test_helm_finds_no_fault() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_manifests_are_valid(manifests: list[dict[str, Any]]) -> None:
    kinds = [each["kind"] for each in manifests]
    assert {"Service", "ServiceAccount"} <= set(kinds)
    for manifest in manifests:
        if manifest["apiVersion"] != MONITORING:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_exporter_takes_its_arguments(
    manifests: list[dict[str, Any]], tmp_path: Path, certificates: Certificates
) -> None:
    """With the files that its volumes would bring, and values for what secrets and config maps have."""
    workload = of_kind(manifests, "Deployment", "StatefulSet")
    pod = workload["spec"]["template"]["spec"]
    [container] = pod["containers"]
    places = dict(_mounted(manifests, pod, container, tmp_path, certificates))

    def here(text: str) -> str:
        for place, folder in places.items():
            text = text.replace(f"{place}/", f"{folder}/")
        return text

    variables = container.get("env") or ()
    environ = {each["name"]: here(each.get("value", "redis://r.example")) for each in variables}
    words = [here(word) for word in container["args"]]
    if workload["kind"] == "StatefulSet":
        environ["HOSTNAME"] = f"{workload['metadata']['name']}-1"
    ended = subprocess.run(
        [sys.executable, "-m", "exporter", "check", *words],
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ignored" not in ended.stderr


def _mounted(
    manifests: list[dict[str, Any]],
    pod: Values,
    container: Values,
    folder: Path,
    certificates: Certificates,
) -> Iterator[tuple[str, Path]]:
    volumes = {volume["name"]: volume for volume in pod.get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        name = mount["name"]
        volume = volumes.pop(name)
        place = folder / name
        place.mkdir()
        if name == "config":
            data = of_kind([each for each in manifests if "data" in each], "ConfigMap")["data"]
            for file, text in data.items():
                (place / file).write_text(text)
        elif name == "tls":
            (place / "tls-ca-cert.crt").write_text(Path(certificates.ca).read_text())
            for side, own in (("server", "server"), ("client", "client")):
                (place / f"tls-{side}-cert.crt").write_text(Path(getattr(certificates, own)).read_text())
                key = Path(getattr(certificates, f"{own}_key")).read_text()
                (place / f"tls-{side}-key.key").write_text(key)
            files = [
                item["path"]
                for source in volume["projected"]["sources"]
                for item in source["secret"]["items"]
            ]
            assert sorted(files) == sorted(file.name for file in place.iterdir())
        elif name == "passwords":
            (place / "pass.json").write_text("{}")
        else:
            (place / "script.lua").write_text("return {}")
        yield mount["mountPath"], place
    assert not volumes  # each is mounted


def test_probes_ask_for_what_the_exporter_answers(manifests: list[dict[str, Any]]) -> None:
    from exporter.options.endpoints import routes

    [container] = of_kind(manifests, "Deployment", "StatefulSet")["spec"]["template"]["spec"]["containers"]
    paths = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert paths == {"/-/healthy", "/-/ready"} & {route.path for route in routes("/metrics")}
    [port] = container["ports"]
    assert of_kind(manifests, "Service")["spec"]["ports"][0]["targetPort"] == port["name"]
    assert f"--web.listen-address=:{port['containerPort']}" in container["args"]


def test_a_password_is_in_a_secret(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, CASES["password"])
    with_password = [each["kind"] for each in manifests if SECRET in json.dumps(each)]
    assert with_password == ["Secret"]


def test_the_monitor_asks_for_each_target(tmp_path: Path) -> None:
    endpoints = of_kind(rendered(tmp_path, CASES["several targets"]), "ServiceMonitor")["spec"]["endpoints"]
    assert [(each["path"], each["params"], each["interval"]) for each in endpoints] == [
        ("/scrape", {"target": ["redis://a.example:6379"]}, "15s"),
        ("/scrape", {"target": ["redis://b.example:6379"]}, "30s"),
        ("/metrics", {"part": ["own"]}, "15s"),
    ]
    assert endpoints[1]["relabelings"] == [
        {"targetLabel": "instance", "replacement": "redis://b.example:6379"},
        {"targetLabel": "target", "replacement": "b"},
    ]
    assert [rule["targetLabel"] for rule in endpoints[1]["metricRelabelings"]] == ["type"]
    assert "relabelings" not in endpoints[2]


def test_flags_have_whole_numbers_and_lists(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, CASES["several targets"])
    [container] = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["args"][1:] == [
        "--check-keys=orders:*",
        "--check-keys=carts:*",
        "--max-series-per-target=20000000",
        "--scrape.allow=*.example",
    ]


def test_the_rules_are_those_of_the_project(tmp_path: Path) -> None:
    rule = of_kind(rendered(tmp_path, CASES["everything around it"]), "PrometheusRule")
    own, *bundled = rule["spec"]["groups"]
    assert own["rules"][0]["expr"] == 'redis_up{namespace="default"} == 0'
    ours = [
        group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]
    ]
    assert len(ours) > 3
    assert bundled == ours


def test_shards_need_the_list_of_targets(tmp_path: Path) -> None:
    file = tmp_path / "values.yml"
    file.write_text("shards: 2")
    program = shutil.which("helm")
    assert program is not None
    ended = subprocess.run(
        [program, "template", "shop", str(CHART), f"--kube-version={KUBERNETES}.0", f"--values={file}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode != 0
    assert "more than one needs the targets in `config`" in ended.stderr
