"""docs/adding-a-collector.md is done as it is written, in a copy of the source tree."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import HOST, PATIENCE_S, RedisServer

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding-a-collector.md").read_text()
#: the blocks of the page, in its order
COLLECTOR, IMPORT, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.S)
[LINE] = re.findall(r"```text\n(.*?)```", PAGE, re.S)
[SHOWN] = re.findall(r"```\n(# HELP .*?)```", PAGE, re.S)
REGISTRY = Path("exporter/collectors/_registry.py")
FILES = ("exporter/collectors/keyspace_events.py", "tests/collectors/test_keyspace_events.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source tree with what the page adds."""
    folder = tmp_path / "copy"
    for name in ("exporter", "tests"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "data", "*.c")
        )
    (folder / "tests" / "data").symlink_to(ROOT / "tests" / "data")
    (folder / "bench").symlink_to(ROOT / "bench")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, text in zip(FILES, (COLLECTOR, TEST), strict=True):
        assert f"`{name}`" in PAGE
        (folder / name).write_text(text)
    lines = (folder / REGISTRY).read_text().splitlines(keepends=True)
    if IMPORT not in lines:  # somebody follows the page in this tree
        lines.insert(
            next(at for at, line in enumerate(lines) if line > IMPORT and line.startswith("from exporter.")),
            IMPORT,
        )
        lines.insert(lines.index(")\n"), LINE)
    (folder / REGISTRY).write_text("".join(lines))
    return folder


def run(folder: Path, *command: str | Path) -> str:
    outcome = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def subscribe(port: int, channel: str) -> socket.socket:
    """A client that has subscribed."""
    client = socket.create_connection((HOST, port), timeout=PATIENCE_S)
    client.sendall(f"SUBSCRIBE {channel}\r\n".encode())
    confirmed = b""
    while not confirmed.endswith(b":1\r\n"):
        confirmed += client.recv(1000)
    return client


def test_the_metric_is_on_the_page(copy: Path, redis_server: Callable[..., RedisServer]) -> None:
    port = redis_server().port
    with subscribe(port, "__keyevent@0__:expired"):
        page = run(copy, "exporter", "once", f"--redis.addr=redis://{HOST}:{port}")
    lines = [line for line in page.splitlines() if "keyspace_event_" in line]
    assert lines == SHOWN.replace(":6379", f":{port}").splitlines()
    failed = [line for line in page.splitlines() if "collector_success{" in line and line.endswith(" 0")]
    assert failed == []


def test_the_test_passes(copy: Path) -> None:
    assert "7 passed" in run(copy, "pytest", "-q", "-p", "no:cacheprovider", FILES[1])


def test_it_is_written_as_the_house_writes(copy: Path) -> None:
    run(copy, "ruff", "check", "--no-cache", *FILES, REGISTRY)
    run(copy, "ruff", "format", "--no-cache", "--check", *FILES, REGISTRY)
    run(copy, "mypy", "--follow-imports=silent", *FILES)
