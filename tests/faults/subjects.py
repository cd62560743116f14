"""Servers that are well until a fault begins, and again when it ends; each kind of fault has its kind of
server."""

from __future__ import annotations

import binascii
import re
import secrets
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path

import hiredis

from tests.clusters import SLOTS, Cluster, Sentinel, id_of
from tests.faults.look import Look, samples, values_of
from tests.faults.names import FAULTY_NAMES, Names
from tests.faults.said import Replies, Words
from tests.faults.world import World
from tests.replay import Replay
from tests.servers import (
    HOST,
    Certificates,
    Conversation,
    FullServer,
    RedisServer,
    Script,
    ScriptedServer,
    make_certificates,
    wait_until,
)

#: what scripted servers answer while they are well: a recorded server
VERSION = "redis-7.0.15"
OTHER_HOST = "127.0.0.2"


@dataclass
class Place:
    """Where servers are started: a folder, and what they share."""

    folder: Path
    #: clocks and disk of the exporter, where a fault needs them
    world: World | None = None
    _folders: int = field(default=0, init=False)

    @cached_property
    def names(self) -> Names:
        return Names(self.folder / "names.json")

    @cached_property
    def certificates(self) -> Certificates:
        return make_certificates(self.new_folder())

    @cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Certificates and their keys, by what is wrong with them. "": no TLS."""
        files = self.certificates
        return {
            "": ("", ""),
            "right": (files.server, files.server_key),
            "expired": _issue(files, "expired", "subjectAltName = IP:127.0.0.1", days=-1),
            "of another name": _issue(files, "another", "subjectAltName = DNS:other.test", days=2),
            "of an unknown authority": (files.other_ca, str(Path(files.other_ca).with_suffix(".key"))),
        }

    def new_folder(self) -> Path:
        self._folders += 1
        made = self.folder / f"place-{self._folders}"
        made.mkdir(parents=True)
        return made


def _issue(files: Certificates, name: str, extensions: str, days: int) -> tuple[str, str]:
    """A certificate that the known authority gave to a server."""
    folder = Path(files.ca).parent
    certificate, key, asked, extra = (str(folder / f"{name}.{end}") for end in ("crt", "key", "csr", "ext"))
    Path(extra).write_text(extensions)
    request = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-subj", f"/CN={name}", "-keyout", key, "-out", asked]
    issued = ["openssl", "x509", "-req", "-in", asked, "-days", str(days), "-extfile", extra]
    issued += ["-CA", files.ca, "-CAkey", str(Path(files.ca).with_suffix(".key")), "-CAcreateserial"]
    for command in (request, [*issued, "-out", certificate]):
        subprocess.run(command, check=True, capture_output=True)
    return certificate, key


class Subject(ABC):
    """What a fault befalls: targets at `addrs`, with what the exporter needs to watch them in `flags`.

    `hits` counts how often the exporter has met the fault that lasts, as far as that is counted.
    """

    addrs: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    hits = 0

    @abstractmethod
    def begin(self) -> None:
        """Let the fault begin."""

    @abstractmethod
    def end(self) -> None:
        """Let it end."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything, in whatever state it is."""

    def left_behind(self) -> Sequence[str]:
        """What the exporter has left that ended in the middle of the fault, and should not have."""
        return ()

    def is_seen(self, look: Look, reason: str) -> bool:
        """Whether a page shows the fault. Without a reason the targets stay up."""
        if reason:
            return all(look.reasons.get(addr) == reason and not look.up[addr] for addr in self.addrs)
        return self.hits > 0 and self.is_well(look)

    def is_well(self, look: Look) -> bool:
        """Whether a page shows that all is well."""
        return all(look.up.get(addr, False) for addr in self.addrs)


Start = Callable[[Place], Subject]
#: the family of a series, one of its labels, and whether its value is 0
Series = tuple[bytes, str, bool]


@cache
def _recorded(words: Words) -> bytes:
    """The reply of a server that is well. It says the same each time."""
    return Replay(VERSION).answer(list(words))


#: whose data a server on record has: those here have data of their own
_REPLICATION_ID = re.compile(rb"master_replid:([0-9a-f]{40})")


