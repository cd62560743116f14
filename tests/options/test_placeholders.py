"""What `${…}` in a configuration file becomes."""

from __future__ import annotations

import pytest

from exporter.options.placeholders import fill


def test_variables_are_filled_in_once() -> None:
    assert fill("a${B}c${B}", {"B": "${C}", "C": "no"}) == "a${C}c${C}"


def test_a_plain_one_is_written_with_two_signs() -> None:
    assert fill("$${B} $B", {"B": "no"}) == "${B} $B"


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
