"""One exporter ends and the next one goes on: with the same values, ages, counters and phases, and with
nothing that is no longer true."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.state_file import StateRecord, StateWriter, read_records
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from tests.servers import RedisServer
from tests.store_fixture import PATIENCE_S, until, values_of
from tests.watch_harness import RedisFactory

POLLS, AGE = "redis_exporter_target_polls_total", "redis_exporter_snapshot_age_seconds"


class Site:
    """Starts exporters, one after the other, that leave their state in one file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "state"

    @asynccontextmanager
    async def running(self, *targets: Target, flags: tuple[str, ...] = ()) -> AsyncIterator[App]:
        argv = [
            "--web.listen-address=127.0.0.1:0",
            "--poll.interval=100s",
            f"--state.file={self.file}",
            *flags,
        ]
        app = App()
        await app.apply(configure(parse(argv, {}), targets))
        try:
            yield app
        finally:
            await app.stop()

    async def run_once(self, *targets: Target, flags: tuple[str, ...] = ()) -> None:
        """Start, poll each target, and stop."""
        async with self.running(*targets, flags=flags) as app:
            await until(lambda: all(each.up for each in app.backend.fleet.watched_targets.values()))


async def page(app: App, path: str = "/metrics") -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{app.addresses[0]}{path}") as response,
    ):
        assert response.status == 200
        return await response.text()


def text_of(app: App) -> str:
    """The newest page, without a wait."""
    built = app.backend.exposition.draft().build()
    return built.plain_text(time.monotonic()).decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "exporter")
    return caplog


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are made there, and nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(10)
        yield listening.getsockname()[1]


def of(server: RedisServer, **changes: Any) -> Target:
    return replace(parse_address(f"redis://127.0.0.1:{server.port}"), **changes)


async def test_a_start_serves_the_last_values_at_once_with_their_true_ages(
    site: Site, redis_server: RedisFactory
) -> None:
    server = redis_server()
    target = of(server)
    await site.run_once(target)
    server.stop()  # so nothing new can be known
    await asyncio.sleep(0.5)
    async with site.running(target) as app:
        text = await page(app)
        assert values_of(text, "redis_connected_clients") == {target.addr: 1}
        assert 0.5 <= values_of(text, AGE)[target.addr] < 60
        assert values_of(text, "redis_up") in ({}, {target.addr: 0})
        assert await page(app, f"/scrape?target={target.addr}")


async def test_whether_it_is_up_is_not_known_before_the_first_poll(
    site: Site, redis_server: RedisFactory, silent_port: int
) -> None:
    target = of(redis_server())
    await site.run_once(target)
    records = list(read_records(str(site.file)))
    silent = parse_address(f"redis://127.0.0.1:{silent_port}")
    rewrite(site.file, records, target.addr, silent.addr)
    async with site.running(silent) as app:
        text = await page(app)
        assert values_of(text, "redis_up") == {}
        assert values_of(text, POLLS) == {silent.addr: 1}
        assert "redis_connected_clients" in text
        await page(app, "/-/ready")


def rewrite(file: Path, records: list[Any], addr: str, other: str) -> None:
    """Let a saved target have another address; its labels are part of its samples."""
    writer = StateWriter(str(file))
    changed = []
    for record in records:
        data = json.loads(json.dumps(record.data).replace(addr, other))
        blobs = [blob.replace(addr.encode(), other.encode()) for blob in record.blobs]
        assert len(addr) == len(other)
        changed.append(StateRecord(data, blobs))
    writer.add(changed[:-1], time.monotonic() + 60)
    writer.finish(changed[-1:])