class Scripted(Subject):
    """A server that follows a script. While the fault lasts `replies` says what is said to a command, or
    `script` has the whole connection, or replies to commands that come together are put in another
    `order`."""

    def __init__(
        self,
        place: Place,
        *,
        replies: Replies = lambda words, answer: None,
        script: Script | None = None,
        order: Callable[[Sequence[bytes]], Sequence[bytes]] | None = None,
        shows: Series | None = None,
    ) -> None:
        self._replies = replies
        self._script = script
        self._order = order
        self._shows = shows
        self._lasts = False
        self._is_mended = threading.Event()
        self._replication_id = b"master_replid:" + secrets.token_hex(20).encode()
        self.server = ScriptedServer(self._serve)
        self.addrs = (f"redis://{HOST}:{self.server.port}",)

    def begin(self) -> None:
        self.hits = 0
        self._is_mended.clear()
        self._lasts = True
        if self._script is not None:
            self.server.hang_up()

    def end(self) -> None:
        self._lasts = False
        self._is_mended.set()
        self.server.hang_up()

    def close(self) -> None:
        self.end()
        self.server.close()

    def is_seen(self, look: Look, reason: str) -> bool:
        """With the series that it `shows` on the page."""
        if self._shows is None:
            return super().is_seen(look, reason)
        family, label, is_0 = self._shows
        values = values_of(look.page, family, self.addrs[0], label)
        return any((value == 0) is is_0 for value in values) and super().is_seen(look, reason)

    def _answer(self, words: Words) -> bytes:
        return _REPLICATION_ID.sub(self._replication_id, _recorded(words))

    def _serve(self, talk: Conversation) -> None:
        while True:
            if self._lasts and self._script is not None:
                self.hits += 1
                self._script(talk)
                return
            try:
                batch = [tuple(word.decode() for word in words) for words in talk.commands()]
            except hiredis.ProtocolError:  # as Redis does, with what is no command
                talk.send(b"-ERR Protocol error\r\n")
                return
            if not self._lasts:
                talk.send(b"".join(map(self._answer, batch)))
            elif self._order is not None:
                self.hits += len(batch) > 1
                talk.send(b"".join(self._order([self._answer(words) for words in batch])))
            else:
                for words in batch:
                    self._reply(talk, words)

    def _reply(self, talk: Conversation, words: Words) -> None:
        said = self._replies(words, self._answer)
        if said is None:
            talk.send(self._answer(words))
            return
        self.hits += 1
        for each in said:
            if not self._lasts:
                raise EOFError
            if isinstance(each, bytes):
                talk.send(each)
            elif callable(each):
                each(talk)
            else:
                self._is_mended.wait(each)


class Certified(Scripted):
    """A server that shows one certificate while it is well, and another one while it is not: see
    `Place.pairs`."""

    def __init__(self, place: Place, *, well: str, unwell: str) -> None:
        super().__init__(place)
        self._pairs = place.pairs[well], place.pairs[unwell]
        self.server.show(*self._pairs[0])
        self.addrs = (f"{'rediss' if well else 'redis'}://{HOST}:{self.server.port}",)
        self.flags = (f"--tls-ca-cert-file={place.certificates.ca}",)

    def begin(self) -> None:
        self.server.show(*self._pairs[1])
        self.server.hang_up()

    def end(self) -> None:
        self.server.show(*self._pairs[0])
        self.server.hang_up()


class BlackHole(Subject):
    """A server that becomes one whose packets are dropped. Its databases are `count` targets."""

    def __init__(self, place: Place, count: int = 1) -> None:
        self._server = RedisServer(place.new_folder(), "--databases", str(count)).start()
        self._hole: FullServer | None = None
        address = f"redis://{HOST}:{self._server.port}"
        self.addrs = (address, *(f"{address}/{number}" for number in range(1, count)))

    def begin(self) -> None:
        self._server.kill()
        self._hole = FullServer(self._server.port)

    def end(self) -> None:
        if self._hole is not None:
            self._hole.close()
            self._hole = None
            self._server.start()

    def close(self) -> None:
        if self._hole is not None:
            self._hole.close()
        self._server.stop()


