"""What servers say about themselves and others: clusters, replication, errors."""

from __future__ import annotations

from collections.abc import Iterable

import hiredis

from exporter.errors import ReplyError
from exporter.protocol.cluster import SLOTS, key_slot, parse_nodes, parse_slots, redirection, uncovered_slots
from exporter.protocol.facts import FACT_FIELDS, make_facts
from exporter.protocol.forks import FORK_FIELDS, read_forks
from exporter.protocol.neighbours import attached_servers, node_as_named
from exporter.protocol.replication import parse_replication, section_of
from exporter.protocol.shard_names import ShardNames
from exporter.safe_text import UNPRINTED
from exporter.targets.redaction import SHOWN_MAX, Redaction
from tests.engine.test_frames import AMPLE
from tests.fuzz.case import CUT, Case
from tests.fuzz.cases.engines import COMPILED
from tests.fuzz.corpus import beginning, lists, sections, texts
from tests.pieces import value_of
from tests.replay import resp


class Clusters(Case):
    """CLUSTER NODES and CLUSTER SLOTS: what is malformed is left out."""

    length_max = 1200
    words = (
        b" master ",
        b" slave ",
        b"myself,",
        b" connected ",
        b"0-16383",
        b"[1->-",
        b"[1-<-",
        b"@16379",
        b",,",
        b"fail?",
        b"noaddr",
        b":0",
        b"\n",
        CUT,
    )

    def seeds(self) -> Iterable[bytes]:
        slots = [resp(value[:2]) for value in lists("cluster_slots.json")]
        for number, text in enumerate(texts("cluster_nodes*.txt")):
            yield CUT.join([beginning(text, 700), slots[number % len(slots)]])[: self.length_max]

    def check(self, data: bytes) -> None:
        text, _, slots = data.partition(CUT)
        nodes = parse_nodes(text.decode("utf-8", "replace"))
        assert 0 <= uncovered_slots(nodes) <= SLOTS
        for node in nodes:
            assert node.slot_count >= 0
            assert node.state
            assert node.address.endswith(f":{node.port}")
            assert node.role in ("master", "slave", "")
        named = [node_as_named(node, hostnames=bool(at % 2)) for at, node in enumerate(nodes)]
        names = ShardNames()
        for _ in range(2):
            assert names.assign(named).keys() <= {server.id for server in named}
        frames = COMPILED.Frames()
        frames.expect(1, *AMPLE)
        if frames.scan(slots) == COMPILED.DONE:
            reader = hiredis.Reader(replyError=ReplyError)
            reader.feed(slots[: frames.at])
            found = value_of(parse_slots(reader.gets(), nodes[0].id.encode() if nodes else b""))
            if found is not None:
                assert list(found.starts) == sorted(found.starts)
                found.node(text)


class Facts(Case):
    """What polls go by: facts, replication, forks, redirections."""

    length_max = 900
    words = (
        b"# Replication\r\n",
        b"slave0:ip=",
        b",port=",
        b",state=online",
        b",offset=",
        b"master_host:",
        b"role:",
        b"redis_version:",
        b"MOVED 1 ",
        b"ASK 2 ",
        b"\r\n",
        b"-",
    )

    def seeds(self) -> Iterable[bytes]:
        yield from (
            section
            for section in sections(self.length_max)
            if section.startswith((b"# Replication", b"# Server"))
        )
        yield b"MOVED 3999 127.0.0.1:6381"

    def check(self, data: bytes) -> None:
        section, at = section_of(data)
        assert section_of(data, at)[0] == section or at == 0 or data.count(b"# Replication") > 1
        replication = parse_replication(section)
        for server in attached_servers(replication):
            assert 0 < server.port < 65536
        place = redirection(ReplyError(data.decode("utf-8", "replace")))
        assert place is None or place.node
        assert 0 <= key_slot(data) < SLOTS
        lines = dict(line.rstrip(b"\r").partition(b":")[::2] for line in data.split(b"\n"))
        make_facts({name: lines.get(name.encode()) for name in FACT_FIELDS}, None)
        assert read_forks([lines.get(name.encode(), data) for name in FORK_FIELDS]).newest_s >= 0


class ErrorTexts(Case):
    """What a server says goes into logs and pages: on one line, short, and without the password."""

    length_max = 600
    PASSWORD = "hunter2secret"
    #: stands for the password in an input
    MARK = b"\1"
    words = (
        MARK,
        b"redis://",
        b"@",
        b"user:",
        b"%2",
        b"\\x",
        b"\\u00",
        b"+",
        b"ERR ",
        b"\\",
        b"'",
        b'"',
        b"\r\n",
        b"\xe2\x80\xae",
    )

    def __init__(self) -> None:
        self._redaction = Redaction("user", self.PASSWORD)

    def seeds(self) -> Iterable[bytes]:
        yield b"WRONGPASS invalid username-password pair"
        yield b"ERR unknown command 'AUTH', with args beginning with: '\1'"
        yield b"ERR redis://user:\1@host:6379/ \1\1 user:%68unter2secret"

    def check(self, data: bytes) -> None:
        text = data.replace(self.MARK, self.PASSWORD.encode()).decode("utf-8", "surrogateescape")
        shown = self._redaction.clean(text)
        shown.encode()
        assert self.PASSWORD not in shown
        assert len(shown) <= SHOWN_MAX * 6  # a character may be shown as an escape
        assert set(UNPRINTED).isdisjoint(map(ord, shown))
        error = ReplyError(text, self._redaction.clean)
        assert self.PASSWORD not in str(error.as_target_error())