async def test_counters_go_on(site: Site, redis_server: RedisFactory) -> None:
    target = of(redis_server())
    async with site.running(target) as app:
        await until(lambda: bool(app.backend.fleet.watched_targets[target.addr].up))
        for _ in range(3):
            await page(app)
    async with site.running(target) as app:
        await until(lambda: bool(app.backend.fleet.watched_targets[target.addr].up))
        text = await page(app)
        assert values_of(text, POLLS)[target.addr] == 2
        assert values_of(text, "redis_exporter_scrapes_total") == {"": 4}
        assert values_of(text, "redis_exporter_scrape_duration_seconds_count") == {"": 2}
    async with site.running(target) as app:
        text = await page(app)
        assert values_of(text, "redis_exporter_scrapes_total") == {"": 5}


async def test_the_slow_lanes_keep_their_phases(site: Site, redis_server: RedisFactory) -> None:
    target, flags = of(redis_server()), ("--poll.slow-interval=100000s",)
    phases = []
    for _ in range(2):
        async with site.running(target, flags=flags) as app:
            watched = app.backend.fleet.watched_targets[target.addr]
            await until(lambda watched=watched: bool(watched.up))  # type: ignore[misc]
            phases.append(watched.state.clock.phases()[Lane.SLOW])
            watched.state.clock.tick(4)
    assert phases[1] == (phases[0] - 5) % 1000  # the first poll of the second one was a turn too


async def test_a_target_that_is_gone_is_dropped_and_a_new_one_begins(
    site: Site, redis_server: RedisFactory
) -> None:
    gone, new = of(redis_server()), of(redis_server())
    await site.run_once(gone)
    async with site.running(new) as app:
        await until(lambda: bool(app.backend.fleet.watched_targets[new.addr].up))
        text = await page(app)
        assert gone.addr not in text
        assert values_of(text, POLLS) == {new.addr: 1}


async def test_no_series_has_labels_of_before(site: Site, redis_server: RedisFactory) -> None:
    target = of(redis_server(), labels=(("env", "old"),))
    await site.run_once(target)
    async with site.running(replace(target, labels=(("env", "new"),))) as app:
        text = text_of(app)
        assert 'env="old"' not in text
        assert values_of(text, POLLS) == {target.addr: 1}  # the counters go on
        await until(lambda: "redis_connected_clients{" in text_of(app))
        assert 'env="old"' not in text_of(app)


async def test_a_role_that_is_a_label_stays(site: Site, redis_server: RedisFactory) -> None:
    target, flags = of(redis_server()), ("--append-instance-role-label",)
    await site.run_once(target, flags=flags)
    async with site.running(target, flags=flags) as app:
        series = [line for line in text_of(app).split("\n") if line.startswith("redis_connected_clients{")]
        assert len(series) == 1
        assert 'instance_role="master"' in series[0]


async def test_other_families_are_matched_by_name(
    site: Site, redis_server: RedisFactory, log: pytest.LogCaptureFixture
) -> None:
    """As after an upgrade that adds and removes some."""
    target = of(redis_server())
    await site.run_once(target)
    records = list(read_records(str(site.file)))
    names = records[0].data["family_sets"]["info"]["names"]
    at = names.index("redis_blocked_clients")
    names[0], names[at] = names[at], "redis_of_before"
    rewrite(site.file, records, "", "")
    async with site.running(target) as app:
        snapshot = app.backend.store.get(target.addr, "info")
        assert snapshot is not None
        assert b"redis_blocked_clients{" not in snapshot.samples  # its place holds another family's lines
        assert b"redis_connected_clients{" in snapshot.samples
        assert len(snapshot.offsets) == 4 * (len(names) + 1)
    assert "cannot be used" not in log.text


async def test_targets_that_are_found_later_go_on_too(site: Site, redis_server: RedisFactory) -> None:
    target = of(redis_server())
    await site.run_once(target)
    async with site.running() as app:
        app.put("found", [target])
        await until(lambda: target.addr in app.backend.fleet.watched_targets)
        assert app.backend.fleet.watched_targets[target.addr].restored


