"""The page for people."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from exporter.web import landing

STATES = {"up": 3, "down": 1, "unknown": 0}
VOID = {"meta"}
OPTIONAL_END = {"tr", "td", "p"}


class Links(HTMLParser):
    """Collects what is linked, and sees that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID | OPTIONAL_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPTIONAL_END:
            assert self.open.pop() == tag


def read(text: str) -> Links:
    links = Links()
    links.feed(text)
    assert links.open == []
    return links


def test_it_tells_the_version_and_counts_the_targets() -> None:
    text = landing.render("1.2.3", STATES, "/metrics", scrape=True)
    assert "1.2.3" in text
    assert "<b>3</b>up" in text
    assert "<b>1</b>down" in text
    assert "unknown" not in text


def test_targets_that_were_not_tried_yet_are_shown_while_there_are_any() -> None:
    assert "<b>2</b>unknown" in landing.render("1", {**STATES, "unknown": 2}, "/metrics", scrape=True)


@pytest.mark.parametrize("scrape", [True, False])
def test_it_links_every_endpoint_that_answers(scrape: bool) -> None:
    links = read(landing.render("1", STATES, "/values", scrape=scrape)).links
    assert links == [
        "/values",
        *(["/scrape?target="] if scrape else []),
        "/sd",
        "/health",
        "/-/healthy",
        "/-/ready",
    ]


def test_what_is_configured_cannot_break_out() -> None:
    assert "<script>" not in landing.render("<script>", STATES, '/"><script>', scrape=True)
