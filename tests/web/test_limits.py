"""How many connections fit into the files that the process may open."""

from __future__ import annotations

import pytest

from exporter.descriptors import reserve_of
from exporter.options.commandline import parse
from exporter.web.limits import HttpLimits, limits_of, places_for


@pytest.mark.parametrize(
    ("asked", "files", "places"),
    [(512, 1 << 20, 512), (512, 1024, 192), (512, 256, 48), (20, 256, 20), (512, 16, 8), (4, 16, 4)],
)
def test_places(asked: int, files: int, places: int) -> None:
    assert places_for(asked, files) == places


@pytest.mark.parametrize("files", [64, 256, 1024, 65536])
def test_they_leave_some_of_the_reserve(files: int) -> None:
    assert places_for(10**9, files) < reserve_of(files)


def test_what_the_options_say_by_default_are_the_defaults() -> None:
    assert limits_of(parse([], {}).web, 1 << 20) == HttpLimits()


def test_each_of_them_has_an_option() -> None:
    argv = [
        "--web.max-connections=9",
        "--web.max-connections-per-address=8",
        "--web.request-timeout=1s",
        "--web.idle-timeout=2s",
    ]
    argv += [
        "--web.write-timeout=3s",
        "--web.answer-timeout=4s",
        "--web.max-request-bytes=5",
        "--web.old-pages-bytes=6",
    ]
    assert limits_of(parse(argv, {}).web, 1 << 20) == HttpLimits(9, 8, 1.0, 2.0, 3.0, 4.0, 5, 6)
