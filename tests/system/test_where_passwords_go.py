"""Where passwords go, row by row of the table in docs/credentials.md. All servers keep what they are sent.

Servers at 127.0.0.x are near each other, those at 127.1.0.1 are foreign to them.
"""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.recording_server import Answer, Facts, RecordingServer, RecordingWeb, array, number, texts, told
from tests.servers import wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import bulk
from tests.watched_network import NAMES_VARIABLE

HERE, NEAR, FOREIGN = "127.0.0.1", "127.0.0.2", "127.1.0.1"
SECRET = "pw-of-the-seed"
#: where clouds keep their metadata, nobody, the loopback of another machine; and forms of 127.1.0.1 that some
#: programs read
NEVER = (
    "169.254.169.254",
    "fe80::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f01:1",
    "0.0.0.0",
    "224.0.0.1",
    "2130771969",
    "0177.1.0.1",
    "0x7f.1.0.1",
    "127.65537",
)
#: forms of 127.1.0.1, and an address of a network for documentation
FOREIGN_FORMS = (FOREIGN, f"::ffff:{FOREIGN}", "::ffff:7f01:1", "192.0.2.1")
FAST = (
    "--discover.interval=1s",
    "--discover.grace=0s",
    "--poll.standard-interval=1s",
    "--poll.slow-interval=1s",
    "--connection-timeout=2s",
    "--log-format=json",
)

Recorders = Callable[..., RecordingServer]


@pytest.fixture
def recorder() -> Iterator[Recorders]:
    with ExitStack() as cleanup:

        def start(host: str = HERE, answer: Answer | None = None, port: int = 0) -> RecordingServer:
            server = RecordingServer(host, answer, port)
            cleanup.callback(server.close)
            return server

        yield start


class Watched:
    """The program, and what it connected to."""

    def __init__(self, start: ExporterFactory, folder: Path) -> None:
        self._start = start
        self._dials = folder / "dials"
        self._names = folder / "names.json"
        self.program: Exporter

    def run(self, *flags: str, names: dict[str, list[str]] | None = None) -> Exporter:
        """`names` are hosts and their addresses, one after the other."""
        self._names.write_text(json.dumps(names or {}))
        self.program = self._start(
            *flags,
            *FAST,
            module=("tests.watched_network", str(self._dials)),
            environ={NAMES_VARIABLE: str(self._names)},
        )
        return self.program

    @property
    def dialled(self) -> set[str]:
        """`host:port` of all connections that were begun."""
        return {":".join(line.split()) for line in self._dials.read_text().splitlines()}

    @property
    def log(self) -> str:
        return self.program.log.read_text()

    def scrape(self, target: str, **more: str) -> tuple[int, str]:
        query = "&".join(f"{name}={quote(value)}" for name, value in {"target": target, **more}.items())
        try:
            return 200, self.program.get(f"/scrape?{query}")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


@pytest.fixture
def watched(exporter: ExporterFactory, tmp_path: Path) -> Watched:
    return Watched(exporter, tmp_path)


# -- how servers name others

Names = Sequence[tuple[str, int]]
CLUSTER: Facts = {"cluster_enabled": 1, "redis_mode": "cluster"}


def nodes(names: Names, place: str = "{host}:{port}@1") -> Answer:
    lines = [
        f"{at:040x} {place.format(host=host, port=port)} master - 0 0 1 connected {at}\n"
        for at, (host, port) in enumerate(names)
    ]
    return told({"CLUSTER NODES": bulk("".join(lines).encode())}, CLUSTER)


def announced(names: Names) -> Answer:
    """The nodes announce names, as from Redis 7.0 on."""
    return nodes(names, f"{HERE}:{{port}}@1,{{host}}")


def slots(names: Names) -> Answer:
    share = 16384 // len(names)
    rows = [
        array(number(at * share), number(at * share + share - 1), array(bulk(host.encode()), number(port)))
        for at, (host, port) in enumerate(names)
    ]
    return told({"CLUSTER SLOTS": array(*rows)}, CLUSTER)


