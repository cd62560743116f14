"""Every command of the docs runs, see `tests.doc_commands`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doc_commands import ELSEWHERE, ROOT, Block, blocks, run
from tests.servers import PATIENCE_S, Certificates, RedisServer

#: page → the test that carries out all of it
CARRIED_OUT = {"adding-a-collector.md": "tests/test_adding_a_collector.py"}
#: programs that a block of commands begins with, besides those of ELSEWHERE
RUN = ("amtool", "curl", "echo", "export", "htpasswd", "make", "promtool", "python", "redis_exporter")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=block.id, marks=[pytest.mark.htpasswd] if "htpasswd" in block.text else [])
    for page in PAGES
    if page.name not in CARRIED_OUT
    for block in blocks(page)
]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def exporter(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an exporter that watches a server called `orders`."""
    folder = tmp_path_factory.mktemp("exporter")
    file, log = folder / "redis_exporter.yml", folder / "log"
    file.write_text(f"redis_instances: [{{name: orders, addr: 'redis://127.0.0.1:{redis.port}'}}]\n")
    command = [
        *(sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"),
        *(f"--config.file={file}", "--scrape.allow=127.0.0.1"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"listening on ([\d.:]+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.server
@pytest.mark.parametrize("block", BLOCKS)
def test_commands_run(
    block: Block, tmp_path: Path, exporter: str, redis: RedisServer, certificates: Certificates
) -> None:
    assert run(block, tmp_path, exporter, f"127.0.0.1:{redis.port}", certificates) == ""


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_blocks_of_commands_are_marked_as_such(page: Path) -> None:
    """Others are not run."""
    first_words = re.findall(r"^ *```\n *([\w.-]+) ", page.read_text(), re.M)
    assert set(first_words) & {*RUN, *ELSEWHERE} == set()


def test_what_is_said_to_be_run_elsewhere_is() -> None:
    files = [
        text for where in ELSEWHERE.values() for text in re.findall(r"[\w/.-]+/[\w.-]+\.(?:py|sh)", where)
    ]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
