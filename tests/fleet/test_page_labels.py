"""No two targets on the page of all targets have the same labels."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exporter.fleet.page_labels import PageLabels
from exporter.options.commandline import parse
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address

HERE = "127.0.0.1:6379"
OWN, OTHER = f"redis://{HERE}", f"valkey://{HERE}"


class Page:
    """The labels of one page, and who had to leave it. `flags` are those of all its targets."""

    def __init__(self, *flags: str) -> None:
        self.left: list[str] = []
        self.labels = PageLabels(self.left.append)
        self._options = parse(flags, {})

    def target(self, text: str, source: str = "flags", **changes: Any) -> WatchedTarget:
        target = replace(parse_address(text), source=cast(Any, source), **changes)
        return cast(
            WatchedTarget,
            SimpleNamespace(target=target, assignment=SimpleNamespace(options=self._options)),
        )

    def take(self, text: str, source: str = "flags", **changes: Any) -> bool:
        return self.labels.take(self.target(text, source, **changes))


@pytest.fixture
def page() -> Page:
    return Page("--target-labels=instance")


@pytest.mark.parametrize("source", ["flags", "adopted"])
def test_of_two_the_first_is_there_if_the_second_is_adopted(page: Page, source: str) -> None:
    assert page.take(OWN, source)
    assert not page.take(OTHER, "adopted")
    assert page.take("redis://127.0.0.1:6380", "adopted")
    assert page.left == []


def test_an_adopted_one_leaves_for_a_configured_one(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    assert page.take(OTHER, "adopted")
    assert page.take(OWN)
    assert page.left == [OTHER]
    assert f"on its own page only: {OWN} has the same labels" in caplog.text


def test_its_labels_are_free_when_it_has_gone(page: Page) -> None:
    page.take(OWN)
    page.labels.leave(OWN)
    page.labels.leave(OWN)
    assert page.take(OTHER, "adopted")


def test_it_may_come_again(page: Page) -> None:
    assert page.take(OWN, "adopted")
    assert page.take(OWN, "adopted")
    assert page.take(OWN)
    assert page.left == []


def test_two_configured_ones_may_change_their_labels_with_each_other(page: Page) -> None:
    """The one that changes first has those of the other for a moment."""
    first, second = (("instance", "a"),), (("instance", "b"),)
    page.take(OWN, labels=first)
    page.take(OTHER, labels=second)
    assert page.take(OWN, labels=second)
    assert page.take(OTHER, labels=first)
    assert page.left == []
    assert not page.take("redis://a", "adopted", labels=first)


def test_one_may_go_after_the_one_that_took_its_labels(page: Page) -> None:
    page.take(OWN)
    page.take(OTHER)
    page.labels.leave(OTHER)
    page.labels.leave(OWN)
    assert page.take("redis://127.0.0.1:6379/0", "adopted")


@pytest.mark.parametrize(
    ("flags", "is_free"),
    [(("--target-labels=never",), False), (("--max-label-length=5",), False), ((), True)],
)
def test_where_labels_do_not_tell_targets_apart(flags: tuple[str, ...], is_free: bool) -> None:
    page = Page(*flags)
    page.take(OWN)
    assert page.take("redis://127.0.0.2", "adopted") is is_free