def redirection(word: str) -> Callable[[Names], Answer]:
    """The key K0 is at the first name, and so on."""

    def way(names: Names) -> Answer:
        all_here = array(array(number(0), number(16383), array(bulk(b""), number(1))))
        of_server = told({"CLUSTER SLOTS": all_here}, CLUSTER)
        places = {f"K{at}": f"-{word} 1 {host}:{port}\r\n".encode() for at, (host, port) in enumerate(names)}

        def answer(words: Sequence[str]) -> bytes | None:
            return next((places[each] for each in words if each in places), None) or of_server(words)

        return answer

    return way


def sentinel(what: str) -> Callable[[Names], Answer]:
    """A Sentinel that lists these masters, replicas or other Sentinels."""

    def way(names: Names) -> Answer:
        lists = {each: array() for each in ("MASTERS", "REPLICAS", "SENTINELS")}
        if what != "MASTERS":
            lists["MASTERS"] = listed([("", 0)])
        lists[what] = listed(names)
        return told({f"SENTINEL {each}": reply for each, reply in lists.items()}, {"redis_mode": "sentinel"})

    return way


def listed(names: Names) -> bytes:
    entries = []
    for at, (host, port) in enumerate(names):
        entry = {"name": f"m{at}", "ip": host, "port": str(port), "runid": f"{at:040x}", "flags": "master"}
        entries.append(texts(*(text for pair in entry.items() for text in pair)))
    return array(*entries)


def replicas(names: Names) -> Answer:
    fields = {f"slave{at}": f"ip={host},port={port},state=online" for at, (host, port) in enumerate(names)}
    return told({}, {"# Replication\r\nrole": "master", **fields})


def master(names: Names) -> Answer:
    [(host, port)] = names
    fields: Facts = {"# Replication\r\nrole": "slave", "master_host": host, "master_port": port}
    return told({}, fields)


@dataclass(frozen=True)
class Way:
    """How a server names others, and the flags that make the exporter listen. `names_one`: one at a time."""

    answer: Callable[[Names], Answer]
    flags: tuple[str, ...]
    names_one: bool = False


KEYS = ("--is-cluster", "--check-single-keys=" + ",".join(f"K{at}" for at in range(20)))
WAYS = {
    "CLUSTER NODES": Way(nodes, ("--discover=cluster",)),
    "CLUSTER SLOTS": Way(slots, (*KEYS, "--check-keys=*")),
    "MOVED": Way(redirection("MOVED"), KEYS),
    "ASK": Way(redirection("ASK"), KEYS),
    "SENTINEL MASTERS": Way(sentinel("MASTERS"), ("--discover=sentinel",)),
    "SENTINEL REPLICAS": Way(sentinel("REPLICAS"), ("--discover=sentinel",)),
    "SENTINEL SENTINELS": Way(sentinel("SENTINELS"), ("--discover=sentinel",)),
    "replicas": Way(replicas, ("--discover=replicas",)),
    "the master": Way(master, ("--discover=replicas",), names_one=True),
}
#: where names of hosts may stand
OF_NAMES = {**WAYS, "CLUSTER NODES": Way(announced, ("--discover=cluster", "--cluster-discover-hostnames"))}
#: those by which a server says where keys are
OF_KEYS = ("CLUSTER SLOTS", "MOVED", "ASK")
EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


class Seeds:
    """Configured servers that name others; several of them where each can name one only."""

    def __init__(self, recorder: Recorders, way: Way, names: Names) -> None:
        parts = [[each] for each in names] if way.names_one else [names]
        self._servers = [recorder(HERE, way.answer(part)) for part in parts]
        self.places = {server.place for server in self._servers}
        addrs = [f"redis://watcher:{SECRET}@{place}" for place in self.places]
        self.flags = (f"--redis.addr={','.join(addrs)}", *way.flags)

    def hear_again(self) -> None:
        for server in self._servers:
            server.hears_again()


