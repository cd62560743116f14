"""Every kind of server that is written down in `tests/data/servers/`, under the whole program: what its page
shows, and how much it is bothered with what it does not know.

A new kind is one file there. `make golden` writes its page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.replay import DATA, EVERYTHING
from tests.server_kinds import NAMES, ServerKind
from tests.servers import ScriptedServer
from tests.system.conftest import Exporter

GOLDEN = DATA / "golden" / "servers"
POLLS = 100
#: how long the polls may take on a busy machine, and a page that shows the target up
GIVE_UP_S, PAGE_S = 90, 20
UP = [name for name in NAMES if ServerKind(name).down is None]
#: families that depend on the clock, by their HELP
_CLOCK = "by the exporter's clock"
#: families about the exporter itself, but for the one that says what it gets from a server
_OWN = re.compile(r"# HELP (redis_exporter_(?!collector_supported )|process_|python_)")


@dataclass
class Watched:
    """What is seen of one kind after its polls."""

    kind: ServerKind
    page: str
    polls: float
    log: list[str]  # the lines about this target


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Watched]]:
    """All kinds, each polled a hundred times by one exporter, all lanes in each poll."""
    with ExitStack() as cleanup:
        kinds = {}
        for name in NAMES:
            kind = ServerKind(name)
            server = ScriptedServer(kind)
            cleanup.callback(server.close)
            kinds[f"redis://127.0.0.1:{server.port}"] = kind
        exporter = Exporter(
            tmp_path_factory.mktemp("kinds") / "exporter.log",
            *EVERYTHING,
            f"--redis.addr={','.join(kinds)}",
            "--poll.interval=100ms",
            *(f"--poll.{lane}-interval=fast" for lane in ("standard", "slow", "scan")),
            "--max-age=5m",
        )
        cleanup.callback(exporter.stop)
        up = {addr for addr, kind in kinds.items() if kind.down is None}
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            polls = exporter.values("redis_exporter_target_polls_total")
            if min(polls[addr] for addr in up) >= POLLS:
                break
            time.sleep(0.5)
        pages = {addr: page_of(exporter, addr, "redis_up 1\n" if addr in up else "") for addr in kinds}
        log = exporter.log.read_text().splitlines()
        yield {
            kind.name: Watched(kind, pages[addr], polls[addr], [line for line in log if addr in line])
            for addr, kind in kinds.items()
        }


def page_of(exporter: Exporter, addr: str, shown: str) -> str:
    """A target's page; one that has the text `shown`, if there is one in time. On a busy machine a target
    with so short an interval is down now and then."""
    give_up = time.monotonic() + PAGE_S
    while shown not in (page := exporter.get(f"/scrape?target={quote(addr, safe='')}")):
        if time.monotonic() > give_up:
            break
        time.sleep(0.05)
    return page


def steady(page: str) -> str:
    """The families that are the same in each run, by name: those that INFO alone names come in the order in
    which targets show them."""
    families = re.split(r"^(?=# HELP)", page, flags=re.MULTILINE)
    return "".join(
        sorted(each for each in families if not _OWN.match(each) and _CLOCK not in each.partition("\n")[0])
    )


@pytest.mark.parametrize("name", NAMES)
def test_page(watched: dict[str, Watched], name: str, request: pytest.FixtureRequest) -> None:
    page = steady(watched[name].page)
    path = GOLDEN / f"{name}.prom"
    if request.config.getoption("--update-golden"):
        path.write_text(page)
    assert page == path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_target_is_up_where_there_is_anything_to_read(watched: dict[str, Watched], name: str) -> None:
    seen = watched[name]
    assert f"redis_up {int(seen.kind.down is None)}\n" in seen.page
    if seen.kind.down is None:
        assert seen.polls >= POLLS
    else:
        assert f'redis_exporter_target_down{{reason="{seen.kind.down}"}} 1\n' in seen.page


@pytest.mark.parametrize("name", UP)
def test_what_it_refuses_is_asked_twice_at_most(watched: dict[str, Watched], name: str) -> None:
    refused = watched[name].kind.refused
    assert {command: times for command, times in refused.items() if times > 2} == {}


@pytest.mark.parametrize("name", UP)
def test_the_log_names_what_it_refuses_in_one_line(watched: dict[str, Watched], name: str) -> None:
    seen = watched[name]
    told = [line for line in seen.log if "the server refuses" in line]
    asked = set(seen.kind.refused) - {"CLIENT SETNAME"}  # that is a notice of its own
    assert len(told) == (1 if asked else 0)
    assert [line for line in seen.log if "collector" in line] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_where_its_facts_come_from(name: str) -> None:
    about = ServerKind(name).about
    assert re.search(r"github\.com/\w|https://\w", about)
    assert re.search(r"^- ", about, re.MULTILINE)
