"""The manifests in deploy/kubernetes: what they say is valid, and is what the exporter has."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bench.ports import free_port
from exporter import __version__
from exporter.cli import main
from exporter.options.endpoints import routes
from exporter.options.table import Options
from tests.servers import HOST, PATIENCE_S, RedisServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory, exporter

__all__ = ["exporter"]  # a fixture

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
BASES = ("sidecar", "central", "sharded")
VERSION = "1.37"
OPERATOR = "monitoring.coreos.com/v1"
NAME = "app.kubernetes.io/name"
LISTEN = Options().web.listen_address.removeprefix(":")
PATHS = {route.path for route in routes(Options().web.telemetry_path)}
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
Manifest = dict[str, Any]
RedisFactory = Callable[..., RedisServer]


def manifests(folder: str = "*") -> dict[str, Manifest]:
    """Each file of a folder by its name, without kustomization.yaml."""
    files = sorted(FOLDER.glob(f"{folder}/*.yaml"))
    return {
        f"{file.parent.name}/{file.name}": yaml.safe_load(file.read_text())
        for file in files
        if file.name != "kustomization.yaml"
    }


ALL = manifests()


def of_kind(folder: str, *kinds: str) -> Manifest:
    """The one manifest of these kinds in a folder."""
    [found] = [each for each in manifests(folder).values() if each["kind"] in kinds]
    return found


def workload(folder: str) -> Manifest:
    return of_kind(folder, "Deployment", "StatefulSet")


def pod_of(folder: str) -> Manifest:
    pod: Manifest = workload(folder)["spec"]["template"]
    return pod


def container_of(folder: str) -> Manifest:
    """The exporter's."""
    [found] = [each for each in pod_of(folder)["spec"]["containers"] if each["name"] == "exporter"]
    return dict(found)


class TestSchemas:
    @pytest.mark.parametrize("name", [name for name, each in ALL.items() if each["apiVersion"] != OPERATOR])
    def test_kubernetes_takes_it(self, name: str) -> None:
        kubernetes_validate.validate(ALL[name], VERSION, strict=True)

    def test_a_mistake_is_seen(self) -> None:
        wrong = copy.deepcopy(ALL["sidecar/deployment.yaml"])
        wrong["spec"]["template"]["spec"]["containers"][1]["livenesProbe"] = {}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, VERSION, strict=True)

    @pytest.mark.parametrize("base", [*BASES, "monitoring"])
    def test_the_base_names_all_its_files(self, base: str) -> None:
        kustomization = yaml.safe_load((FOLDER / base / "kustomization.yaml").read_text())
        assert sorted(kustomization["resources"]) == sorted(name.split("/")[1] for name in manifests(base))

    def test_the_rules_are_those_of_prometheus(self) -> None:
        script = FOLDER / "prometheus_rule.py"
        made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
        assert (FOLDER / "monitoring" / "prometheusrule.yaml").read_text() == made, "run make manifests"


def mounted(folder: str, place: Path) -> dict[str, Path]:
    """Write what the exporter mounts from ConfigMaps and Secrets below `place`. The folders, by their names
    in the pod."""
    contents = {
        (each["kind"], each["metadata"]["name"]): each.get("data") or each.get("stringData", {})
        for each in manifests(folder).values()
    }
    volumes = {volume["name"]: volume for volume in pod_of(folder)["spec"]["volumes"]}
    found = {}
    for mount in container_of(folder).get("volumeMounts", []):
        own = found[mount["mountPath"]] = place / mount["name"]
        own.mkdir()
        match volumes.get(mount["name"]):  # none: a claim
            case {"configMap": {"name": name}}:
                files = contents["ConfigMap", name]
            case {"secret": {"secretName": name}}:
                files = contents["Secret", name]
            case _:
                files = {}
        for file, text in files.items():
            (own / file).write_text(text)
    return found


@dataclass
class Command:
    flags: list[str]
    environ: dict[str, str]


