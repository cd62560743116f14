"""Scripts whose values have names that are taken, as a page shows them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import RedisServer, wait_until
from tests.system.conftest import Exporter

#: names of ours, shown or hidden, process-wide or of targets; a type and a help that another script gave
#: otherwise; a help of any form
FIRST = """return {
  {metric = "exporter_build_info", value = 5},
  {metric = "exporter_snapshot_age_seconds", value = 5, labels = {lane = "fast"}},
  {metric = "up", value = 0},
  {metric = "memory_used_bytes", value = 5},
  {metric = "used_memory_bytes", value = 5},
  {metric = "exporter_http_request_duration_seconds_bucket", value = 5},
  {metric = "jobs", value = 1, type = "counter", help = "Jobs"},
  {metric = "first", value = 1, help = "no full stop"}
}"""
SECOND = """return {
  {metric = "jobs", value = 2, type = "gauge", help = "Other jobs.", labels = {of = "second"}},
  {metric = "second", value = 1, help = "two\\nlines"}
}"""


@pytest.mark.server
@pytest.mark.prometheus
@pytest.mark.parametrize("names", ["all", "none"])
def test_taken_names_are_left_out_and_named_in_the_log(
    redis_server: Callable[..., RedisServer], exporter: Callable[..., Exporter], tmp_path: Path, names: str
) -> None:
    scripts = [tmp_path / "first.lua", tmp_path / "second.lua"]
    for script, text in zip(scripts, (FIRST, SECOND), strict=True):
        script.write_text(text)
    program = exporter(
        f"--redis.addr=redis://127.0.0.1:{redis_server().port}",
        f"--script={','.join(map(str, scripts))}",
        "--poll.standard-interval=fast",
        f"--second-names={names}",
    )
    wait_until(lambda: "\nredis_second{" in program.get(), "the scripts' values")
    page = program.get()
    for name, value in (("redis_first", 1), ("redis_second", 1), ("redis_jobs", 1), ("redis_up", 1)):
        assert list(program.values(name).values()) == [value]
    for script in scripts:
        assert f'filename="{script}"}} 0\n' in page
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=page.encode(), capture_output=True, check=False
    )
    assert "error while linting" not in (check.stderr + check.stdout).decode()
    helps = [line.split()[2] for line in page.splitlines() if line.startswith("# HELP ")]
    assert len(helps) == len(set(helps))
    wait_until(lambda: program.log.read_text().count("are left out") >= 7, "the log")
    log = program.log.read_text()
    for name in (
        "redis_exporter_build_info",
        "redis_up",
        "redis_memory_used_bytes",
        "redis_exporter_snapshot_age_seconds",
    ):
        assert log.count(f"values of {name} are left out: the name is taken") == 1
    assert log.count("values of redis_jobs are left out: it was given before with another type or help") == 1
