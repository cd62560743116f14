import re
from pathlib import Path

from exporter.errors import REASONS
from exporter.options.table import OPTIONS
from exporter.status.advice import ADVICE


def test_each_reason_has_its_advice() -> None:
    assert ADVICE.keys() == set(REASONS)


def test_it_names_options_that_there_are() -> None:
    flags = {option.flag for option in OPTIONS}
    for flag in re.findall(r"--([a-z.-]+[a-z])\b", " ".join(ADVICE.values())):
        assert flag in flags


def test_the_docs_have_each_reason_too() -> None:
    text = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert all(f"`{reason}`" in text for reason in ADVICE if reason != "cancelled")
