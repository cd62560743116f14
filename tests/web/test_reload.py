"""The answer to a request for a reload."""

from __future__ import annotations

import pytest

from exporter.errors import ConfigError
from exporter.web.reload import Reload, Reloaded, answer


def ends(has_files: bool) -> Reload:
    async def reload() -> Reloaded:
        return Reloaded(has_files, "2 added")

    return reload


@pytest.mark.parametrize("has_files", [True, False])
async def test_a_post_hears_what_has_changed(has_files: bool) -> None:
    response = await answer("POST", {}, ends(has_files))
    assert (response.status, response.text) == (200, "reloaded: 2 added\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_others_hear_what_the_go_exporter_says(method: str) -> None:
    response = await answer(method, {}, ends(has_files=True))
    assert (response.status, response.text) == (200, "ok\n")
    response = await answer(method, {}, ends(has_files=False))
    assert response.status == 400
    assert "--redis.password-file" in (response.text or "")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_all_mistakes_are_named(method: str) -> None:
    async def fail() -> Reloaded:
        raise ConfigError("passwords.json: no", "redis.yml: neither")

    response = await answer(method, {}, fail)
    assert (response.status, response.text) == (500, "passwords.json: no\nredis.yml: neither\n")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"User-Agent": "Mozilla/5.0 (X11)"},
    ],
)
async def test_a_web_page_causes_none(method: str, headers: dict[str, str]) -> None:
    response = await answer(method, headers, fails)
    assert (response.status, response.text) == (
        403,
        "not for web pages: send the request with a program, such as curl\n",
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_switched_off_it_says_what_reloads_instead(method: str) -> None:
    response = await answer(method, {}, fails, is_allowed=False)
    assert response.status == 403
    assert "SIGHUP" in (response.text or "")


async def fails() -> Reloaded:
    raise AssertionError("it is not to be called")