class Named(Scripted):
    """A server that is named, and a name that comes to stand for something else: see `Names.set`."""

    flags = ("--connection-max-age=1s",)

    def __init__(self, place: Place, *, name: str, becomes: str) -> None:
        super().__init__(place)
        self._names, self._becomes, self._name = place.names, becomes, f"{name}{FAULTY_NAMES}"
        self._names.set(self._name, HOST)
        self.addrs = (f"redis://{self._name}:{self.server.port}",)
        self.other: ScriptedServer | None = None
        self._accepted_before = 0
        if becomes == OTHER_HOST:
            self.other = ScriptedServer(self._serve, host=OTHER_HOST, port=self.server.port)

    def begin(self) -> None:
        self._accepted_before = self.other.accepted if self.other is not None else 0
        self._names.set(self._name, self._becomes)
        self.server.hang_up()

    def end(self) -> None:
        self._names.set(self._name, HOST)
        if self.other is not None:
            self.other.hang_up()

    def is_seen(self, look: Look, reason: str) -> bool:
        """At another address, with a connection to that one."""
        self.hits = self.other.accepted - self._accepted_before if self.other is not None else 0
        return super().is_seen(look, reason)

    def close(self) -> None:
        self.end()
        if self.other is not None:
            self.other.close()
        self.server.close()