async def test_a_state_is_used_once(site: Site, redis_server: RedisFactory) -> None:
    """After a crash the counters would begin below what Prometheus has seen."""
    target = of(redis_server())
    await site.run_once(target)
    assert site.file.exists()
    async with site.running(target):
        assert not site.file.exists()
    assert site.file.exists()


class TestLeftOut:
    @pytest.fixture
    async def target(self, site: Site, redis_server: RedisFactory) -> Target:
        target = of(redis_server())
        await site.run_once(target)
        return target

    async def start_anew(self, site: Site, target: Target, *flags: str) -> None:
        async with site.running(target, flags=flags) as app:
            assert not app.backend.fleet.watched_targets[target.addr].restored
            await until(lambda: bool(app.backend.fleet.watched_targets[target.addr].up))
            assert values_of(await page(app), POLLS) == {target.addr: 1}

    async def test_one_that_is_too_old(
        self, site: Site, target: Target, log: pytest.LogCaptureFixture
    ) -> None:
        await asyncio.sleep(0.2)
        await self.start_anew(site, target, "--state.max-age=100ms")
        assert re.search(r"is left out: it is \d+ s old, more than --state.max-age=0.1s", log.text)

    async def test_one_from_the_future(
        self, site: Site, target: Target, log: pytest.LogCaptureFixture
    ) -> None:
        records = list(read_records(str(site.file)))
        records[0].data["saved_at"] += 100
        rewrite(site.file, records, "", "")
        await self.start_anew(site, target)
        [later_s] = re.findall(r"written in (\d+) s from now", log.text)
        assert 100 - PATIENCE_S < int(later_s) <= 100

    async def test_one_that_is_damaged(
        self, site: Site, target: Target, log: pytest.LogCaptureFixture
    ) -> None:
        site.file.write_bytes(site.file.read_bytes()[:-3])
        await self.start_anew(site, target)
        assert f"--state.file={site.file} is left out: it is cut off" in log.text

    async def test_one_of_another_program(
        self, site: Site, target: Target, log: pytest.LogCaptureFixture
    ) -> None:
        records = list(read_records(str(site.file)))
        del records[0].data["family_sets"]
        del records[1].data["facts"]
        rewrite(site.file, records, "", "")
        await self.start_anew(site, target)
        assert "another program has written it" in log.text

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda records: records[1].blobs.pop(), "another program has written it"),
            (lambda records: records[0].data.update(saved_at=10**400), "another program has written it"),
            (lambda records: records[1].data["facts"].update(saved_at=math.inf), "cannot be used"),
        ],
        ids=["a blob too few", "a number too large", "an infinite number"],
    )
    async def test_one_whose_content_is_of_another_form(
        self,
        site: Site,
        target: Target,
        log: pytest.LogCaptureFixture,
        spoil: Callable[[list[Any]], object],
        why: str,
    ) -> None:
        records = list(read_records(str(site.file)))
        spoil(records)
        rewrite(site.file, records, "", "")
        await self.start_anew(site, target)
        assert why in log.text


async def test_it_holds_no_credentials(site: Site, redis_server: RedisFactory) -> None:
    target = of(redis_server("--requirepass", "s3cret-of-mine"), password="s3cret-of-mine")
    await site.run_once(target, flags=("--include-config-metrics",))
    records = list(read_records(str(site.file)))
    assert any(record.blobs for record in records)
    for record in records:
        assert "s3cret" not in json.dumps(record.data)
        assert not any(b"s3cret" in blob for blob in record.blobs)


async def test_a_stop_that_cannot_write_says_so(
    site: Site, redis_server: RedisFactory, log: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    target = of(redis_server())
    site.file = tmp_path / "folder" / "state"
    site.file.parent.mkdir()
    async with site.running(target) as app:
        await until(lambda: bool(app.backend.fleet.watched_targets[target.addr].up))
        site.file.parent.rmdir()
    assert f"--state.file={site.file} is not written: No such file or directory" in log.text
    assert not os.path.lexists(site.file)