def command_of(folder: str, place: Path) -> Command:
    """Arguments and variables of the exporter's container, with the files that it mounts."""
    container = container_of(folder)
    places = mounted(folder, place)
    secrets = {
        each["metadata"]["name"]: each["stringData"]
        for each in manifests(folder).values()
        if each["kind"] == "Secret"
    }
    environ = {}
    for variable in container.get("env", []):
        asked = variable.get("valueFrom", {}).get("secretKeyRef")
        environ[variable["name"]] = secrets[asked["name"]][asked["key"]] if asked else variable["value"]
    flags = list(container.get("args", []))
    for before, after in places.items():
        flags = [flag.replace(before, str(after)) for flag in flags]
        for file in (file for folder in places.values() for file in folder.iterdir()):
            file.write_text(file.read_text().replace(before, str(after)))
    return Command(flags, environ)


class TestCommands:
    @pytest.mark.parametrize(
        ("base", "targets"),
        [
            ("sidecar", ["redis://localhost:6379"]),
            ("central", ["redis://orders.redis.svc:6379", "redis://sessions.redis.svc:6379"]),
        ],
    )
    def test_the_exporter_takes_them(
        self, base: str, targets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = command_of(base, tmp_path)
        assert main(["check", *command.flags], command.environ) == 0
        out, err = capsys.readouterr()
        assert [line.split()[0] for line in out.splitlines()] == [*targets, "ok:"]
        assert "WARN" not in err

    def test_each_pod_of_the_shards_takes_its_part(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = command_of("sharded", tmp_path)
        name, replicas = workload("sharded")["metadata"]["name"], workload("sharded")["spec"]["replicas"]
        owned = []
        for number in range(replicas):
            monkeypatch.setenv("HOSTNAME", f"{name}-{number}")
            assert main(["check", *command.flags], command.environ) == 0
            lines = capsys.readouterr().out.splitlines()[:-1]
            owned += [line for line in lines if "(shard" not in line]
        assert len(owned) == len(set(owned)) == 2

    def test_there_are_as_many_pods_as_shards(self) -> None:
        text = of_kind("sharded", "ConfigMap")["data"]["redis_exporter.yml"]
        options = yaml.safe_load(text)["options"]
        assert options["shard.total"] == workload("sharded")["spec"]["replicas"]

    def test_redis_of_the_sidecar_has_the_password_of_its_secret(self) -> None:
        redis = pod_of("sidecar")["spec"]["containers"][0]
        [variable] = redis["env"]
        assert f"$({variable['name']})" in redis["args"]
        assert variable in container_of("sidecar")["env"]


@pytest.mark.parametrize("base", BASES)
class TestPods:
    def test_the_image_is_of_this_version(self, base: str) -> None:
        assert container_of(base)["image"] == f"redpoll:{__version__}"

    def test_port_and_paths_are_those_of_the_exporter(self, base: str) -> None:
        container = container_of(base)
        [port] = container["ports"]
        assert str(port["containerPort"]) == LISTEN
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == port["name"]
            assert asked["path"] in PATHS
        assert container["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
        assert container["readinessProbe"]["httpGet"]["path"] == "/-/ready"
        annotations = pod_of(base)["metadata"]["annotations"]
        assert {name.partition("/")[2]: value for name, value in annotations.items()} == {
            "scrape": "true",
            "port": LISTEN,
            "path": Options().web.telemetry_path,
        }

    def test_the_restricted_standard_lets_it_in(self, base: str) -> None:
        """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
        spec = pod_of(base)["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {kind for volume in spec["volumes"] for kind in volume} <= {
            *("name", "configMap", "secret", "emptyDir"),
        }
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own["readOnlyRootFilesystem"] is True
            assert {**spec["securityContext"], **own}["runAsUser"] > 0
            assert all("hostPort" not in port for port in container["ports"])

    def test_names_and_labels_fit(self, base: str) -> None:
        """Services, policies and budgets choose the pods, and name ports that these have."""
        pod = pod_of(base)
        labels = pod["metadata"]["labels"].items()
        ports = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
        assert workload(base)["spec"]["selector"]["matchLabels"].items() <= labels
        service = of_kind(base, "Service")
        assert service["spec"]["selector"].items() <= labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
        assert (
            workload(base)["spec"].get("serviceName", service["metadata"]["name"])
            == service["metadata"]["name"]
        )
        for each in manifests(base).values():
            match each["kind"]:
                case "PodDisruptionBudget":
                    assert each["spec"]["selector"]["matchLabels"].items() <= labels
                case "NetworkPolicy":
                    assert each["spec"]["podSelector"]["matchLabels"].items() <= labels
                    assert each["spec"]["ingress"][0]["ports"][0]["port"] in ports

    def test_servers_can_be_reached_through_the_network_policy(self, base: str) -> None:
        if base == "sidecar":
            return  # it asks within its pod
        policy = of_kind(base, "NetworkPolicy")["spec"]["egress"]
        allowed = {port["port"] for rule in policy for port in rule["ports"]}
        text = of_kind(base, "ConfigMap")["data"]["redis_exporter.yml"]
        addresses = [entry["addr"] for entry in yaml.safe_load(text)["redis_instances"]]
        assert {urllib.parse.urlsplit(address).port for address in addresses} <= allowed
        assert 53 in allowed

    def test_the_limits_of_the_sidecar_are_small(self, base: str) -> None:
        if base == "sidecar":
            assert container_of(base)["resources"] == {
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {"cpu": "100m", "memory": "128Mi"},
            }


def test_shards_are_as_the_central_exporter_with_a_place_for_their_values() -> None:
    """What both bases have is written twice, so that each can be copied alone."""
    for kind in ("NetworkPolicy", "Secret"):
        assert of_kind("sharded", kind) == of_kind("central", kind)
    central, sharded = (copy.deepcopy(pod_of(base)) for base in ("central", "sharded"))
    [one], [other] = central["spec"]["containers"], sharded["spec"]["containers"]
    assert other.pop("args")[: len(one["args"])] == one.pop("args")
    [claim] = [mount for mount in other["volumeMounts"] if mount["name"] == "state"]
    other["volumeMounts"].remove(claim)
    assert sharded == central


class TestMonitoring:
    def test_the_service_monitor_finds_the_services(self) -> None:
        spec = of_kind("monitoring", "ServiceMonitor")["spec"]
        [endpoint] = spec["endpoints"]
        assert endpoint["path"] == Options().web.telemetry_path
        assert endpoint["honorLabels"] is True
        for base in ("central", "sharded"):
            service = of_kind(base, "Service")
            assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}

    def test_the_probe_is_answered(
        self, exporter: ExporterFactory, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        """Its prober and path are those of the exporter, which polls what it asks for with the flag that the
        comment names."""
        spec = of_kind("monitoring", "Probe")["spec"]
        service = of_kind("central", "Service")
        assert spec["prober"]["url"] == f"{service['metadata']['name']}.default.svc:{LISTEN}"
        text = (FOLDER / "monitoring" / "probe.yaml").read_text()
        flag = re.findall(r"such as (--scrape.allow=\S+)\.", text)[0]
        for target in spec["targets"]["staticConfig"]["static"]:
            assert main(["check", "--redis.addr=", flag], {}) == 0
            assert target.startswith("redis://10.")
        program = exporter("--redis.addr=", flag.replace("10.0.0.0/8", f"{HOST}/32"))
        asked = urllib.parse.quote(f"redis://{HOST}:{redis_server().port}", safe="")
        path = f"{spec['prober']['path']}?target={asked}"
        wait_until(lambda: "\nredis_up 1\n" in program.get(path), "an answer")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            program.get(f"{spec['prober']['path']}?target=redis%3A%2F%2F192.0.2.1%3A6379")


class Kubelet:
    """Asks the probes of a container as Kubernetes' kubelet does: at each period, with a timeout. It restarts
    the container after so many failures one after the other. Periods are `speed` times as short; then the
    timeouts are long: a machine may be too busy for one answer while many periods pass."""

    def __init__(self, container: Manifest, program: Exporter, speed: float) -> None:
        self.program = program
        self.speed = speed
        self.probes = {name: container[name] for name in ("livenessProbe", "readinessProbe")}
        self.failures = dict.fromkeys(self.probes, 0)
        self.asked = dict.fromkeys(self.probes, 0)
        self.restarts = self.unready = 0

    def watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds / self.speed
        due = dict.fromkeys(self.probes, time.monotonic())
        while (now := min(due.values())) < end:
            time.sleep(max(0.0, now - time.monotonic()))
            name = min(due, key=lambda each: due[each])
            due[name] += self.probes[name].get("periodSeconds", 10) / self.speed
            self._ask(name)

    def _ask(self, name: str) -> None:
        probe = self.probes[name]
        self.asked[name] += 1
        url = f"http://{HOST}:{self.program.port}{probe['httpGet']['path']}"
        try:
            timeout_s = PATIENCE_S if self.speed > 1 else probe.get("timeoutSeconds", 1)
            with urllib.request.urlopen(url, timeout=timeout_s) as answer:
                is_well = 200 <= answer.status < 400
        except OSError:
            is_well = False
        self.failures[name] = 0 if is_well else self.failures[name] + 1
        if self.failures[name] >= probe.get("failureThreshold", 3):
            self.restarts += name == "livenessProbe"
            self.unready += name == "readinessProbe"


@pytest.mark.parametrize(
    "speed", [60.0, pytest.param(1.0, marks=[pytest.mark.slow, pytest.mark.timeout(400)])]
)
def test_three_minutes_with_redis_dead(
    speed: float, exporter: ExporterFactory, redis_server: RedisFactory, tmp_path: Path
) -> None:
    """No restart, always ready, and redis_up is 0. With the periods of the manifest it is a slow test; else
    they are as many and shorter."""
    secret = of_kind("sidecar", "Secret")["stringData"]["password"]
    server = redis_server("--requirepass", secret)
    command = command_of("sidecar", tmp_path)
    address = f"redis://{HOST}:{server.port}"
    program = exporter(*command.flags, environ={**command.environ, "REDIS_ADDR": address})
    kubelet = Kubelet(container_of("sidecar"), program, speed)
    wait_until(lambda: program.values("redis_up") == {address: 1}, "the login")
    server.kill()
    kubelet.watch(180)
    assert (kubelet.restarts, kubelet.unready) == (0, 0)
    assert kubelet.asked == {"livenessProbe": 18, "readinessProbe": 36}
    assert program.process.poll() is None
    wait_until(lambda: program.values("redis_up") == {address: 0}, "it is down")
    assert '"status":"error"' in program.get("/health")


def test_a_kubelet_restarts_what_does_not_answer(exporter: ExporterFactory) -> None:
    """The check of the check."""
    program = exporter(f"--redis.addr=redis://{HOST}:{free_port()}")
    kubelet = Kubelet(container_of("sidecar"), program, 600.0)
    program.stop()
    kubelet.watch(180)
    assert kubelet.restarts
    assert kubelet.unready


@pytest.mark.deploy
@pytest.mark.timeout(900)  # it downloads and compiles
class TestTools:
    @pytest.fixture
    def checker(self, tmp_path: Path) -> Path:
        folder = tmp_path / "checker"
        shutil.copytree(Path(__file__).parent / "operator_types", folder)
        subprocess.run(["go", "build", "-o", "checker", "."], cwd=folder, check=True, capture_output=True)
        return folder / "checker"

    def test_the_operators_types_take_them(self, checker: Path, tmp_path: Path) -> None:
        files = [FOLDER / name for name, each in ALL.items() if each["apiVersion"] == OPERATOR]
        assert len(files) == 3
        outcome = subprocess.run([checker, *files], capture_output=True, text=True, check=False)
        assert (outcome.returncode, outcome.stdout) == (0, ""), outcome.stderr
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text(
            (FOLDER / "monitoring/servicemonitor.yaml").read_text().replace("interval:", "intervall:")
        )
        outcome = subprocess.run([checker, wrong], capture_output=True, text=True, check=False)
        assert outcome.returncode == 1
        assert 'unknown field "intervall"' in outcome.stdout

    @pytest.mark.parametrize("base", [*BASES, "monitoring"])
    def test_kustomize_builds_the_base(self, base: str) -> None:
        built = subprocess.run(
            ["go", "run", KUSTOMIZE, "build", FOLDER / base], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr[-2000:]
        documents = list(yaml.safe_load_all(built.stdout))
        assert sorted(each["kind"] for each in documents) == sorted(
            each["kind"] for each in manifests(base).values()
        )
