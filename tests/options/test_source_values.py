"""Where lists of targets are: files and URLs."""

from __future__ import annotations

import pytest

from exporter.options.source_values import parse_file_patterns, parse_urls


@pytest.mark.parametrize("text", ["/etc/redis/*.yml", "a.json,b.yaml", "", "/a-[0-9].yml"])
def test_file_patterns(text: str) -> None:
    assert parse_file_patterns(text) == tuple(filter(None, text.split(",")))


@pytest.mark.parametrize("text", ["/etc/redis/", "targets.txt", "/etc/*/targets.yml", "a.yml,b"])
def test_other_files_are_refused_as_by_prometheus(text: str) -> None:
    with pytest.raises(ValueError, match=r"write such as|such as"):
        parse_file_patterns(text)


@pytest.mark.parametrize(
    "text", ["http://h", "https://user:pw@h:8080/a?b=c", "HTTP://[::1]:80/,http://h/2", ""]
)
def test_urls(text: str) -> None:
    assert parse_urls(text) == tuple(filter(None, text.split(",")))


@pytest.mark.parametrize(
    "text",
    [
        *("h/redis", "ftp://h/", "http://", "http:///a", "http://user@", "http://a b/", "http://:80/"),
        *(
            "http://h:65536/",
            "http://h:0/",
            "http://h:x/",
            "http://[::1/",
            "http://a..b/",
            f"http://{'a' * 64}/",
        ),
    ],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a URL with http:// or https://"):
        parse_urls(text)