class TestDiscovered:
    """May be dialled if its address lies in the seed's --discover.allow. Gets what the seed gets."""

    @EVERY_WAY
    def test_a_near_one_gets_the_login_of_the_seed_and_a_foreign_one_nothing(
        self, recorder: Recorders, watched: Watched, way: Way
    ) -> None:
        near, foreign = recorder(NEAR), recorder(FOREIGN)
        bad = [(host, foreign.port) for host in (*FOREIGN_FORMS, *NEVER)]
        seeds = Seeds(recorder, way, [*bad, (NEAR, near.port)])
        program = watched.run(*seeds.flags)
        wait_until(lambda: near.logins, "the login at the near one")
        near.hears_again()
        assert near.logins == {("watcher", SECRET)}
        assert foreign.accepted == 0
        assert watched.dialled == {*seeds.places, near.place}
        assert SECRET not in watched.log + program.get()

    @EVERY_WAY
    def test_some_addresses_are_never_dialled_whatever_is_allowed(
        self, recorder: Recorders, watched: Watched, way: Way
    ) -> None:
        foreign = recorder(FOREIGN)
        bad = [(host, foreign.port) for host in NEVER]
        seeds = Seeds(recorder, way, [*bad, (FOREIGN, foreign.port)])
        watched.run(*seeds.flags, "--discover.allow=0.0.0.0/0,::/0,*")
        wait_until(lambda: foreign.logins, "the login at the one that is allowed")
        foreign.hears_again()
        assert foreign.logins == {("watcher", SECRET)}
        assert watched.dialled == {*seeds.places, foreign.place}

    @pytest.mark.parametrize("way", OF_NAMES.values(), ids=OF_NAMES)
    def test_a_name_that_leads_elsewhere_the_second_time_takes_nothing_along(
        self, recorder: Recorders, watched: Watched, way: Way
    ) -> None:
        near = recorder(NEAR)
        foreign = recorder(FOREIGN, port=near.port)
        seeds = Seeds(recorder, way, [("moves.test", near.port)])
        watched.run(*seeds.flags, "--connection-max-age=1s", names={"moves.test": [NEAR, FOREIGN]})
        wait_until(lambda: near.logins, "the login at the first address")
        near.close()  # the name is looked up again now, if not before
        wait_until(lambda: f"moves.test ({FOREIGN})" in watched.log, "the second address is refused")
        seeds.hear_again()
        assert near.logins == {("watcher", SECRET)}
        assert foreign.accepted == 0
        assert watched.dialled == {*seeds.places, near.place}


@dataclass
class Bench:
    """One program that allows what is near, for many requests."""

    watched: Watched
    near: RecordingServer
    foreign: RecordingServer
    socket: RecordingServer

    @property
    def at(self) -> dict[str, object]:
        return {"near": self.near.port, "foreign": self.foreign.port, "socket": self.socket.place}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with ExitStack() as cleanup:

        def start(*flags: str, **settings: Any) -> Exporter:
            program = Exporter(folder / "log", *flags, **settings)
            cleanup.callback(program.stop)
            return program

        servers = [RecordingServer(host) for host in (NEAR, FOREIGN, str(folder / "socket"))]
        for server in servers:
            cleanup.callback(server.close)
        watched = Watched(start, folder)
        watched.run(*ALLOW)
        yield Bench(watched, *servers)


# -- targets that are configured, and targets that requests name


GROUPS = """
groups:
  one: {password: pw-of-the-group}
  other: {user: g, password: pw-of-the-other-group, allow: [127.0.0.3]}
"""
ENTRIES = """
redis_instances:
- {{addr: "{entry}", user: e, password: pw-of-the-entry}}
- {{addr: "{group}", group: one}}
- {{addr: "{keyed}"}}
- {{addr: "{bare}"}}
"""
COMMON = ("--redis.user=common", "--redis.password=pw-of-the-flag")
ALLOW = ("--redis.addr=", "--scrape.allow=127.0.0.0/24", *COMMON)


def file_sd(path: Path, *addrs: str, group: str = "") -> None:
    labels = {"__group__": group} if group else {}
    path.write_text(json.dumps([{"targets": list(addrs), "labels": labels}]))


