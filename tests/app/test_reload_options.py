"""Each option in a configuration file, changed while the exporter runs: a reload takes it, or refuses it by
its name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exporter.app.app import App
from exporter.app.build import configure
from exporter.app.run import read_targets
from exporter.errors import ConfigError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse, read_again
from exporter.options.option import Option
from exporter.options.table import OPTIONS, Options
from exporter.polling.watched_target import WatchedTarget
from tests.options.test_table import other_text
from tests.servers import Certificates
from tests.store_fixture import until
from tests.watch_harness import RedisFactory, others

#: those that name the target itself, or are credentials of it: tests of their own have them
ITS_OWN = {"redis.addr", "redis.user", "redis.password", "redis.password-file"}
#: given by a flag here, which wins
BY_FLAG = {"web.listen-address"}
IN_FILE = [option for option in OPTIONS if option.in_file and option.flag not in ITS_OWN | BY_FLAG]
RELOADABLE = [option for option in IN_FILE if option.reloadable]
FIXED = [option for option in IN_FILE if not option.reloadable]


class Running:
    """An exporter with one target, and a configuration file of its options."""

    def __init__(self, file: Path, port: int) -> None:
        self._file = file
        self._port = port
        self.app = App()

    def write(self, options: dict[str, str]) -> None:
        entry = {"addr": f"127.0.0.1:{self._port}", "interval": "0.2s"}
        self._file.write_text(json.dumps({"options": options, "redis_instances": [entry]}))

    async def start(self) -> None:
        self.write({})
        flags = ["--web.listen-address=127.0.0.1:0", f"--config.file={self._file}"]
        options = parse(flags, {})
        self.app.read = lambda: (again := read_again(options, {}), read_targets(again, {}))
        await self.app.apply(configure(options, read_targets(options, {})))
        await until(lambda: self.watched.up)

    @property
    def watched(self) -> WatchedTarget:
        [watched] = self.app.backend.fleet.watched_targets.values()
        return watched

    async def reload(self, options: dict[str, str]) -> None:
        self.write(options)
        await self.app.reload()

    async def until_polled(self) -> None:
        series = self.watched.state.series
        polls = series.lanes[Lane.FAST].polls
        await until(lambda: self.watched.up and series.lanes[Lane.FAST].polls > polls)


@pytest.fixture
async def running(redis_server: RedisFactory, tmp_path: Path) -> AsyncIterator[Running]:
    running = Running(tmp_path / "redis.yml", redis_server().port)
    await running.start()
    yield running
    await running.app.stop()
    assert others() == set()


def value_of(options: Options, option: Option) -> Any:
    return getattr(getattr(options, option.group), option.attribute)


def changed(option: Option, certificates: Certificates) -> dict[str, str]:
    """The options of a file that changes this one."""
    pair = {"tls-client-cert-file": certificates.client, "tls-client-key-file": certificates.client_key}
    if option.flag in pair:
        return pair
    if option.flag == "tls-ca-cert-file":
        return {option.flag: certificates.ca}
    if option.flag.startswith("shard."):  # the only shard still has its only target
        return {"shard.index": "0", "shard.total": "1"}
    if option.flag == "discover.grace":
        return {option.flag: "7m"}
    return {option.flag: other_text(option)}


async def test_each_that_may_change_is_in_use_after_a_reload(
    running: Running, certificates: Certificates
) -> None:
    wrong = []
    for option in RELOADABLE:
        await running.reload({})
        watched, before = running.watched, running.app.configuration.options
        try:
            await running.reload(changed(option, certificates))
        except ConfigError as error:
            wrong.append(f"{option.flag}: {error}")
            continue
        now = running.app.configuration.options
        if option.flag != "shard.total" and value_of(now, option) == value_of(before, option):
            wrong.append(f"{option.flag}: it has not changed")
        own = running.watched.assignment.options
        has_own = option.per_target and option.flag != "poll.interval"  # which the entry has itself
        if has_own and value_of(own, option) != value_of(now, option):
            wrong.append(f"{option.flag}: the target has another value")
        if running.watched is not watched:
            wrong.append(f"{option.flag}: the target began again")
    await running.reload({})
    assert wrong == []
    await until(lambda: running.watched.up)


async def test_each_that_may_not_is_refused_by_its_name_and_nothing_else_changes(
    running: Running, certificates: Certificates
) -> None:
    wrong = []
    configuration = running.app.configuration
    for option in FIXED:
        options = {"poll.max-backoff": "7s", **changed(option, certificates)}
        try:
            await running.reload(options)
        except ConfigError as error:
            if f"--{option.flag}" not in str(error):
                wrong.append(f"{option.flag}: {error}")
        else:
            wrong.append(f"{option.flag}: it is taken")
    assert wrong == []
    assert running.app.configuration is configuration
    await running.until_polled()
