"""Commands that go to other nodes of a cluster: each reply in its place, and a node that is gone costs its own replies only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from exporter.connection import Dialer, Link
from exporter.errors import ReplyError, ResetError, TargetError
from exporter.model import Command, Target
from exporter.nodes import Nodes, parse_node
from exporter.replies import Reply
from tests.servers import Conversation, RedisServer, ScriptedServer, free_port
from tests.stock import until

RedisFactory = Callable[..., RedisServer]
SECRET = "s3cret-of-mine"
AMPLE_S, SCANT_S = 20.0, 0.2


class Seed:
    """A target with a link to it, from which commands go out."""

    def __init__(self, target: Target, dialer: Dialer, link: Link) -> None:
        self.target = target
        self.link = link
        self.nodes = Nodes(dialer)

    async def ask(self, *batch: Command, within_s: float = AMPLE_S) -> list[Reply] | TargetError:
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic() + within_s
        self.nodes.scatter(self.target, self.link, batch, deadline, answered.set_result)
        timer = asyncio.get_running_loop().call_later(within_s, self.nodes.abort)
        outcome = await answered
        timer.cancel()
        return outcome


@pytest_asyncio.fixture
async def seed_of() -> AsyncIterator[Callable[[int], object]]:
    seeds: list[Seed] = []

    async def make(port: int, password: str = "") -> Seed:
        target = Target(f"redis://127.0.0.1:{port}", "redis", "127.0.0.1", port, "", 0, password=password)
        dialer = Dialer()
        seeds.append(Seed(target, dialer, await dialer.dial(target, time.monotonic() + AMPLE_S)))
        return seeds[-1]

    yield make
    for seed in seeds:
        await asyncio.gather(*seed.nodes.close(), return_exceptions=True)
        seed.link.close()


def node(port: int) -> str:
    return f"127.0.0.1:{port}"


class TestScatter:
    async def test_each_reply_stands_in_its_commands_place(self, seed_of, redis_server: RedisFactory) -> None:
        one, two, three = (redis_server("--requirepass", SECRET) for _ in range(3))
        seed = await seed_of(one.port, SECRET)
        batch = [Command.of("CONFIG", "GET", "port", node=at) for at in (node(three.port), "", node(two.port), "", node(three.port))]
        for _ in range(2):
            outcome = await seed.ask(*batch)
            assert [int(reply[1]) for reply in outcome] == [three.port, one.port, two.port, one.port, three.port]

    async def test_links_are_kept(self, seed_of, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        ids = [await seed.ask(Command.of("CLIENT", "ID", node=node(two.port))) for _ in range(3)]
        assert ids[0] == ids[1] == ids[2]

    async def test_a_node_that_is_gone_costs_its_own_replies(self, seed_of, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [Command.of("PING", node=node(two.port)), Command.of("PING"), Command.of("PING", node=node(free_port()))]
        fine, own, gone = await seed.ask(*batch)
        assert (fine, own, gone.code) == (b"PONG", b"PONG", "UNREACHABLE")
        two.kill()
        gone, own, also_gone = await seed.ask(*batch)
        assert (gone.code, own, also_gone.code) == ("UNREACHABLE", b"PONG", "UNREACHABLE")
        two.start()
        back, own, _ = await seed.ask(*batch)
        assert (back, own) == (b"PONG", b"PONG")

    async def test_a_node_that_hangs_is_given_up_at_the_deadline(self, seed_of, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [Command.of("PING", node=node(two.port)), Command.of("PING")]
        await seed.ask(*batch)
        two.pause()
        hung, own = await seed.ask(*batch, within_s=SCANT_S)
        assert (hung.code, own) == ("UNREACHABLE", b"PONG")

    async def test_a_node_that_is_asked_after_all_were_given_up_has_until_the_deadline(self, seed_of, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        batch = [Command.of("PING", node=node(two.port)), Command.of("PING")]
        await seed.ask(*batch)
        two.pause()
        answered: asyncio.Future[list[Reply] | TargetError] = asyncio.get_running_loop().create_future()
        seed.nodes.scatter(seed.target, seed.link, batch, time.monotonic() + SCANT_S, answered.set_result)
        seed.nodes.abort()  # before the node's task has begun
        hung, own = await answered
        assert (hung.code, own) == ("UNREACHABLE", b"PONG")

    async def test_what_is_no_node_is_unreachable(self, seed_of, redis_server: RedisFactory) -> None:
        seed = await seed_of(redis_server().port)
        [reply] = await seed.ask(Command.of("PING", node="nowhere"))
        assert isinstance(reply, ReplyError)
        assert reply.text == "UNREACHABLE 'nowhere' is no host:port"

    async def test_an_error_reply_is_a_reply(self, seed_of, redis_server: RedisFactory) -> None:
        one, two = redis_server(), redis_server()
        seed = await seed_of(one.port)
        [reply] = await seed.ask(Command.of("NOSUCH", node=node(two.port)))
        assert reply.code == "ERR"

    async def test_the_targets_own_link_failing_fails_the_batch_and_the_next_one_is_whole(
        self, seed_of, redis_server: RedisFactory, scripted_server: Callable[..., ScriptedServer]
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
            assert await seed.ask(Command.of("PING"), Command.of("PING", node=node(two.port))) == [b"PONG", b"PONG"]
        await until(lambda: len(two.ask("CLIENT", "LIST").splitlines()) == 2)  # that one, and this one


@pytest.mark.parametrize(
    ("text", "parts"), [("h:6379", ("h", 6379)), ("10.0.0.1:7000", ("10.0.0.1", 7000)), ("[::1]:7", ("::1", 7)), ("::1:7", ("::1", 7))]
)
def test_a_node_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert parse_node(text) == parts


@pytest.mark.parametrize("text", ["", "h", ":1", "h:", "h:0", "h:65536", "h:x", "h:-1"])
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError, match="is no host:port"):
        parse_node(text)
