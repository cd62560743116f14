"""Where a request comes from, as far as its headers say."""

from __future__ import annotations

import pytest

from exporter.web.cross_site import is_of_a_browser, is_of_a_page, is_of_this_site


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://h:9121", "Host": "h:9121"}, True),
        ({"Origin": "https://H:9121", "Host": "h:9121"}, True),
        ({"Origin": "http://h:9122", "Host": "h:9121"}, False),
        ({"Origin": "http://other", "Host": "h:9121"}, False),
        ({"Origin": "null", "Host": "h:9121"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[", "Host": "h:9121"}, False),
        ({"Origin": "http://[::1", "Host": "[::1"}, False),
        ({"Origin": "http://a\u2100b", "Host": "a\u2100b"}, False),
    ],
)
def test_a_browser_says_where_a_form_comes_from(headers: dict[str, str], is_own: bool) -> None:
    assert is_of_this_site(headers) is is_own


def test_a_program_is_no_browser() -> None:
    assert not is_of_a_browser({"Host": "h"})
    assert is_of_a_browser({"Origin": "null"})
    assert is_of_a_browser({"Sec-Fetch-Site": "none"})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://h:9121", "Host": "h:9121"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://evil.example/"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
    ],
)
def test_any_sign_of_a_page_counts(headers: dict[str, str]) -> None:
    assert is_of_a_page(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": "Go-http-client/1.1", "Host": "h"},
        {"Sec-Fetch-Site": "none", "User-Agent": "Mozilla/5.0 (X11)"},  # somebody typed the address
    ],
)
def test_a_program_and_a_typed_address_are_no_page(headers: dict[str, str]) -> None:
    assert not is_of_a_page(headers)