class TestConfigured:
    """May always be dialled. Gets its own, and the common ones only if it comes from --redis.addr."""

    def test_each_gets_its_own_and_nobody_elses(
        self, recorder: Recorders, watched: Watched, tmp_path: Path
    ) -> None:
        names = (
            "flag",
            "own",
            "entry",
            "group",
            "keyed",
            "bare",
            "listed",
            "grouped",
            "served",
            "link",
            "away",
        )
        hosts = {"link": str(tmp_path / "socket"), "away": FOREIGN}
        at = {name: recorder(hosts.get(name, HERE)) for name in names}
        files = {"config.file": tmp_path / "config.yml", "redis.password-file": tmp_path / "passwords.json"}
        files["config.file"].write_text(
            GROUPS + ENTRIES.format(**{name: each.addr for name, each in at.items()})
        )
        files["redis.password-file"].write_text(json.dumps({at["keyed"].place: "pw-of-the-key"}))
        file_sd(tmp_path / "sd.json", at["listed"].addr, at["away"].place)
        file_sd(tmp_path / "sd-group.json", at["grouped"].addr, group="one")
        with RecordingWeb([{"targets": [at["served"].addr]}]) as inventory:
            own = at["own"].addr.replace("//", "//o:pw-of-the-address@")
            link = at["link"].addr.replace("unix://", "unix://l:pw-of-the-socket@")
            watched.run(
                f"--redis.addr={at['flag'].addr},{own},{link}",
                *COMMON,
                *(f"--{flag}={file}" for flag, file in files.items()),
                f"--targets.file-sd={tmp_path}/sd*.json",
                f"--targets.http-sd={inventory.url}",
            )
            for server in at.values():
                server.hears_again()
        assert {name: server.logins for name, server in at.items()} == {
            "flag": {("common", "pw-of-the-flag")},
            "own": {("o", "pw-of-the-address")},
            "link": {("l", "pw-of-the-socket")},
            "entry": {("e", "pw-of-the-entry")},
            "group": {("pw-of-the-group",)},
            "keyed": {("pw-of-the-key",)},
            "grouped": {("pw-of-the-group",)},
            "bare": set(),
            "listed": set(),
            "served": set(),
            "away": set(),
        }


def with_user(server: RecordingServer) -> str:
    return server.addr.replace("//", "//u:pw-of-the-request@")


