"""What a page shows of every server on record after a first poll with every option that adds metrics, value
by value.

`make golden` writes the pages again.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import hiredis
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import engine
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.collectors._registry import REGISTRY
from exporter.errors import ReplyError
from exporter.metrics.catalog import Catalog
from exporter.metrics.family import Family, NameSet
from exporter.metrics.labels import label_forms
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from tests.poll_fixture import poll_context
from tests.replay import DATA, EVERYTHING, SERVERS, Replay
from tests.store_fixture import page_of as whole

GOLDEN = DATA / "golden"
NOW = 1_795_380_000.25
OPTIONS = parse(EVERYTHING, {})


def enabled() -> tuple[EnabledCollector, ...]:
    """New ones: run-time families keep the order in which names came, and that is the order on the page."""
    return tuple(enable(c, "redis") for c in REGISTRY if c.enabled(OPTIONS))


def page_of(server: Replay) -> str:
    """The page after a first poll of a server on record."""
    collectors = enabled()
    page_family_sets = [each.family_set for each in collectors]
    catalog = Catalog(page_family_sets)
    catalog.open()
    pairs = ((b"addr", b"redis://h:6379"),)
    context = poll_context(TargetMemory(), label_forms(page_family_sets, pairs), OPTIONS)
    poll = Poll(collectors, context, NOW, 0.0)
    batch = poll.begin()
    while batch:
        reader = hiredis.Reader(replyError=ReplyError)
        for command in batch:
            reader.feed(
                server.answer(
                    [
                        word if isinstance(word, str) else bytes(str(word), "utf-8").decode()
                        for word in command.args
                    ]
                )
            )
        batch = poll.receive([reader.gets() for _ in batch])
    assert poll.results.error is None
    assert poll.results.failures == {}
    blocks = [
        [poll.results.blocks[family_set.name]] if family_set.name in poll.results.blocks else []
        for family_set in page_family_sets
    ]
    assembler = engine.Assembler(catalog.headers, catalog.cells, blocks)
    return whole(assembler).decode()


@pytest.mark.parametrize("name", SERVERS)
def test_page(name: str, request: pytest.FixtureRequest) -> None:
    page = page_of(SERVERS[name]())
    path = GOLDEN / f"{name}.prom"
    if request.config.getoption("--update-golden"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(page)
    assert page == path.read_text()


@pytest.mark.parametrize("name", SERVERS)
def test_page_is_read_by_prometheus_client_without_a_duplicate(name: str) -> None:
    seen = set()
    for family in text_string_to_metric_families((GOLDEN / f"{name}.prom").read_text()):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in seen
            seen.add(key)
    assert len(seen) > 20


@pytest.mark.prometheus
@pytest.mark.parametrize("name", SERVERS)
def test_promtool_finds_only_inherited_names(name: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    page = (GOLDEN / f"{name}.prom").read_bytes()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False
    )
    families: dict[str, Family] = {
        family.name: family for each in enabled() for family in each.family_set.families
    }
    for line in done.stderr.decode().splitlines():
        metric, complaint = line.split(" ", 1)
        family = families.get(metric.removeprefix("redis_"))
        # a field of INFO that nobody has named bears the server's own name
        assert (family is None and metric.startswith("redis_info_")) or (
            family is not None and family.name_set is not NameSet.OWN
        ), line
        assert re.search(r"should|abbreviated units|base unit", complaint), line
