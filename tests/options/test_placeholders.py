"""What `${…}` in a configuration file becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.files import FileLimits
from exporter.options.placeholders import fill


def test_variables_are_filled_in_once() -> None:
    assert fill("a${B}c${B}", {"B": "${C}", "C": "no"}) == "a${C}c${C}"


def test_a_plain_one_is_written_with_two_signs() -> None:
    assert fill("$${B} $B", {"B": "no"}) == "${B} $B"


def test_a_file_is_filled_in_without_the_blanks_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  fig ${A} \r\n\n")
    assert fill(f"<${{file:{file}}}>", {"A": "no"}) == "<  fig ${A}>"
    assert fill(f"$${{file:{file}}}", {}) == f"${{file:{file}}}"


def test_what_was_filled_in_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("fig\n")
    noted: list[str] = []
    fill(f"a${{A}}-${{file:{file}}}", {"A": "kiwi"}, note=noted.append)
    assert noted == ["kiwi", "fig"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "the file cannot be read"),
        (b" \n", "the file is empty"),
        (b"\xff", "the file is not UTF-8"),
        (b"k" * 65_537, "65,537 characters are too many"),
        (b"k" * 70_001, "it holds more than 70000 bytes"),
    ],
)
def test_a_file_that_cannot_be_filled_in(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=why):
        fill(f"${{file:{file}}}", {}, FileLimits(max_bytes=70_000))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kiwi ${NO}", r"the variable NO is not set: set it, or write \$\$\{ for a plain \$\{"),
        ("kiwi ${NO:-x}", r"must follow \$\{"),
        ("kiwi ${", r"must follow \$\{"),
        ("k" * 65_537, "65,537 characters are too many"),
    ],
)
def test_what_cannot_be_filled_in_is_said_without_the_text(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        fill(text, {})
    assert "kiwi" not in str(caught.value)