class TestRequestedFromAList:
    """With --scrape.allow: dialled if it matches, at the address that was checked."""

    def test_what_each_gets(self, recorder: Recorders, watched: Watched, tmp_path: Path) -> None:
        plain, named, keyed, own, foreign = map(
            recorder, (NEAR, "127.0.0.3", "127.0.0.4", "127.0.0.5", FOREIGN)
        )
        config, passwords = tmp_path / "config.yml", tmp_path / "passwords.json"
        config.write_text(GROUPS)
        passwords.write_text(json.dumps({keyed.place: "pw-of-the-key"}))
        program = watched.run(*ALLOW, f"--config.file={config}", f"--redis.password-file={passwords}")
        answers = [
            (200, watched.scrape(plain.addr)),
            (200, watched.scrape(keyed.addr)),
            (200, watched.scrape(with_user(own))),
            (200, watched.scrape(named.addr, auth="other")),
            (400, watched.scrape(with_user(named), auth="other")),
            (403, watched.scrape(plain.addr, auth="other")),  # the group does not allow it
            (403, watched.scrape(named.addr, auth="one")),  # a group that allows nothing
            (403, watched.scrape(foreign.addr, auth="other")),
            (403, watched.scrape(foreign.addr)),
            (403, watched.scrape(with_user(foreign))),
        ]
        assert [wanted for wanted, _ in answers] == [status for _, (status, _) in answers]
        assert plain.logins == {("common", "pw-of-the-flag")}
        assert keyed.logins == {("pw-of-the-key",)}
        assert own.logins == {("u", "pw-of-the-request")}
        assert named.logins == {("g", "pw-of-the-other-group")}
        assert foreign.accepted == 0
        told = [body for _, (_, body) in answers] + [program.get(path) for path in ("/metrics", "/", "/sd")]
        assert [text for text in (*told, watched.log) if "pw-of" in text] == []

    @pytest.mark.parametrize("way", [WAYS[name] for name in OF_KEYS], ids=OF_KEYS)
    def test_a_node_that_it_names_is_dialled_only_if_requests_may_name_it_too(
        self, recorder: Recorders, watched: Watched, tmp_path: Path, way: Way
    ) -> None:
        """With credentials by name only where their group allows it, too."""
        hosts = (NEAR, "127.0.0.3", "127.0.0.4")
        near, allowed, grouped = map(recorder, hosts)
        places = [(host, server.port) for host, server in zip(hosts, (near, allowed, grouped), strict=True)]
        plain, named = recorder(HERE, way.answer(places)), recorder("127.0.0.5", way.answer(places))
        config = tmp_path / "config.yml"
        config.write_text("groups: {g: {user: g, password: pw-of-g, allow: [127.0.0.4, 127.0.0.5]}}")
        watched.run(
            "--redis.addr=",
            "--scrape.allow=127.0.0.1,127.0.0.3,127.0.0.4,127.0.0.5",
            f"--config.file={config}",
            *COMMON,
            *way.flags,
        )
        assert watched.scrape(plain.addr)[0] == watched.scrape(named.addr, auth="g")[0] == 200
        wait_until(lambda: allowed.logins and len(grouped.logins) == 2, "the logins at the nodes")
        for server in (plain, named):
            server.hears_again()
        assert allowed.logins == {("common", "pw-of-the-flag")}
        assert grouped.logins == {("common", "pw-of-the-flag"), ("g", "pw-of-g")}
        assert near.accepted == 0
        assert watched.dialled == {server.place for server in (plain, named, allowed, grouped)}

    @pytest.mark.parametrize("answers", [[NEAR, FOREIGN], [NEAR, NEAR, FOREIGN], [FOREIGN]])
    def test_a_name_is_checked_at_each_dial(
        self, recorder: Recorders, watched: Watched, answers: list[str]
    ) -> None:
        """Once for the answer to the request, then for each connection."""
        near = recorder(NEAR)
        foreign = recorder(FOREIGN, port=near.port)
        watched.run(*ALLOW, "--connection-max-age=1s", names={"moves.test": answers})
        status, _ = watched.scrape(f"redis://moves.test:{near.port}")
        assert status == (403 if len(answers) == 1 else 200)
        wait_until(lambda: f"does not hold its address ({FOREIGN})" in watched.log, "the refusal")
        assert len(near.logins) == len(answers) // 3
        assert foreign.accepted == 0
        assert watched.dialled <= {near.place}

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ("redis://[::ffff:127.0.0.2]:{near}", 200),  # compared as IPv4, and dialled as such
            ("redis://[::ffff:7f00:2]:{near}", 200),
            ("redis://[::ffff:127.1.0.1]:{foreign}", 403),
            ("redis://[::ffff:7f01:1]:{foreign}", 403),
            ("redis://[64:ff9b::7f00:2]:{near}", 403),
            ("redis://2130706434:{near}", 400),
            ("redis://0x7f000002:{near}", 400),
            ("redis://0177.0.0.2:{near}", 400),
            ("redis://127.2:{near}", 400),
            ("redis://0:{near}", 400),
            ("redis://2130771969:{foreign}", 400),
            ("redis://169.254.169.254:80", 403),
            ("redis://[fe80::1]:80", 403),
            # what is before the last @ is user and password, whatever it looks like
            ("redis://127.0.0.2:{near}@127.1.0.1:{foreign}", 403),
            ("redis://127.0.0.2%40127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2:{near}@@127.1.0.1:{foreign}", 403),
            ("redis://u:p@127.0.0.2:{near}@127.1.0.1:{foreign}", 403),
            ("redis://u:p@127.1.0.1:{foreign}@127.0.0.2:{near}", 200),
            ("redis://127.0.0.2:{near}#@127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2:{near}/@127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2:{near}?@127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2:{near}\\@127.1.0.1:{foreign}", 403),
            ("redis://127.1.0.1:{foreign}\\@127.0.0.2:{near}", 200),
            ("redis://127.0.0.2:{near},127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2:{near} 127.1.0.1:{foreign}", 400),
            ("redis://127.0.0.2\t.127.1.0.1:{foreign}", 400),
            ("redis:////127.1.0.1:{foreign}", 400),
            ("redis://[127.1.0.1]:{foreign}", 400),
            ("http://127.0.0.2:{near}@127.1.0.1:{foreign}", 400),
            ("127.0.0.2:{near}@127.1.0.1:{foreign}", 403),
            ("unix://{socket}", 403),
            ("unix://u:p@{socket}", 403),
            ("unix:{socket}", 400),
            ("{socket}", 400),
        ],
    )
    def test_what_is_dialled_is_what_was_checked_however_it_is_written(
        self, bench: Bench, target: str, status: int
    ) -> None:
        before = bench.near.accepted
        found, body = bench.watched.scrape(target.format(**bench.at))
        assert found == status, body
        assert bench.near.accepted >= 1 if status == 200 else bench.near.accepted == before
        assert bench.foreign.accepted == bench.socket.accepted == 0
        assert bench.watched.dialled <= {bench.near.place}


