"""What a build knows of itself."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from exporter import __version__, build_facts
from exporter.build_facts import BuildFacts, read_facts, version_text


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            '{"commit": "abc", "branch": "main", "date": "20260604-00:58:54"}',
            BuildFacts("abc", "main", "20260604-00:58:54"),
        ),
        ('{"date": "20260604-00:58:54"}', BuildFacts("unknown", "unknown", "20260604-00:58:54")),
        ('{"commit": null}', BuildFacts()),
        ("", BuildFacts()),
        ("[]", BuildFacts()),
        (None, BuildFacts()),
    ],
)
def test_what_the_build_did_not_know_is_unknown(text: str | None, facts: BuildFacts, tmp_path: Path) -> None:
    file = tmp_path / "build.json"
    if text is not None:
        file.write_text(text)
    assert read_facts(file) == facts


def test_the_version_has_the_form_of_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_facts, "build_facts", lambda: BuildFacts("abc", "main", "20260604-00:58:54"))
    assert version_text("compiled").split("\n") == [
        f"redis_exporter, version {__version__} (branch: main, revision: abc)",
        "  build date:       20260604-00:58:54",
        f"  python version:   {platform.python_version()}",
        f"  platform:         linux/{platform.machine()}",
        "  engine:           compiled",
    ]
