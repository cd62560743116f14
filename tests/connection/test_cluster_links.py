"""Commands that go to other nodes of a cluster: each reply in its place, and a node that is gone costs its
own replies only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from bench.ports import free_port
from exporter.connection.cluster_links import NODES_MAX, ClusterLinks
from exporter.connection.dial_plan import same_for_all
from exporter.connection.dialer import Dialer
from exporter.connection.link import Connection
from exporter.connection.node_addresses import LOGGED_MAX
from exporter.connection.resolver import Resolver
from exporter.connection.settings import DialSettings
from exporter.descriptors import Descriptors
from exporter.errors import ReplyError, ResetError, TargetError
from exporter.options.values import parse_allowance
from exporter.protocol.command import Command, Reply
from exporter.targets.target import Target
from tests.servers import Conversation, RedisServer, ScriptedServer
from tests.store_fixture import until

RedisFactory = Callable[..., RedisServer]
SECRET = "s3cret-of-mine"
AMPLE_S, SCANT_S = 20.0, 0.2


class Seed:
    """A target with a link to it, from which commands go out."""

    def __init__(self, target: Target, dialer: Dialer, link: Connection) -> None:
        self.target = target
        self.link = link
        self.nodes = ClusterLinks(dialer)

    async def ask(self, *batch: Command, within_s: float = AMPLE_S) -> Any:
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + within_s
        self.nodes.scatter(self.target, self.link, batch, deadline, answered.set_result)
        timer = asyncio.get_running_loop().call_later(within_s, self.nodes.abort)
        outcome = await answered
        timer.cancel()
        return outcome


SeedFactory = Callable[..., Awaitable[Seed]]


@pytest_asyncio.fixture
async def seed_of() -> AsyncIterator[SeedFactory]:
    seeds: list[Seed] = []

    async def make(port: int, password: str = "", allow: str = "", dialer: Dialer | None = None) -> Seed:
        target = Target(f"redis://127.0.0.1:{port}", "redis", "127.0.0.1", port, "", 0, password=password)
        dialer = dialer or Dialer(DialSettings(allowance=parse_allowance(allow)))
        seeds.append(Seed(target, dialer, await dialer.dial(target, time.monotonic() + AMPLE_S)))
        return seeds[-1]

    yield make
    for seed in seeds:
        await asyncio.gather(*seed.nodes.close(), return_exceptions=True)
        seed.link.close()


def node(port: int) -> str:
    return f"127.0.0.1:{port}"


class TestScatter:
    async def test_each_reply_stands_in_its_commands_place(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        one, two, three = (redis_server("--requirepass", SECRET) for _ in range(3))
        seed = await seed_of(one.port, SECRET)
        batch = [
            Command.of("CONFIG", "GET", "port", node=at)
            for at in (node(three.port), "", node(two.port), "", node(three.port))
        ]
        for _ in range(2):
            outcome = await seed.ask(*batch)
            assert [int(reply[1]) for reply in outcome] == [
                three.port,
                one.port,
                two.port,
                one.port,
                three.port,
            ]

    async def test_links_are_kept(self, seed_of: SeedFactory, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        ids = [await seed.ask(Command.of("CLIENT", "ID", node=node(two.port))) for _ in range(3)]
        assert ids[0] == ids[1] == ids[2]

    async def test_a_node_that_is_gone_costs_its_own_replies(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [
            Command.of("PING", node=node(two.port)),
            Command.of("PING"),
            Command.of("PING", node=node(free_port())),
        ]
        fine, own, gone = await seed.ask(*batch)
        assert (fine, own, gone.code) == (b"PONG", b"PONG", "UNREACHABLE")
        two.kill()
        gone, own, also_gone = await seed.ask(*batch)
        assert (gone.code, own, also_gone.code) == ("UNREACHABLE", b"PONG", "UNREACHABLE")
        two.start()
        back, own, _ = await seed.ask(*batch)
        assert (back, own) == (b"PONG", b"PONG")

    async def test_a_node_that_hangs_is_given_up_at_the_deadline(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [Command.of("PING", node=node(two.port)), Command.of("PING")]
        await seed.ask(*batch)
        two.pause()
        hung, own = await seed.ask(*batch, within_s=SCANT_S)
        assert (hung.code, own) == ("UNREACHABLE", b"PONG")

    async def test_a_node_that_is_asked_after_all_were_given_up_has_until_the_deadline(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [Command.of("PING", node=node(two.port)), Command.of("PING")]
        await seed.ask(*batch)
        two.pause()
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        seed.nodes.scatter(seed.target, seed.link, batch, time.monotonic() + SCANT_S, answered.set_result)
        seed.nodes.abort()  # before the node's task has begun
        outcome = await answered
        assert isinstance(outcome, list)
        hung, own = outcome
        assert (hung.code, own) == ("UNREACHABLE", b"PONG")

    async def test_what_is_no_node_is_unreachable(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        seed = await seed_of(redis_server().port)
        [reply] = await seed.ask(Command.of("PING", node="nowhere"))
        assert isinstance(reply, ReplyError)
        assert reply.text == "UNREACHABLE 'nowhere' is no host:port"

    async def test_an_error_reply_is_a_reply(self, seed_of: SeedFactory, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        [reply] = await seed.ask(Command.of("NOSUCH", node=node(two.port)))
        assert reply.code == "ERR"

    async def test_the_targets_own_link_failing_fails_the_batch_and_the_next_one_is_whole(
        self, seed_of: SeedFactory, redis_server: RedisFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        def greet_and_close(talk: Conversation) -> None:
            talk.command()
            talk.send(b"+OK\r\n")
            talk.command()
            talk.close()

        two = redis_server()
        seed = await seed_of(scripted_server(greet_and_close).port)
        outcome = await seed.ask(Command.of("PING"), Command.of("PING", node=node(two.port)))
        assert isinstance(outcome, ResetError)
        # the node's link is being dialled for the batch that failed, or was just now
        seed.link = (await seed_of(redis_server().port)).link
        for _ in range(3):
            assert await seed.ask(Command.of("PING"), Command.of("PING", node=node(two.port))) == [
                b"PONG",
                b"PONG",
            ]
        await until(lambda: len(two.ask("CLIENT", "LIST").splitlines()) == 2)  # that one, and this one


class Recorder:
    """Takes whatever it is sent, and keeps it."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []

    def __call__(self, talk: Conversation) -> None:
        while True:
            self.sent.append(talk.command())
            talk.send(b"+OK\r\n")