class TestRequestedByAnybody:
    """Without --scrape.allow, and no target in --redis.addr: dialled at all addresses but link-local ones.
    Gets what the password file has for it."""

    def test_what_each_gets(self, recorder: Recorders, watched: Watched, tmp_path: Path) -> None:
        keyed, own, bare = (recorder(host) for host in (NEAR, "127.0.0.5", FOREIGN))
        locked = recorder(FOREIGN, lambda words: b"-NOAUTH Authentication required.\r\n")
        config, passwords = tmp_path / "config.yml", tmp_path / "passwords.json"
        config.write_text(GROUPS)
        passwords.write_text(json.dumps({keyed.place: "pw-of-the-key"}))
        watched.run("--redis.addr=", *COMMON, f"--config.file={config}", f"--redis.password-file={passwords}")
        wait_until(lambda: "--scrape.allow" in watched.log, "the warning at start")
        for server in (keyed, bare, locked):
            assert watched.scrape(server.addr)[0] == 200
        assert watched.scrape(with_user(own))[0] == 200
        status, page = watched.scrape(locked.addr)
        assert status == 200
        assert 'redis_exporter_target_down{reason="auth"} 1' in page
        wait_until(
            lambda: "without --scrape.allow it gets only" in watched.log, "the log says how it gets more"
        )
        assert watched.scrape("redis://127.0.0.3:1", auth="other")[0] == 403
        for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"):
            assert watched.scrape(f"redis://{host}:{bare.port}")[0] == 403
        assert keyed.logins == {("pw-of-the-key",)}
        assert own.logins == {("u", "pw-of-the-request")}
        assert bare.logins == locked.logins == set()
        assert watched.dialled == {server.place for server in (keyed, own, bare, locked)}

    def test_one_password_in_the_file_names_no_target(
        self, recorder: Recorders, watched: Watched, tmp_path: Path
    ) -> None:
        bare, passwords = recorder(NEAR), tmp_path / "password"
        passwords.write_text("pw-of-the-file")
        watched.run("--redis.addr=", f"--redis.password-file={passwords}")
        assert watched.scrape(bare.addr)[0] == 200
        assert bare.logins == set()


class TestRequestedOtherwise:
    """Not dialled: 403."""

    def test_only_configured_targets_are_found(
        self, recorder: Recorders, watched: Watched, tmp_path: Path
    ) -> None:
        seed, near, socket = recorder(), recorder(NEAR), recorder(str(tmp_path / "socket"))
        watched.run(f"--redis.addr={seed.addr}", *COMMON)
        for target in (near.addr, with_user(near), socket.addr, f"127.0.0.2:{near.port}"):
            status, body = watched.scrape(target)
            flag = "--redis.addr" if target == socket.addr else "--scrape.allow"
            assert (status, flag in body) == (403, True), body
        assert watched.scrape(seed.addr)[0] == 200
        assert watched.dialled == {seed.place}
        assert near.accepted == socket.accepted == 0

    def test_a_foreign_node_of_a_cluster_is_none_of_them(self, recorder: Recorders, watched: Watched) -> None:
        near, foreign = recorder(NEAR), recorder(FOREIGN)
        seed = recorder(HERE, nodes([(FOREIGN, foreign.port), (NEAR, near.port)]))
        watched.run(f"--redis.addr={seed.addr}", *COMMON, "--is-cluster")
        wait_until(lambda: watched.scrape(near.addr)[0] == 200, "the near node")
        status, body = watched.scrape(foreign.addr)
        assert (status, "--discover.allow" in body) == (403, True)
        assert near.logins == {("common", "pw-of-the-flag")}
        assert foreign.accepted == 0


class TestRedirections:
    """Those of HTTP. Those of clusters are above."""

    def test_a_list_of_targets_that_leads_elsewhere_takes_no_password_along(self, watched: Watched) -> None:
        with RecordingWeb([], host=FOREIGN) as foreign, RecordingWeb([], leads_to=foreign.url) as inventory:
            url = inventory.url.replace("//", "//u:pw-of-the-list@")
            watched.run("--redis.addr=", f"--targets.http-sd={url}", "--targets.refresh-interval=1s")
            wait_until(lambda: len(inventory.sent) > 2, "several requests")
            assert "Authorization" in inventory.sent[0]
            assert foreign.sent == []
            assert "pw-of" not in watched.log
