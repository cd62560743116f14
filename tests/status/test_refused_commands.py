"""What a server refuses, and the rule that would allow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.errors import ReplyError
from exporter.polling.refusals import FIRST_REPROBE_S
from exporter.polling.target_state import TargetState
from exporter.status.refused_commands import acl_line, refused_commands
from tests.status.members import FACTS
from tests.watch_harness import WatchHarness

NO_COMMAND = "NOPERM this user has no permissions to run the 'x' command"
NO_KEY = "NOPERM No permissions to access a key"


@pytest.fixture
async def state() -> TargetState:
    watched = WatchHarness(REGISTRY, argv=["--check-keys=cart:*"]).watched(6379, user="few")
    watched.state.memory.facts = FACTS
    return watched.state


def refuse(state: TargetState, name: str, text: str, at: float = 100.0) -> None:
    state.memory.refusals.add(name, ReplyError(text, state.memory.redaction.clean), at)


async def test_nothing_is_refused(state: TargetState) -> None:
    assert refused_commands(state, 100.0, 1_700_000_000.0) == ()
    assert acl_line("few", ()) == ""


async def test_a_command_is_granted_by_its_word(state: TargetState) -> None:
    refuse(state, "CONFIG GET databases", NO_COMMAND)
    refuse(state, "SLOWLOG GET 1", NO_COMMAND, at=110.0)
    newest, oldest = refused_commands(state, 120.0, 1_700_000_000.0)
    assert (newest.name, newest.since, newest.times) == ("SLOWLOG GET 1", 1_700_000_000.0 - 10.0, 1)
    assert newest.again_s == FIRST_REPROBE_S - 10.0
    assert (newest.grants, oldest.grants) == (("+slowlog|get",), ("+config|get",))
    assert acl_line("few", (newest, oldest)) == "ACL SETUSER few +config|get +slowlog|get"
    assert acl_line("", (newest,)) == "ACL SETUSER default +slowlog|get"
    assert acl_line('a "b"', (newest,)).startswith('ACL SETUSER "a \\"b\\"" ')


async def test_keys_are_granted_by_their_pattern(state: TargetState) -> None:
    refuse(state, "MEMORY USAGE", NO_KEY)
    [refused] = refused_commands(state, 120.0, 1_700_000_000.0)
    assert refused.grants == ("~cart:*",)


async def test_the_name_of_a_connection_is_granted_too(state: TargetState) -> None:
    refuse(state, "CLIENT SETNAME redis_exporter", NO_COMMAND)
    [refused] = refused_commands(state, 120.0, 1_700_000_000.0)
    assert refused.grants == ("+client|setname",)


async def test_no_rule_helps_where_the_server_lacks_the_command(state: TargetState) -> None:
    refuse(state, "LATENCY HISTOGRAM", "ERR unknown subcommand 'HISTOGRAM'")
    refuse(state, "ODD", "HANGUP the server closes the connection")
    hung_up, unknown = refused_commands(state, 120.0, 1_700_000_000.0)
    assert (unknown.grants, hung_up.grants) == ((), ())
    assert hung_up.again_s is None
    assert hung_up.words == "the server closes the connection"
    assert acl_line("few", (unknown, hung_up)) == ""


async def test_a_name_with_a_secret_or_odd_signs_is_cleaned(state: TargetState) -> None:
    state.memory.note_password(replace(state.assignment.target, password="s3cret-of-mine"))
    refuse(state, "GET s3cret-of-mine\n\x1b[31m", NO_COMMAND)
    [refused] = refused_commands(state, 120.0, 1_700_000_000.0)
    assert "s3cret" not in refused.name
    assert "\n" not in refused.name
    assert "\x1b" not in refused.name