class TestForeign:
    """A server may name any address as a node. What it gets is what a node gets: user, password, TLS."""

    @pytest.mark.parametrize(
        ("allow", "host"),
        [
            ("127.0.0.1/32", "127.0.0.2"),
            ("10.0.0.0/8", "127.0.0.2"),
            ("", "127.1.0.1"),
            ("*.example", "127.1.0.1"),
            ("127.2.0.0/16", "127.1.0.1"),
        ],
    )
    async def test_a_node_at_an_address_that_is_not_allowed_is_sent_nothing(
        self,
        seed_of: SeedFactory,
        scripted_server: Callable[..., ScriptedServer],
        caplog: pytest.LogCaptureFixture,
        allow: str,
        host: str,
    ) -> None:
        trap = scripted_server(Recorder(), host=host)
        seed = await seed_of(scripted_server(Recorder()).port, SECRET, allow)
        for _ in range(3):
            fine, refused = await seed.ask(
                Command.of("PING"), Command.of("GET", "k", node=f"{host}:{trap.port}")
            )
            assert (fine, refused.code) == (b"OK", "UNREACHABLE")
            assert f"{host}:{trap.port}" in refused.text
            assert "--discover.allow" in refused.text
        assert trap.accepted == 0
        [record] = caplog.records
        assert f"the node {host}:{trap.port} is not dialled: --discover.allow" in record.getMessage()
        assert record.__dict__["addr"] == seed.target.addr
        assert SECRET not in caplog.text

    @pytest.mark.parametrize(
        ("allow", "host"),
        [
            ("", "127.0.0.2"),
            ("127.1.0.0/24", "127.1.0.1"),
            ("127.1.0.1", "127.1.0.1"),
            ("10.0.0.0/8", "127.0.0.1"),
            ("0.0.0.0/0", "127.9.9.9"),
        ],
    )
    async def test_a_node_at_one_that_is_allowed_is_greeted_as_the_target_is(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer], allow: str, host: str
    ) -> None:
        recorder = Recorder()
        node = scripted_server(recorder, host=host)
        seed = await seed_of(scripted_server(Recorder()).port, SECRET, allow)
        assert await seed.ask(Command.of("GET", "k", node=f"{host}:{node.port}")) == [b"OK"]
        assert recorder.sent[0] == [b"AUTH", SECRET.encode()]

    async def test_one_that_is_allowed_no_longer_is_asked_nothing_more(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        recorder = Recorder()
        node = scripted_server(recorder, host="127.1.0.1")
        question = Command.of("GET", "k", node=f"127.1.0.1:{node.port}")
        dialer = Dialer(DialSettings(allowance=parse_allowance("127.1.0.0/16")))
        seed = await seed_of(scripted_server(Recorder()).port, dialer=dialer)
        for _ in range(2):
            assert await seed.ask(question) == [b"OK"]
            dialer.change(same_for_all(DialSettings(allowance=parse_allowance("127.1.0.0/16"))))
        assert node.accepted == 1  # a list that reads the same is no change
        dialer.change(same_for_all(DialSettings(allowance=parse_allowance("127.2.0.0/16"))))
        sent = len(recorder.sent)
        [refused] = await seed.ask(question)
        assert refused.code == "UNREACHABLE"
        await until(lambda: node.finished == 1)
        assert len(recorder.sent) == sent

    async def test_a_name_is_looked_up_once_and_that_address_is_dialled(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        """A name server that answers otherwise the second time gains nothing by it."""
        recorder, trap = Recorder(), scripted_server(Recorder(), host="127.1.0.1")
        node = scripted_server(recorder, host="127.0.0.2")
        asked: list[str] = []

        def look_up(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.2", "127.1.0.1"] if len(asked) == 1 else ["127.1.0.1"]

        seed = await seed_of(
            scripted_server(Recorder()).port, SECRET, dialer=Dialer(resolver=Resolver(look_up=look_up))
        )
        assert await seed.ask(Command.of("GET", "k", node=f"n1.test:{node.port}")) == [b"OK"]
        [refused] = await seed.ask(Command.of("GET", "k", node=f"n2.test:{trap.port}"))
        assert "n2.test (127.1.0.1)" in refused.text
        assert (asked, trap.accepted) == (["n1.test", "n2.test"], 0)

    @pytest.mark.parametrize(
        "host",
        [
            "2130706434",
            "0177.0.0.2",
            "127.2",
            "127.0.0.2.",
            "0x7f.0.0.2",
            "a b",
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.0.1",
            "0.0.0.0",
        ],
    )
    async def test_odd_forms_of_addresses_and_link_local_ones_are_never_dialled(
        self,
        seed_of: SeedFactory,
        scripted_server: Callable[..., ScriptedServer],
        monkeypatch: pytest.MonkeyPatch,
        host: str,
    ) -> None:
        seed = await seed_of(scripted_server(Recorder()).port, SECRET, "0.0.0.0/0,::/0,*")

        async def dial(*args: object, **more: object) -> Connection:
            raise AssertionError("it was dialled")

        monkeypatch.setattr(Dialer, "dial", dial)
        [refused] = await seed.ask(Command.of("PING", node=f"[{host}]:6379"))
        assert refused.code == "UNREACHABLE"
        assert "dialled" in refused.text
        assert "it was" not in refused.text

    async def test_the_log_names_so_many_nodes_and_no_more(
        self,
        seed_of: SeedFactory,
        scripted_server: Callable[..., ScriptedServer],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        seed = await seed_of(scripted_server(Recorder()).port)
        await seed.ask(
            *[Command.of("PING", node=f"127.1.{number // 250}.{number % 250}:6379") for number in range(500)]
        )
        assert len(caplog.records) == LOGGED_MAX

    async def test_a_node_that_is_called_like_the_password_is_not_named_in_the_log(
        self,
        seed_of: SeedFactory,
        scripted_server: Callable[..., ScriptedServer],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        dialer = Dialer(resolver=Resolver(look_up=lambda host: ["127.1.0.1"]))
        seed = await seed_of(scripted_server(Recorder()).port, SECRET, dialer=dialer)
        [refused] = await seed.ask(Command.of("PING", node=f"{SECRET}:6379"))
        assert "the node *** (127.1.0.1):6379 is not dialled" in refused.text
        assert "the node ***" in caplog.text
        assert SECRET not in caplog.text

    async def test_more_nodes_than_a_cluster_has_are_not_asked(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        seed = await seed_of(scripted_server(Recorder()).port)
        count = NODES_MAX + 5
        replies = await seed.ask(
            Command.of("PING"),
            *[Command.of("PING", node=f"127.1.{n // 250}.{n % 250}:6379") for n in range(count)],
        )
        assert replies[0] == b"OK"
        assert [reply.code for reply in replies[1:]] == ["UNREACHABLE"] * count
        assert "more than 1,000 nodes" in replies[-1].text

    async def test_a_node_beyond_the_open_files_is_unreachable(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        nodes = [scripted_server(Recorder()) for _ in range(3)]
        seed = await seed_of(scripted_server(Recorder()).port, dialer=Dialer(descriptors=Descriptors(16)))
        outcome = await seed.ask(*[Command.of("PING", node=node(each.port)) for each in nodes])
        assert sorted(getattr(reply, "code", "OK") for reply in outcome) == ["OK", "OK", "UNREACHABLE"]
        seed.nodes.renew()
        assert await seed.ask(Command.of("PING", node=node(nodes[2].port))) == [b"OK"]

    async def test_nodes_that_a_server_names_take_no_connection_from_targets_nor_from_other_nodes(
        self, seed_of: SeedFactory, scripted_server: Callable[..., ScriptedServer]
    ) -> None:
        descriptors = Descriptors(32)
        dialer = Dialer(descriptors=descriptors)
        nodes = [scripted_server(Recorder()) for _ in range(8)]
        greedy, modest = [await seed_of(scripted_server(Recorder()).port, dialer=dialer) for _ in range(2)]
        everything = [Command.of("PING", node=node(each.port)) for each in nodes]
        for _ in range(2):
            codes = [getattr(reply, "code", "OK") for reply in await greedy.ask(*everything)]
            assert sorted(codes) == ["OK"] * 4 + ["UNREACHABLE"] * 4
        assert await modest.ask(*everything[:2]) == [b"OK", b"OK"]
        assert sum([descriptors.take(number) for number in range(20)]) == 16 - 6
        for number in range(20):
            descriptors.give_back(number)
        await greedy.ask(*everything)
        assert descriptors.nodes_held(greedy.nodes) == 3  # there are others now

    async def test_a_node_that_has_left_gives_its_open_file_back(
        self, seed_of: SeedFactory, redis_server: RedisFactory
    ) -> None:
        one, two = redis_server(), redis_server()
        dialer = Dialer()
        seed = await seed_of(one.port, dialer=dialer)
        await seed.ask(Command.of("PING", node=node(two.port)))
        assert dialer.descriptors.in_use == 1
        two.kill()
        await until(lambda: seed.nodes._links[node(two.port)].closed)
        assert await seed.ask(Command.of("PING")) == [b"PONG"]
        assert dialer.descriptors.in_use == 0

    async def test_a_mistake_of_ours_at_one_node_costs_its_own_replies(
        self,
        seed_of: SeedFactory,
        redis_server: RedisFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        seed = await seed_of(redis_server().port)
        monkeypatch.setattr(Dialer, "dial", lambda *args, **more: 1 / 0)
        lost, own = await seed.ask(Command.of("PING", node=node(free_port())), Command.of("PING"))
        assert (lost.text, own) == ("UNREACHABLE ZeroDivisionError while asking a node", b"PONG")
        assert "ZeroDivisionError" in caplog.text
