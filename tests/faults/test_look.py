"""What a look reads of a page."""

from __future__ import annotations

import pytest

from tests.faults.look import samples

HEADS = b"# HELP one The first.\n# TYPE one gauge\n", b"# HELP two The last.\n# TYPE two gauge\n"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((b"", b"two 1\n"), []),
        ((b'one{addr="a"} 1\none 2.5\n', b"two 1\n"), [(b'one{addr="a"}', 1.0), (b"one", 2.5)]),
        ((b"one 1\n", b""), [(b"one", 1.0)]),
    ],
)
def test_a_family_has_the_samples_behind_its_head(
    lines: tuple[bytes, bytes], found: list[tuple[bytes, float]]
) -> None:
    page = b"".join(head + its_lines for head, its_lines in zip(HEADS, lines, strict=True))
    assert samples(page, b"one") == found
    assert samples(page, b"three") == []
