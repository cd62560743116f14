"""The examples of docs/library.md do what is shown there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import RedisServer

PAGE = (Path(__file__).parent.parent / "docs" / "library.md").read_text()
#: each example, and what the page shows of its output
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", PAGE, re.S | re.M)
ADDR = "redis://127.0.0.1:6379"


def run(code: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


@pytest.mark.parametrize(("code", "shown"), [(code, shown) for code, shown in EXAMPLES if shown])
def test_an_example_prints_what_is_shown(code: str, shown: str) -> None:
    assert run(code) == shown


@pytest.mark.parametrize("code", [code for code, shown in EXAMPLES if ADDR in code and not shown])
def test_an_example_with_a_server_shows_it_up(code: str, redis_server: Callable[..., RedisServer]) -> None:
    addr = f"redis://127.0.0.1:{redis_server().port}"
    assert re.search(rf"redis_up\{{addr=\"{addr}\"\}} 1(\.0)?'", run(code.replace(ADDR, addr)))


def test_every_kind_of_example_is_there() -> None:
    assert len([shown for _, shown in EXAMPLES if shown]) == 2
    assert len([code for code, _ in EXAMPLES if ADDR in code]) == 2
