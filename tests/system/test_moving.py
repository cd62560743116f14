"""Set-ups of the Go exporter as its users have them: `check` takes each (docs/from-the-go-exporter.md)."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers import Certificates

ROOT = Path(__file__).parent.parent.parent

#: what the role `prometheus.prometheus.redis_exporter` of Ansible writes into its unit by default
ANSIBLE = {
    "REDIS_ADDR": "redis://localhost:6379",
    "REDIS_USER": "",
    "REDIS_PASSWORD": "",
    "REDIS_EXPORTER_CHECK_KEYS": "",
    "REDIS_EXPORTER_CHECK_SINGLE_KEYS": "",
    "REDIS_EXPORTER_CHECK_STREAMS": "",
    "REDIS_EXPORTER_CHECK_SINGLE_STREAMS": "",
    "REDIS_EXPORTER_CHECK_KEYS_BATCH_SIZE": "1000",
    "REDIS_EXPORTER_COUNT_KEYS": "",
    "REDIS_EXPORTER_SCRIPT": "",
    "REDIS_EXPORTER_DEBUG": "False",
    "REDIS_EXPORTER_LOG_FORMAT": "txt",
    "REDIS_EXPORTER_NAMESPACE": "redis",
    "REDIS_EXPORTER_CONNECTION_TIMEOUT": "15s",
    "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": "0.0.0.0:9121",
    "REDIS_EXPORTER_WEB_TELEMETRY_PATH": "/metrics",
    "REDIS_EXPORTER_REDIS_ONLY_METRICS": "False",
    "REDIS_EXPORTER_INCL_CONFIG_METRICS": "False",
    "REDIS_EXPORTER_INCL_SYSTEM_METRICS": "False",
    "REDIS_EXPORTER_REDACT_CONFIG_METRICS": "False",
    "REDIS_EXPORTER_PING_ON_CONNECT": "False",
    "REDIS_EXPORTER_IS_TILE38": "False",
    "REDIS_EXPORTER_IS_CLUSTER": "False",
    "REDIS_EXPORTER_EXPORT_CLIENT_LIST": "False",
    "REDIS_EXPORTER_EXPORT_CLIENT_PORT": "False",
    "REDIS_EXPORTER_SKIP_TLS_VERIFICATION": "False",
    "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": "",
    "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "",
    "REDIS_EXPORTER_TLS_SERVER_KEY_FILE": "",
    "REDIS_EXPORTER_TLS_SERVER_CERT_FILE": "",
    "REDIS_EXPORTER_TLS_SERVER_CA_CERT_FILE": "",
    "REDIS_EXPORTER_TLS_SERVER_MIN_VERSION": "TLS1.2",
    "REDIS_EXPORTER_TLS_CA_CERT_FILE": "",
    "REDIS_EXPORTER_SET_CLIENT_NAME": "True",
    "REDIS_EXPORTER_CHECK_KEY_GROUPS": "",
    "REDIS_EXPORTER_MAX_DISTINCT_KEY_GROUPS": "100",
    "REDIS_EXPORTER_CONFIG_COMMAND": "CONFIG",
}


def check(folder: Path, words: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", "check", *words],
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("every_switch", ["True", "False"])
def test_the_variables_of_the_ansible_role(
    tmp_path: Path, every_switch: str, certificates: Certificates
) -> None:
    switches = {name: every_switch for name, value in ANSIBLE.items() if value in ("True", "False")}
    lists = {
        "REDIS_EXPORTER_CHECK_KEYS": "db0=user:*,db1=session:*",
        "REDIS_EXPORTER_CHECK_KEY_GROUPS": "^(.*)_[^_]+$",
        "REDIS_EXPORTER_TLS_CA_CERT_FILE": certificates.ca,
        "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": certificates.client,
        "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": certificates.client_key,
    }
    for more in ({}, lists):
        ended = check(tmp_path, [], {**ANSIBLE, **switches, **more})
        assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "redis://localhost:6379"), ended.stderr


@pytest.mark.parametrize(
    "args",
    [
        "",
        "-redis.addr redis://localhost:6379 -redis.password secret",
        '--check-keys="user:*" --include-system-metrics --log-format json',
        "-web.listen-address 127.0.0.1:9121 -is-tile38=false -export-client-list",
    ],
)
def test_the_arguments_of_debians_defaults(tmp_path: Path, args: str) -> None:
    """As its unit splits `ARGS`."""
    ended = check(tmp_path, shlex.split(args), {})
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == "redis://localhost:6379"
