"""What goes wrong with requests is counted by reason and logged without their bytes."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

import pytest

from exporter.web.incidents import REASONS, REFUSED_MAX, Incidents, place_of

DOCS = Path(__file__).parents[2] / "docs" / "endpoint.md"


@pytest.mark.parametrize("reason", REASONS)
def test_each_is_counted_and_logged_but_what_happens_every_day(
    caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    incidents = Incidents()
    incidents.note(reason)
    incidents.note(reason)
    assert incidents.counts == {**dict.fromkeys(REASONS, 0), reason: 2}
    assert [record.levelno for record in caplog.records] == (
        [] if reason == "idle" else [logging.WARNING] * 2
    )


def test_lines_of_one_reason_are_of_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    """So the log writes the kind once a minute."""
    incidents = Incidents()
    incidents.note("internal", "ValueError at a.py:1")
    incidents.note("internal", "KeyError at b.py:2")
    assert len({record.msg for record in caplog.records}) == 1


def test_a_place_is_kind_file_and_line_without_the_text() -> None:
    with pytest.raises(ValueError, match="a secret") as caught:
        int("a secret")
    assert re.fullmatch(r"ValueError at test_incidents\.py:[0-9]+", place_of(caught.value))
    assert place_of(ValueError("a secret")) == "ValueError"
    assert place_of(None) == "unknown"


def test_the_docs_list_each_reason() -> None:
    section = DOCS.read_text().partition("## Limits")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", section, re.M)) == sorted(REASONS)


def test_the_newest_refused_requests_are_remembered() -> None:
    incidents = Incidents()
    for number in range(REFUSED_MAX + 5):
        incidents.note_refusal(401, f"10.0.0.{number}", "/scrape")
    assert len(incidents.refused) == REFUSED_MAX
    newest = incidents.refused[0]
    assert (newest.address, newest.status, newest.path) == (f"10.0.0.{REFUSED_MAX + 4}", 401, "/scrape")
    assert newest.at == pytest.approx(time.time(), abs=60)
