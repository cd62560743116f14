"""The page of one target in a real browser, of real servers. With --screenshots these tests make the pictures
of the docs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Browser, Visit
from tests.servers import RedisServer
from tests.system.conftest import Exporter
from tests.system.test_status_page import low_contrasts

pytestmark = [pytest.mark.server, pytest.mark.chromium]

Picture = Callable[[Page, str], None]
HOSTILE = 'a/b "<script>alert(1)</script>\u202e'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    started = RedisServer(tmp_path_factory.mktemp("target")).start()
    for number in range(20):
        started.ask("SET", f"cart:{number}", "value")
    started.ask("ACL", "SETUSER", "few", "on", ">pw", "~*", "+info", "+select", "+client|setname")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[Exporter]:
    """Three targets of one server: `orders`, one whose user may do little, and one with a hostile name."""
    folder = tmp_path_factory.mktemp("target-site")
    address = f"redis://127.0.0.1:{server.port}"
    instances = [
        {"name": "orders", "addr": address, "labels": {"team": "shop"}, "checks": {"keys": "cart:1*"}},
        {"name": "limited", "addr": f"{address}/1", "user": "few", "password": "pw"},
        {"name": HOSTILE, "addr": f"{address}/2"},
    ]
    file = folder / "redis_exporter.json"
    file.write_text(json.dumps({"redis_instances": instances}))
    with ExitStack() as cleanup:
        program = Exporter(folder / "exporter.log", f"--config.file={file}", "--poll.interval=250ms")
        cleanup.callback(program.stop)
        yield program


def path_of(name: str) -> str:
    return f"/targets/{quote(name, safe='')}"


@pytest.fixture
def light(browser: Browser, site: Exporter) -> Iterator[Visit]:
    with browser.visit(f"http://127.0.0.1:{site.port}", width=1280, height=1000) as visit:
        yield visit


def trace(page: Page) -> None:
    """Press the button. Another test may have pressed it within this second: then the page says so."""
    traced, refused = page.locator("#traced"), page.locator("main", has_text="one begins a second")
    page.click("text=Trace a poll")
    expect(traced.or_(refused)).to_be_attached()
    while traced.count() == 0:
        page.go_back()
        page.click("text=Trace a poll")
        expect(traced.or_(refused)).to_be_attached()


def test_shows_polls_and_follows_them(
    light: Visit, server: RedisServer, picture: Picture, request: pytest.FixtureRequest
) -> None:
    page = light.open(path_of("orders"))
    expect(page.locator("h1")).to_have_text("orders")
    expect(page.locator("#head .state").first).to_have_text("up")
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    bars = 60 if request.config.getoption("--screenshots") else 5
    expect(page.locator("svg.polls rect.auth").first).to_be_attached()
    expect(page.locator("svg.polls g").nth(bars)).to_be_attached(timeout=60_000)
    page.click("text=As a table")
    expect(page.locator("#history tr").nth(4)).to_be_attached()
    page.click("text=As a table")
    assert low_contrasts(page) == []
    page.evaluate("scrollTo(0, 0)")
    picture(page, "target")


def test_typing_searches_the_values(light: Visit) -> None:
    page = light.open(path_of("orders"))
    page.evaluate("window.stays = true")
    page.locator("#q").press_sequentially("uptime")
    expect(page.locator("#families tr.family")).to_have_count(1)
    expect(page.locator("#families")).to_contain_text("redis_uptime_in_seconds")
    expect(page).to_have_url(re.compile(r"\?q=uptime$"))
    page.fill("#q", "cart:10")
    expect(page.locator("#families")).to_contain_text('key="cart:10"')
    assert page.evaluate("window.stays"), "the page was not loaded again"


def test_the_button_traces_a_poll(light: Visit, picture: Picture) -> None:
    page = light.open(path_of("orders"))
    page.check("input[value=standard]")
    light.expected = ["429"]
    trace(page)
    traced = page.locator("#traced")
    expect(traced).to_contain_text("It went well.")
    expect(traced).to_contain_text("CLIENT SETNAME redis_exporter")
    assert traced.locator("tbody tr").count() > 5
    assert low_contrasts(page) == []
    page.locator("#traced").scroll_into_view_if_needed()
    picture(page, "target-trace")


def test_at_night_with_what_is_refused(browser: Browser, site: Exporter, picture: Picture) -> None:
    with browser.visit(f"http://127.0.0.1:{site.port}", dark=True, width=1280) as visit:
        page = visit.open(path_of("limited"))
        expect(page.locator("#refused pre")).to_contain_text("ACL SETUSER few ")
        assert low_contrasts(page) == []
        page.locator("#refused").scroll_into_view_if_needed()
        picture(page, "target-dark")


def test_without_scripts_and_in_a_narrow_window(browser: Browser, site: Exporter) -> None:
    with browser.visit(f"http://127.0.0.1:{site.port}", scripts=False, width=360, height=740) as visit:
        page = visit.open(path_of(HOSTILE))
        expect(page.locator("h1")).to_have_text(HOSTILE)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.fill("#q", "uptime")
        page.click("#values button")
        expect(page.locator("#families tr.family")).to_have_count(1)
        visit.expected = ["429"]
        trace(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        visit.expected = ["404"]
        visit.open("/targets/unknown")
        page.click("text=All targets")
        expect(page).to_have_title("Redis Exporter")


def test_a_server_that_dies_is_seen_at_once(
    browser: Browser, tmp_path: Path, redis_server: Callable[..., RedisServer]
) -> None:
    server = redis_server()
    program = Exporter(tmp_path / "exporter.log", f"--redis.addr=redis://127.0.0.1:{server.port}")
    try:
        with browser.visit(f"http://127.0.0.1:{program.port}") as visit:
            page = visit.open(f"/targets/127.0.0.1:{server.port}")
            expect(page.locator("#head .state").first).to_have_text("up")
            server.kill()
            expect(page.locator("#head .state").first).to_have_text("down")
            expect(page.locator("#head")).to_contain_text("next try in")
            expect(page.locator("#plot path.fail").first).to_be_attached()
            trace(page)
            expect(page.locator("#traced")).to_contain_text("refused")
    finally:
        program.stop()
