"""What INFO says about forks."""

from __future__ import annotations

import pytest

from exporter.protocol.forks import NO_FORKS, Forks, read_forks


@pytest.mark.parametrize(
    ("texts", "forks"),
    [
        ((b"0", b"0", b"250"), Forks(is_running=False, newest_s=0.00025)),
        ((b"1", b"0", b"2000000"), Forks(is_running=True, newest_s=2.0)),
        ((b"0", b"1", b"2000000"), Forks(is_running=True, newest_s=2.0)),
        ((None, None, None), NO_FORKS),
        ((b"0", b"0", b"-1"), NO_FORKS),
        ((b"", b"yes", b"12.5"), NO_FORKS),
        ((b"0", b"0", b"9" * 5000), NO_FORKS),
    ],
)
def test_what_is_not_a_number_is_not_known(texts: tuple[bytes | None, ...], forks: Forks) -> None:
    assert read_forks(texts) == forks
