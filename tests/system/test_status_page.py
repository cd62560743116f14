"""The status page in a real browser, of real servers. With --screenshots these tests make the pictures of the
docs."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from bench.ports import free_port
from tests.browser import Browser, Visit
from tests.prometheus import Prometheus
from tests.servers import PATIENCE_S, RedisServer, wait_for_start
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

pytestmark = [pytest.mark.server, pytest.mark.chromium]

Picture = Callable[[Page, str], None]

#: name → team, of targets that are databases of two servers
TEAMS = {
    "orders-main": "orders",
    "orders-replica": "orders",
    "sessions-eu": "login",
    "sessions-us": "login",
    "cart": "shop",
    "catalog": "shop",
    "catalog-cache": "shop",
    "search-index": "search",
    "recommendations": "search",
    "mail-queue": "mail",
}
PAUSED, LOCKED, DOWN = "search-index", "billing", "reports"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """A master and its replica, by names of several teams; one target that is paused, one with a wrong
    password, and one that nobody answers for."""
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as cleanup:
        servers = []
        for name in ("main", "replica"):
            (folder / name).mkdir()
            servers.append(RedisServer(folder / name).start())
            cleanup.callback(servers[-1].stop)
        main, replica = servers
        replica.ask("REPLICAOF", "127.0.0.1", main.port)
        for number in range(200):
            main.ask("SET", f"key:{number}", "value")
        main.ask("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-config", "-slowlog", "-latency")
        instances = [
            entry(name, replica if "replica" in name or "cache" in name else main, number, team)
            for number, (name, team) in enumerate(TEAMS.items())
        ]
        instances[4] |= {"user": "reader", "password": "pw"}
        instances.append(entry(LOCKED, main, 11, "orders") | {"user": "nobody", "password": "wrong"})
        instances.append(entry(DOWN, main, 12, "orders") | {"addr": f"redis://127.0.0.1:{free_port()}"})
        file = folder / "redis_exporter.json"
        file.write_text(json.dumps({"redis_instances": instances}))
        flags = (f"--config.file={file}", "--web.enable-lifecycle", "--check-keys=key:1*")
        program = Exporter(
            folder / "exporter.log", *flags, "--poll.standard-interval=3s", "--poll.slow-interval=6s"
        )
        cleanup.callback(program.stop)
        pause(program, PAUSED)
        yield program


def entry(name: str, server: RedisServer, database: int, team: str) -> dict[str, Any]:
    """A target in the configuration file."""
    labels = {"env": "prod", "team": team}
    return {"name": name, "addr": f"redis://127.0.0.1:{server.port}/{database}", "labels": labels}


def pause(program: Exporter, name: str) -> None:
    path = f"/api/v1/targets/{urllib.parse.quote(name, safe='')}/pause?duration=1h"
    url = f"http://127.0.0.1:{program.port}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def address(program: Exporter) -> str:
    return f"http://127.0.0.1:{program.port}"


def names(page: Page) -> list[str]:
    """The targets that the table shows, in order."""
    return page.locator("#rows th > a").all_inner_texts()


def row(page: Page, name: str) -> str:
    """A selector of one row."""
    return f"#rows tr:has(th > a:text-is('{name}'))"


@pytest.fixture
def light(browser: Browser, site: Exporter) -> Iterator[Visit]:
    with browser.visit(address(site)) as visit:
        yield visit


def test_the_page_shows_all_targets_the_worst_first(light: Visit, picture: Picture) -> None:
    page = light.open()
    assert page.title() == "Redis Exporter"
    assert page.request.head(light.site).ok, "a probe may ask for the head alone"
    expect(page.locator("#summary li")).to_have_count(4)
    shown = names(page)
    assert set(shown[:2]) == {LOCKED, DOWN}
    assert shown[2] == PAUSED
    assert set(shown) == {*TEAMS, LOCKED, DOWN}
    expect(page.locator(row(page, DOWN))).to_contain_text("refused")
    expect(page.locator(row(page, LOCKED))).to_contain_text("auth")
    expect(page.locator(row(page, "orders-replica"))).to_contain_text("replica")
    expect(page.locator(row(page, "cart")).locator("td:nth-last-child(3)")).not_to_have_text("")
    assert page.locator(row(page, "orders-main")).locator("td[class^=b]").count() == 4, "a bar for each lane"
    picture(page, "overview")


def test_at_night_it_is_dark(browser: Browser, site: Exporter, picture: Picture) -> None:
    with browser.visit(address(site), dark=True) as visit:
        page = visit.open()
        assert brightness(page) < 0.2
        assert low_contrasts(page) == []
        picture(page, "overview-dark")


def test_by_day_all_texts_can_be_read(light: Visit) -> None:
    page = light.open()
    assert brightness(page) > 0.8
    assert low_contrasts(page) == []


def brightness(page: Page) -> float:
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    )
    return (red + green + blue) / 765


def low_contrasts(page: Page) -> list[str]:
    """Texts with less contrast than WCAG 2.2 asks for at level AA (4.5)."""
    found: list[str] = page.evaluate(
        """() => {
          const light = (c) => c.map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
          const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
          const below = (e) => {
            for (; e; e = e.parentElement) {
              const c = numbers(getComputedStyle(e).backgroundColor);
              if (c.length < 4 || c[3] === 1) return c;
            }
          };
          const found = new Set();
          for (const e of document.querySelectorAll("body *")) {
            if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
            const [a, b] = [numbers(getComputedStyle(e).color), below(e)].map((c) => light(c.slice(0, 3)));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) found.add(`${e.outerHTML.slice(0, 80)} ${ratio.toFixed(1)}`);
          }
          return [...found];
        }"""
    )
    return found


def test_a_narrow_window_has_no_need_to_scroll_sideways(
    browser: Browser, site: Exporter, picture: Picture
) -> None:
    with browser.visit(address(site), width=360, height=740) as visit:
        page = visit.open()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        expect(page.locator(row(page, "cart")).locator("td").last).to_be_visible()
        heading = page.locator(row(page, "cart")).locator("td:nth-child(4)")
        assert heading.evaluate("e => getComputedStyle(e, '::before').content") == '"role"'
        picture(page, "overview-narrow")


def test_without_scripts_links_and_the_form_do_the_work(browser: Browser, site: Exporter) -> None:
    with browser.visit(address(site), scripts=False) as visit:
        page = visit.open()
        shown = page.locator("#rows th > a")
        page.locator("#summary a", has_text="down").click()
        expect(page).to_have_url(f"{address(site)}/?state=down")
        expect(shown).to_have_count(2)
        assert set(names(page)) == {LOCKED, DOWN}
        page.fill("#q", DOWN)
        page.click("text=Show")
        expect(shown).to_have_text([DOWN])
        as_json = page.locator("a", has_text="JSON").get_attribute("href")
        assert as_json == f"api/v1/targets?state=down&q={DOWN}"
        assert json.loads(page.request.get(f"{address(site)}/{as_json}").text())["total"] == 1
        visit.open("/?size=5&sort=name")
        assert names(page) == sorted([*TEAMS, LOCKED, DOWN])[:5]
        page.click("nav.pages a:text-is('2')")
        expect(shown).to_have_text(sorted([*TEAMS, LOCKED, DOWN])[5:10])
        page.click("thead >> text=Target")
        expect(shown).to_have_text(sorted([*TEAMS, LOCKED, DOWN])[::-1][:5])


def test_typing_filters_at_once(light: Visit) -> None:
    page = light.open()
    page.evaluate("window.stays = true")
    page.locator("#q").press_sequentially("mail")
    expect(page.locator("#rows th > a")).to_have_text(["mail-queue"])
    expect(page).to_have_url(f"{light.site}/?q=mail")
    assert page.evaluate("document.activeElement.id") == "q"
    page.fill("#q", "")
    page.select_option("#sort", "name")
    expect(page.locator("#rows th > a")).to_have_text(sorted([*TEAMS, LOCKED, DOWN]))
    assert page.evaluate("window.stays"), "the page was not loaded again"


@pytest.mark.prometheus
def test_a_prometheus_that_scrapes_is_seen(
    browser: Browser, site: Exporter, picture: Picture, tmp_path: Path
) -> None:
    """It uses what /setup says."""
    with browser.visit(address(site), width=1280, height=800) as visit:
        page = visit.open("/setup")
        expect(page.locator("button", has_text="Copy")).to_have_count(2)
        picture(page, "setup")
        config = page.locator("#one-page").inner_text()
        scraper = Prometheus(tmp_path / "prometheus", config)
        try:
            polled = len(TEAMS) + 1  # all but the one that is paused
            scraper.wait_for("count(redis_up)", polled)
            instances = scraper.label_values("instance", "redis_up")
            assert all(re.fullmatch(r"127\.0\.0\.1:[0-9]+(/[0-9]+)?", each) for each in instances), instances
            with pytest.raises(HTTPError, match="403"):
                site.get("/scrape?target=redis://10.255.255.1:6379")
            visit.open("/scrapers")
            of_it = page.locator("#scrapers tr", has_text="Prometheus")
            expect(of_it).to_contain_text("in step")
            expect(page.locator("#refusals tr").first).to_contain_text("403")
            picture(page, "scrapers")
        finally:
            scraper.stop()


def test_the_other_pages_show_sizes_and_options(browser: Browser, site: Exporter, picture: Picture) -> None:
    with browser.visit(address(site), dark=True, width=1280, height=800) as visit:
        page = visit.open("/cardinality")
        expect(page.locator("#families tr td.b10")).not_to_have_count(0)
        expect(page.locator("#targets tr")).to_have_count(len(TEAMS) + 2)
        assert low_contrasts(page) == []
        picture(page, "cardinality-dark")
        visit.open("/config")
        expect(page.locator("tr.given").first).to_contain_text("--config.file")
        page.fill("#q", "stale-policy")
        expect(page.locator("#settings tbody tr")).to_have_count(1)
        assert low_contrasts(page) == []
        visit.open("/")
        for link in page.locator("nav[aria-label=Pages] a").all():
            assert page.request.get(f"{address(site)}/{link.get_attribute('href')}").ok


@pytest.mark.parametrize("path", ["/scrapers", "/cardinality", "/config", "/setup"])
def test_the_other_pages_fit_a_narrow_window(browser: Browser, site: Exporter, path: str) -> None:
    with browser.visit(address(site), width=360, height=740) as visit:
        page = visit.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert low_contrasts(page) == []


@pytest.mark.haproxy
def test_below_a_path_of_a_proxy_all_links_work(browser: Browser, site: Exporter, tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 5s\n"
        f"frontend proxy\n bind 127.0.0.1:{port}\n http-request replace-path /redis/(.*) /\\1\n"
        f" default_backend exporter\nbackend exporter\n server one 127.0.0.1:{site.port}\n"
    )
    process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_start(lambda: is_answered(f"{url}/redis/-/healthy"), "haproxy", process.kill)
        with browser.visit(url) as visit:
            page = visit.open("/redis/")
            assert page.locator(".brand img").evaluate("image => image.naturalWidth") > 0
            page.fill("#q", "mail")
            expect(page.locator("#rows tr")).to_have_count(1)
            expect(page).to_have_url(f"{url}/redis/?q=mail")
            page.click("text=Cardinality")
            expect(page).to_have_url(f"{url}/redis/cardinality")
            page.click("text=Redis Exporter")
            expect(page).to_have_url(f"{url}/redis/")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def is_answered(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_server_dies_and_comes_back(
    browser: Browser, exporter: ExporterFactory, redis_server: RedisFactory
) -> None:
    servers = sorted((redis_server() for _ in range(2)), key=lambda server: str(server.port))
    program = exporter(
        "--redis.addr=" + ",".join(f"redis://127.0.0.1:{server.port}" for server in servers),
        "--poll.max-backoff=1s",
    )
    dying = f"127.0.0.1:{servers[1].port}"
    with browser.visit(address(program)) as visit:
        page = visit.open()
        state = page.locator(row(page, dying)).locator("td").first
        expect(state).to_have_class("up")
        assert names(page)[1] == dying, "it moves when it dies"
        link = page.locator(row(page, dying)).locator("th > a")
        link.focus()
        servers[1].stop()
        expect(state).to_have_class("down", timeout=20_000)
        expect(page.locator(row(page, dying))).to_contain_text("refused")
        assert names(page)[0] == dying
        assert page.evaluate("document.activeElement.innerText") == dying, "the row keeps the focus"
        servers[1].start()
        expect(state).to_have_class("up", timeout=20_000)
        page.click("text=Pause updates")
        visit.expected.append("ERR_CONNECTION_REFUSED")
        program.stop()
        page.click("text=Go on")
        expect(page.locator("#lost")).to_contain_text("no answer since")


HOSTILE = [
    "<script>document.title = 'x'</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egpj.exe",
    "x" * 200,
    "a/b?c#d",
]


def test_hostile_names_are_texts(browser: Browser, exporter: ExporterFactory, tmp_path: Path) -> None:
    port = free_port()
    instances = [
        {"name": name, "addr": f"redis://127.0.0.1:{port}/{number}", "labels": {"note": name}}
        for number, name in enumerate(HOSTILE)
    ]
    file = tmp_path / "redis_exporter.json"
    file.write_text(json.dumps({"redis_instances": instances}))
    program = exporter(f"--config.file={file}")
    for width in (1440, 360):
        with browser.visit(address(program), width=width) as visit:
            page = visit.open()
            expect(page.locator("#rows tr")).to_have_count(len(HOSTILE))
            assert page.title() == "Redis Exporter"
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert HOSTILE[0] in names(page)
            page.fill("#q", HOSTILE[1])
            expect(page.locator("#rows th > a")).to_have_text([HOSTILE[1]])
