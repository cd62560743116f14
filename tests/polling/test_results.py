"""What one poll found, by collector."""

from __future__ import annotations

from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import Collector
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.errors import NoPermError, TargetError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.polling.collector_run import CollectorRun
from exporter.polling.memory import TargetMemory
from exporter.polling.results import PollResults
from exporter.protocol.facts import Facts
from exporter.targets.redaction import redaction_of
from tests.poll_fixture import poll_context

NUMBER = gauge("number", "A number.")
FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "a", cluster_enabled=False, loading=False)
SECRET = "s3cret-of-mine"


@pytest.fixture
def results() -> PollResults:
    return PollResults(redaction_of("", SECRET))


def run_of(enabled: EnabledCollector) -> Any:
    """A run that has written 5."""
    context = poll_context(TargetMemory(FACTS), {enabled.name: engine.Labels(b"")}, parse([], {}))
    run = CollectorRun.start(enabled, context, 0.0)
    run.output.add(NUMBER, 5)
    return run


class Other(Collector[None]):
    name = "other"
    lane = Lane.FAST
    families = (NUMBER,)

    def collect(self, facts: Any, options: Any, out: Any) -> Any:
        return iter(())


class Identifier(Collector[None]):
    name = "info"
    lane = Lane.FAST
    families = (NUMBER,)
    identifies = True

    def identify(self, known: Any, options: Any, out: Any) -> Any:
        return iter(())


@pytest.fixture
def run() -> Any:
    return run_of(enable(Identifier(), "redis"))


def test_a_run_that_goes_well(results: PollResults, run: CollectorRun) -> None:
    assert results.add(run).samples == b"redis_number 5\n"
    assert results.blocks.keys() == {"info"}
    assert (results.cuts, results.faults, results.failures, results.unsupported) == ({}, {}, {}, set())
    assert results.error is None


def test_what_was_cut_and_what_was_at_fault(results: PollResults, run: CollectorRun) -> None:
    run.output.cut = 3
    run.output.fault("a.lua", f"no {SECRET} here")
    results.add(run)
    assert results.cuts == {"info": 3}
    assert results.faults == {"info": {"a.lua": "no *** here"}}


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (NoPermError(f"no {SECRET}"), NoPermError, "no ***"),
        (ValueError(f"{SECRET} is no number"), TargetError, "ValueError: *** is no number"),
    ],
)
def test_an_error_keeps_its_reason_and_loses_its_secrets(
    results: PollResults, run: CollectorRun, error: Exception, kind: type[TargetError], text: str
) -> None:
    results.fail(run, error)
    failure = results.failures["info"]
    assert (type(failure), str(failure)) == (kind, text)
    assert results.error is failure


@pytest.mark.parametrize("is_refused", [None, False, True])
def test_a_collector_is_unsupported_if_all_its_commands_are_refused(
    results: PollResults, is_refused: bool | None
) -> None:
    run = run_of(enable(Other(), "redis"))
    run.own_refused = is_refused
    results.add(run)
    assert results.unsupported == ({"other"} if is_refused else set())


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_collector_that_is_refused_has_not_failed(results: PollResults, is_refused: bool) -> None:
    run = run_of(enable(Other(), "redis"))
    run.own_refused = is_refused
    results.fail(run, NoPermError("no"))
    assert results.unsupported == results.blocks.keys() == ({"other"} if is_refused else set())
    assert results.failures.keys() == (set() if is_refused else {"other"})


def test_the_collector_that_identifies_the_server_fails_the_poll(
    results: PollResults, run: CollectorRun
) -> None:
    run.helpers_refused = True
    results.fail(run, NoPermError("no"))
    assert results.error is results.failures["info"]
