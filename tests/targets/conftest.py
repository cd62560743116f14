"""What tests of configuration files share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test may write a configuration file."""
    return tmp_path / "redis_exporter.yml"
