"""Replication as INFO shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.protocol.replication import SECTION_MAX, AttachedReplica, parse_replication, section_of

DATA = Path(__file__).parent.parent / "data"


def read(text: str) -> bytes:
    return section_of(text.replace("\n", "\r\n").encode())[0]


def test_a_master_and_its_replicas() -> None:
    info = (DATA / "redis-2.8.24" / "info_many_replicas.txt").read_bytes()
    replication = parse_replication(section_of(info)[0])
    assert replication.role == "master"
    assert replication.master_host == ""
    assert len(replication.replicas) > 1
    assert replication.replicas[0] == AttachedReplica("127.0.0.1", 7000, "online", 0)


def test_a_replica() -> None:
    replication = parse_replication(
        read(
            "# Server\nredis_version:7.0.15\n\n# Replication\nrole:slave\nmaster_host:10.0.0.1\n"
            "master_port:6379\n"
            "slave_read_repl_offset:300\nslave_repl_offset:280\nmaster_replid:a\n"
            "master_repl_offset:280\n\n# CPU\nrole:master\n"
        )
    )
    assert (replication.role, replication.offset, replication.id) == ("slave", 280, "a")
    assert (replication.master_host, replication.master_port) == ("10.0.0.1", 6379)


def test_a_master_has_its_own_offset() -> None:
    replication = parse_replication(
        read("# Replication\nrole:master\nmaster_replid:b\nmaster_replid2:a\nmaster_repl_offset:7\n")
    )
    assert (replication.id, replication.offset) == ("b", 7)


@pytest.mark.parametrize(
    ("line", "replica"),
    [
        ("ip=::1,port=7000,state=online,offset=5,lag=0", AttachedReplica("::1", 7000, "online", 5)),
        ("ip=h,port=7000,state=wait_bgsave", AttachedReplica("h", 7000, "wait_bgsave", None)),
        ("10.0.0.2,6379,online", AttachedReplica("10.0.0.2", 6379, "online", None)),
        ("ip=h,port=0,state=online,offset=5", None),
        ("ip=h,port=x,state=online,offset=5", None),
        ("ip=,port=7000", None),
        ("", None),
    ],
)
def test_lines_of_replicas(line: str, replica: AttachedReplica | None) -> None:
    found = parse_replication(
        read(f"# Replication\nrole:master\nslave0:{line}\nslave_priority:100\n")
    ).replicas
    assert found == (() if replica is None else (replica,))


def test_of_other_words_for_the_role_one_is_used() -> None:
    assert parse_replication(read("# Replication\nrole:replica\n")).role == "slave"


def test_without_the_section_there_is_nothing() -> None:
    assert section_of(b"# Server\r\nrole:master\r\n") == (b"", 0)
    empty = parse_replication(b"")
    assert (empty.role, empty.offset, empty.replicas) == ("", None, ())


def test_a_section_is_bounded() -> None:
    long = b"# Replication\r\nrole:master\r\n" + b"x:1\r\n" * SECTION_MAX
    assert len(section_of(long)[0]) == SECTION_MAX


@pytest.mark.parametrize("ending", ["", "# CPU\r\n", "\r\n# CPU\r\nx:#1\r\n", "#CPU\r\n# x"])
@pytest.mark.parametrize("line", ["", "a:#\r\n", "a:# 1\r\n", "#a:1\r\n"])
def test_it_ends_before_the_next_heading(line: str, ending: str) -> None:
    text = f"# Replication\r\nrole:master\r\n{line}{ending}".encode()
    end = text.find(b"\n# ")
    assert section_of(text)[0] == (text[:end] if end >= 0 else text)


@pytest.mark.parametrize("near", [0, 1, 100, 150, 10_000])
def test_it_is_found_wherever_it_was_before(near: int) -> None:
    info = b"# Server\r\n" + b"a:1\r\n" * 20 + b"# Replication\r\nrole:master\r\n# CPU\r\n"
    assert section_of(info, near) == (b"# Replication\r\nrole:master\r", 110)