class Process(Subject):
    """A redis-server, by default one that is killed and started again."""

    def __init__(self, place: Place, *args: str) -> None:
        self.server = RedisServer(place.new_folder(), *args).start()
        self.addrs = (f"redis://{HOST}:{self.server.port}",)

    def begin(self) -> None:
        self.server.kill()

    def end(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.server.stop()


class Paused(Process):
    def begin(self) -> None:
        self.server.pause()

    def end(self) -> None:
        self.server.resume()


class Restarted(Process):
    """Starts again at once: the counters begin again at 0."""

    COMMANDS = 5000

    def begin(self) -> None:
        with socket.create_connection((HOST, self.server.port)) as sock:
            sock.sendall(b"PING\r\n" * self.COMMANDS)
            received = 0
            while received < self.COMMANDS * len(b"+PONG\r\n"):
                received += len(sock.recv(1 << 16))
        self.server.kill()
        self.server.start()

    def end(self) -> None:
        """It has ended."""

    def is_seen(self, look: Look, reason: str) -> bool:
        counts = values_of(look.page, b"redis_commands_processed_total", self.addrs[0])
        self.hits = int(bool(counts) and counts[0] < self.COMMANDS)
        return super().is_seen(look, reason)


class Blocked(Process):
    """One command blocks the server for so long."""

    def __init__(self, place: Place, *, seconds: float) -> None:
        super().__init__(place, "--enable-debug-command", "yes")
        self._seconds = seconds
        self._sock: socket.socket | None = None

    def begin(self) -> None:
        self._sock = socket.create_connection((HOST, self.server.port))
        self._sock.sendall(b"DEBUG SLEEP %g\r\n" % self._seconds)

    def end(self) -> None:
        """Wait for the end, which is that of the command."""
        if self._sock is not None:
            self._sock.settimeout(self._seconds)
            self._sock.recv(64)
            self._sock.close()
            self._sock = None

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self.server.kill()


class Resharded(Subject):
    """A cluster whose slots move from node to node all the time, with their keys."""

    MOVING, KEYS = range(100), range(10_000)

    def __init__(self, place: Place) -> None:
        self._cluster = Cluster(place.new_folder())
        self._cluster.start()
        for key in (b"key:%d" % number for number in self.KEYS):
            if binascii.crc_hqx(key, 0) % SLOTS in self.MOVING:
                self._cluster.nodes[0].ask("SET", key, "moves")
        self.addrs = tuple(f"redis://{HOST}:{node.port}" for node in self._cluster.nodes)
        self._ended = threading.Event()
        self._mover: threading.Thread | None = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        self.hits = 0
        self._ended.clear()
        self._mover = threading.Thread(target=self._move, daemon=True)
        self._mover.start()

    def _move(self) -> None:
        """Each slot goes to the next node, where its keys follow, and so on."""
        nodes = self._cluster.nodes
        ids = [id_of(node) for node in nodes]
        try:
            for number in range(len(nodes)):
                owner, other = number, (number + 1) % len(nodes)
                for slot in self.MOVING:
                    if self._ended.is_set():
                        return
                    self._move_slot(slot, nodes[owner], nodes[other], ids[owner], ids[other])
        except BaseException as error:
            self._error = error

    def _move_slot(
        self, slot: int, owner: RedisServer, other: RedisServer, owner_id: str, other_id: str
    ) -> None:
        other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", owner_id)
        owner.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", other_id)
        for key in owner.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            owner.ask("MIGRATE", HOST, other.port, key, 0, 1000)
        told = [node.ask("CLUSTER", "SETSLOT", slot, "NODE", other_id) for node in (other, owner)]
        self.hits += told == [b"OK"] * 2

    def end(self) -> None:
        self._ended.set()
        if self._mover is not None:
            self._mover.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._ended.set()
        if self._mover is not None:
            self._mover.join()
        self._cluster.stop()


class FailedOver(Subject):
    """A master, its replica and the Sentinels that watch them. The master is killed, and the replica takes
    over."""

    QUORUM = 2

    def __init__(self, place: Place) -> None:
        with ExitStack() as cleanup:
            self._master = RedisServer(place.new_folder()).start()
            cleanup.callback(self._master.stop)
            self._replica = RedisServer(
                place.new_folder(), "--replicaof", f"{HOST} {self._master.port}"
            ).start()
            cleanup.callback(self._replica.stop)
            self._sentinels = [
                Sentinel(place.new_folder(), [("orders", self._master.port, self.QUORUM)], down_after_ms=1000)
                for _ in range(3)
            ]
            for sentinel in self._sentinels:
                cleanup.callback(sentinel.stop)
                sentinel.start()
            for sentinel in self._sentinels:
                for what, count in (("REPLICAS", 1), ("SENTINELS", 2)):
                    wait_until(partial(_knows, sentinel, what, count), f"a Sentinel knows the {what}")
            self._cleanup = cleanup.pop_all()
        self._others = tuple(f"redis://{HOST}:{server.port}" for server in (self._replica, *self._sentinels))
        self.addrs = (f"redis://{HOST}:{self._master.port}", *self._others)

    def begin(self) -> None:
        self._master.kill()

    def end(self) -> None:
        self._master.start()

    def close(self) -> None:
        self._cleanup.close()

    def is_seen(self, look: Look, reason: str) -> bool:
        """The master is down, and the replica has become a master."""
        return (
            look.reasons.get(self.addrs[0]) == reason
            and all(look.up.get(addr) for addr in self._others)
            and bool(values_of(look.page, b"redis_instance_info", self._others[0], 'role="master"'))
        )


def _knows(sentinel: Sentinel, what: str, count: int) -> bool:
    return len(sentinel.entries(what, "orders")) == count


class ClockJumps(Subject):
    """The exporter's wall clock jumps, and jumps back."""

    def __init__(self, place: Place, *, by_s: float) -> None:
        assert place.world is not None
        self._world, self._by_s = place.world, by_s

    def begin(self) -> None:
        self._world.jump(self._by_s)

    def end(self) -> None:
        self._world.jump(0)

    def close(self) -> None:
        self.end()

    def is_seen(self, look: Look, reason: str) -> bool:
        """The times on the page are those of the exporter's clock."""
        family = b"redis_exporter_snapshot_last_success_timestamp_seconds"
        times = [at for labels, at in samples(look.page, family) if b'lane="fast"' in labels]
        self.hits = int(bool(times) and all(abs(at - time.time() - self._by_s) < 60 for at in times))
        return super().is_seen(look, reason)


class FullDisk(Subject):
    """The disk is full where the exporter writes: its log and its state file."""

    def __init__(self, place: Place) -> None:
        assert place.world is not None
        self._world = place.world
        self._state = place.new_folder() / "state"
        self.flags = (f"--state.file={self._state}", "--debug")

    def begin(self) -> None:
        self._world.fill_disk(is_full=True)

    def end(self) -> None:
        self._world.fill_disk(is_full=False)

    def close(self) -> None:
        self.end()

    def left_behind(self) -> Sequence[str]:
        """No half of a state file."""
        return [str(path) for path in self._state.parent.iterdir()]

    def is_seen(self, look: Look, reason: str) -> bool:
        """Lines of the log are lost, and counted."""
        self.hits = len(samples(look.page, b"redis_exporter_log_lines_dropped_total"))
        return super().is_seen(look, reason)
