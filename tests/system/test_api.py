"""The JSON API of the whole program, with real servers: every answer is as its description says."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate

from bench.ports import free_port
from tests.servers import wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
STRANGE = "a/b <script>alert('x')</script> ключ?#%2F=" + "x" * 120
PASSWORD = "s3cret-of-the-api"
CALLS = 30


def read(program: Exporter, path: str) -> Any:
    return json.loads(program.get(path))


@pytest.fixture
def program(redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path) -> Exporter:
    """Three targets: one with a strange name and a password, one whose user may not do everything, one where
    nobody listens."""
    first, second = redis_server("--requirepass", PASSWORD), redis_server()
    second.ask("ACL", "SETUSER", "limited", "on", f">{PASSWORD}", "~*", "+info", "+ping", "+client")
    file = tmp_path / "targets.yml"
    file.write_text(
        json.dumps(
            {
                "redis_instances": [
                    {
                        "addr": f"redis://127.0.0.1:{first.port}",
                        "password": PASSWORD,
                        "name": STRANGE,
                        "labels": {"env": "=live"},
                    },
                    {"addr": f"redis://limited:{PASSWORD}@127.0.0.1:{second.port}"},
                    {"addr": f"redis://127.0.0.1:{free_port()}", "name": "gone"},
                ]
            }
        )
    )
    started = exporter(f"--config.file={file}")
    wait_until(
        lambda: read(started, "/api/v1/targets?q=gone")["targets"][0]["next_poll_s"] is not None, "turns"
    )
    return started


def test_targets_are_found_sorted_and_named(program: Exporter) -> None:
    def is_in_turn() -> bool:
        table = read(program, "/api/v1/targets")
        rows = [row for row in table["targets"] if row["state"] == "up"]
        turns = [row["next_poll_s"] for row in rows]
        return (
            table["counts"] == {"up": 2, "down": 1, "unknown": 0, "paused": 0}
            and all(turn is not None and 0 <= turn <= 1.0 for turn in turns)
            and all(0 <= row["lanes"][0]["age_s"] < row["lanes"][0]["limit_s"] for row in rows)
        )

    wait_until(is_in_turn, "two are up, and polled in their turn")
    table = read(program, "/api/v1/targets")
    gone, *others = table["targets"]
    assert (gone["name"], gone["state"], gone["reason"]) == ("gone", "down", "refused")
    strange = next(row for row in others if row["alias"])
    limited = next(row for row in others if not row["alias"])
    assert strange["name"] == STRANGE
    assert strange["labels"] == {"env": "=live"}
    assert (strange["role"], limited["name"]) == ("master", limited["address"].removeprefix("redis://"))
    assert limited["refused"] > strange["refused"] == 0
    assert limited["series"] < strange["series"]
    assert [lane["lane"] for lane in strange["lanes"]] == ["fast", "standard", "slow"]
    paused = read(program, f"/api/v1/targets/{quote(strange['name'], safe='')}/pause")
    assert paused == {"addr": strange["address"], "paused": False}
    assert PASSWORD not in program.get("/api/v1/targets") + program.get("/api/v1/targets.csv")


def test_the_table_for_spreadsheets(program: Exporter) -> None:
    rows = list(csv.DictReader(program.get("/api/v1/targets.csv?sort=name").splitlines()))
    assert [row["alias"] for row in rows] == [STRANGE, "gone", ""]
    assert rows[0]["labels"] == '{"env":"=live"}'


def test_a_rhythm_is_seen_and_so_is_a_request_that_is_refused(program: Exporter) -> None:
    def is_known() -> bool:
        program.get()
        (scraper,) = [
            each for each in read(program, "/api/v1/scrapers")["scrapers"] if each["path"] == "/metrics"
        ]
        return bool(scraper["requests"] > 1)

    wait_until(is_known, "a scraper")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        program.get("/scrape?target=redis://192.0.2.1:6379")
    report = read(program, "/api/v1/scrapers")
    assert report["scrapers"][0]["agent"].startswith("Python-urllib/")
    assert [(each["status"], each["path"]) for each in report["refusals"]] == [(403, "/scrape")]


def test_the_largest_targets_are_those_with_the_most_series(program: Exporter) -> None:
    report = read(program, "/api/v1/cardinality")
    table = {row["key"]: row["series"] for row in read(program, "/api/v1/targets")["targets"]}
    sizes = [target["series"] for target in report["targets"]]
    assert sizes == sorted(sizes, reverse=True)
    assert report["series"] == sum(sizes)
    for target in report["targets"]:
        assert target["series"] > table[target["key"]]  # those about the target itself count too
    assert report["families"][0]["series"] > 1


def test_no_answer_names_software_or_can_be_taken_for_another_kind(program: Exporter) -> None:
    for path in ("/api/v1/status", "/metrics", "/", "/nowhere", "/api/v1/targets?state=x"):
        found = (
            subprocess.run(
                ["curl", "-si", f"http://127.0.0.1:{program.port}{path}"],
                capture_output=True,
                text=True,
                check=True,
            )
            .stdout.partition("\n\n")[0]
            .lower()
        )
        assert "\nserver:" not in found
        assert "\nx-content-type-options: nosniff" in found, path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_answers_are_as_described(program: Exporter) -> None:
    """Whatever is asked for: parameters that fit their description, and others."""
    described = read(program, "/api/v1/openapi.json")
    validate(described)
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=f"http://127.0.0.1:{program.port}")
    called: set[str] = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        called.add(operation.path)

        @given(case=operation.as_strategy())
        @settings(
            max_examples=CALLS if operation.query else 2,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def call(case: Any) -> None:
            case.call_and_validate()

        if "{" not in operation.path:
            call()
    assert {"/api/v1/targets", "/api/v1/targets.csv", "/api/v1/status"} <= called


def test_the_commands_of_the_docs(program: Exporter, tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 6
    for command in commands:
        args = shlex.split(command.replace("127.0.0.1:9121", f"127.0.0.1:{program.port}"))
        assert args[0] == "curl"
        done = subprocess.run(
            [*args, "--fail"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, command
        if "-o" in args:
            assert (tmp_path / args[-1]).read_text().startswith("name,")
        else:
            json.loads(done.stdout)


def test_the_fields_of_the_docs_exist(program: Exporter) -> None:
    row = read(program, "/api/v1/targets")["targets"][0]
    section = DOCS.read_text().partition("## Targets")[2].partition("\n## ")[0]
    table = section.partition("| field |")[2]
    named = {
        name for cell in re.findall(r"^\| (`[^|]*) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named <= row.keys()
    mentioned = set(re.findall(r"`(\w+)`", section))
    assert row.keys() <= mentioned | {"alias", "address"}
