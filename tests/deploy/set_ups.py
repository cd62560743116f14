"""The configurations of deploy/prometheus, and how to run one here: only addresses, networks and intervals
are replaced by those of this machine."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml

from bench.ports import free_port
from tests.deploy.rule_files import read_each_second
from tests.prometheus import Prometheus
from tests.servers import HOST, wait_until
from tests.system.conftest import Exporter

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGS = DEPLOY / "prometheus"
#: the port of an exporter that no flag sets
PORT = 9121
NETWORK = "10.0.0.0/8"
ALERTMANAGER = "alertmanager:9093"

_PROMPT = re.compile(r"^#   ([\w-]+)\$ redis_exporter (.*(?:\n#       .*)*)$", re.M)
_PLACE = re.compile(r"\b10\.\d+\.\d+\.\d+:\d+")
_LISTEN = re.compile(r"--web\.listen-address=:(\d+)")


def commands(config: Path) -> list[tuple[str, list[str]]]:
    """Host and flags of each exporter that a configuration is for, as its first lines say."""
    found = _PROMPT.findall(config.read_text())
    return [(host, shlex.split(flags.replace("\n#", ""))) for host, flags in found]


def place_of(host: str, flags: Sequence[str]) -> str:
    """Where Prometheus reaches an exporter that runs with these flags."""
    listen = _LISTEN.search(" ".join(flags))
    return f"{host}:{listen[1] if listen else PORT}"


class SetUp:
    """One configuration that runs: its exporters poll `servers`, which take the places of the addresses that
    are written, in their order. `more` are further flags of each exporter. `stack` ends everything.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[str],
        directory: Path,
        stack: ExitStack,
        *more: str,
    ) -> None:
        self._directory = directory
        self._files = directory / "files"
        shutil.copytree(CONFIGS, self._files)
        self._stack = stack
        self.config = self._files / name
        self._real = {NETWORK: f"{HOST}/8", ALERTMANAGER: f"{HOST}:{free_port()}"}
        self._commands = commands(self.config)
        self._real |= zip(self._written(), servers, strict=True)
        for file in self._files.glob("exporter/*.yml"):
            text, _ = re.subn(r"interval: \d+s", "interval: 1s", file.read_text())
            file.write_text(self.here(text))
        self.exporters: list[Exporter] = []
        for host, flags in self._commands:
            own = [self._flag_here(flag) for flag in flags if not _LISTEN.match(flag)]
            exporter = Exporter(directory / f"{host}.log", *own, *more)
            stack.callback(exporter.stop)
            self.exporters.append(exporter)
            self._real[place_of(host, flags)] = f"{HOST}:{exporter.port}"

    def _written(self) -> list[str]:
        """The addresses of servers in the flags and the files of the exporters, each once."""
        text = self.config.read_text()
        for _, flags in self._commands:
            for flag in flags:
                name, _, value = flag.partition("=")
                text += (self._files / value).read_text() if name == "--config.file" else ""
        return list(dict.fromkeys(_PLACE.findall(text)))

    def _flag_here(self, flag: str) -> str:
        name, _, value = flag.partition("=")
        if name == "--config.file":
            return f"{name}={self._files / value}"
        return self.here(flag)

    def replace(self, written: str, real: str) -> None:
        """Say what is at an address of the configuration here."""
        self._real[written] = real

    def here(self, text: str) -> str:
        """A text with the addresses of this machine."""
        for written, real in self._real.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(written)}(?!\d)", real, text)
        return text

    def prometheus(self, *flags: str) -> Prometheus:
        """Prometheus with this configuration and all rules; it scrapes and evaluates each second."""
        text = re.sub(r"scrape_interval: \w+", "scrape_interval: 1s", self.here(self.config.read_text()))
        config = yaml.safe_load(text)
        config["global"] = config.get("global", {}) | {"evaluation_interval": "1s"}
        for file in self._files.glob("rules/*.yml"):
            file.write_text(read_each_second(file.read_text()))
        config["rule_files"] = [str(self._files / "rules" / "*.yml")]
        for job in config["scrape_configs"]:
            for found in job.get("http_sd_configs", ()):
                found["refresh_interval"] = "5s"  # the exporter has to answer within it
        started = Prometheus(self._directory / "prometheus", yaml.safe_dump(config), *flags)
        self._stack.callback(started.stop)
        return started


def instances(prometheus: Prometheus, expression: str) -> list[str]:
    return sorted(labels["instance"] for labels, _ in prometheus.series(expression))


def wait_for_instances(prometheus: Prometheus, expression: str, places: list[str]) -> None:
    """Return once an instant query has series of these instances."""
    wait_until(lambda: instances(prometheus, expression) == sorted(places), f"{expression} has {places}")
