"""Lua scripts of the operator: numbers that no command gives.

A script gives back either name and number in turn, or tables with `metric`, `value` and `labels`. Redis would
turn such tables into empty lists, so a script runs inside a function, and what that gives back travels as
JSON.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from exporter import safe_text
from exporter.collectors._answered import Answered
from exporter.collectors._contract import Batches, Collector, Out, OutWithMemory, raise_failure
from exporter.errors import ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.options.values import parse_number
from exporter.protocol.command import PAUSE, PIECE, About, Command, Reply
from exporter.protocol.facts import Facts

VALUES = gauge(
    "script_values",
    "Value that a script returns for a key.",
    labels=("key", "filename"),
    name_set=NameSet.GO,
)
RESULT = gauge(
    "script_result",
    "Result of a script: 1 with values, 2 without values, 0 with an error.",
    labels=("filename",),
    name_set=NameSet.GO,
)

FAILED, WITH_VALUES, EMPTY = 0, 1, 2
#: the server's state and not the script's fault
NOT_NOW = ("LOADING", "MASTERDOWN", "BUSY")
TYPES = ("gauge", "counter", "untyped")
#: labels that mean something else to Prometheus
RESERVED = ("le", "quantile")
#: of one script's reply; what is larger is an error of that script
REPLY_BYTES_MAX = 512 * 1024
ROWS_MAX = 5000
HELP_LENGTH_MAX = 300

#: characters of a file's name that the log shows
NAME_SHOWN_MAX = 200
NEITHER = "the script gave back neither names and numbers in turn nor tables with metric and value"

_BEGIN = b"local script = function() "
#: numbers go as texts, for the encoder would round them
_END = b"""
end
local function plain(value)
  if type(value) == 'number' then
    local text = string.format('%.14g', value)
    if tonumber(text) ~= value then text = string.format('%.17g', value) end
    return text
  end
  if type(value) ~= 'table' then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = plain(each) end
  return copy
end
return cjson.encode(plain(script()))
"""


class ScriptsCollector(Collector[Answered]):
    name = "scripts"
    help = "Results of the scripts of --script."
    lane = Lane.STANDARD
    families = (VALUES, RESULT)
    has_runtime_families = True

    def enabled(self, options: Options) -> bool:
        return bool(options.keys.script)

    def wants(self, facts: Facts, options: Options) -> bool:
        if options.keys.lua_script_read_only and (facts.version < (7, 0, 0) or facts.flavor == "keydb"):
            return False
        return facts.version >= (2, 6, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+eval_ro" if options.keys.lua_script_read_only else "+eval",)

    def new_memory(self) -> Answered:
        return Answered()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Answered]) -> Batches:
        command = "EVAL_RO" if options.keys.lua_script_read_only else "EVAL"
        out.memory.begin(facts.run_id)
        if command not in out.memory.words:
            # whether the server takes any script: one of the operator's may fail by itself
            [reply] = yield [Command.of(command, "return 1", 0)]
            raise_failure(reply)
            if isinstance(reply, ReplyError):
                for script in options.keys.script:
                    out.add(RESULT, FAILED, script.name)
                return
            out.memory.words.add(command)
        replies = yield [
            Command.of(command, wrapped(script.text), 0, "0", about=About.DATA)
            for script in options.keys.script
        ]
        for reply in replies:
            if isinstance(reply, ReplyError) and reply.code in NOT_NOW:
                raise reply.as_target_error()
        for script, reply in zip(options.keys.script, replies, strict=True):
            result, why = _read(reply)
            yield PAUSE
            ended = FAILED
            if not why:
                ended, why = yield from _write(result, script.name, options.metrics.namespace, out)
            out.add(RESULT, ended, script.name)
            if why and not (isinstance(reply, ReplyError) and reply.code == "NOPERM"):
                out.fault(safe_text.shorten(script.name, NAME_SHOWN_MAX), why)


def wrapped(text: bytes) -> bytes:
    """The script whose result is the JSON of what `text` returns. Lines keep their numbers; a `#!` line
    stays the first."""
    head, newline, rest = text.partition(b"\n")
    if head.startswith(b"#!"):
        return head + newline + _BEGIN + rest + _END
    return _BEGIN + text + _END


def _read(reply: Any) -> tuple[Any, str]:
    """What a script gave back, or why that cannot be read."""
    if isinstance(reply, ReplyError):
        return None, reply.text
    if not isinstance(reply, bytes):
        return None, NEITHER
    if len(reply) > REPLY_BYTES_MAX:
        return None, f"the script gave back {len(reply):,} bytes: at most {REPLY_BYTES_MAX:,}"
    try:
        return json.loads(reply.decode("utf-8", "replace")), ""
    except (ValueError, RecursionError):
        return None, NEITHER


def _write(
    result: Any, filename: str, namespace: str, out: Out
) -> Generator[list[Command], list[Reply], tuple[int, str]]:
    """Write what a script gave back, but for what cannot be written; how it ended, and why not well. A Lua
    table is a list or a mapping."""
    if isinstance(result, dict) and "metric" in result:
        result = [result]
    if result in ({}, []):
        return EMPTY, ""
    if not isinstance(result, list):
        return FAILED, NEITHER
    if any(isinstance(row, dict) for row in result):
        went_well = []
        for at, row in enumerate(result[:ROWS_MAX], 1):
            if at % PIECE == 0:
                yield PAUSE
            went_well.append(_write_row(row, namespace, out))
        is_whole = len(result) <= ROWS_MAX
    elif len(result) % 2:
        return FAILED, "the script gave back names and numbers in turn, but the last name has no number"
    else:
        pairs = result[: 2 * ROWS_MAX]
        went_well = []
        for at, (key, value) in enumerate(zip(pairs[::2], pairs[1::2], strict=True), 1):
            if at % PIECE == 0:
                yield PAUSE
            went_well.append(_write_pair(key, value, filename, out))
        is_whole = len(result) <= 2 * ROWS_MAX
    if not is_whole:
        return FAILED, f"the script gave back more than {ROWS_MAX:,} values: the others are left out"
    if not all(went_well):
        return (
            FAILED,
            f"value {went_well.index(False) + 1} cannot be written: its name, number, labels, type or help "
            f"cannot be used",
        )
    return WITH_VALUES, ""


def _write_pair(key: Any, value: Any, filename: str, out: Out) -> bool:
    number = _number(value) if isinstance(value, str) else None
    if number is None or not isinstance(key, str):
        return False
    out.add(VALUES, number, safe_text.valid(key), filename)
    return True


def _write_row(row: Any, namespace: str, out: Out) -> bool:
    match row:
        case {"metric": str(name), "value": str(value), **more}:
            number = _number(value)
            labels = _labels(more.get("labels", {}))
            type, help = more.get("type", ""), more.get("help", "")
            if number is None or labels is None or type not in ("", *TYPES) or not isinstance(help, str):
                return False
            bare = name.removeprefix(f"{namespace}_") if namespace else name
            return out.add_runtime(bare, type, _help(help), number, labels)
    return False


def _number(text: str) -> float | None:
    return parse_number(text.encode()) if text.isascii() else None


def _help(text: str) -> str:
    """A help text as a page may show it: on one line, not too long, with a full stop. Without words it is
    none."""
    text = safe_text.one_line(" ".join(text.split()), HELP_LENGTH_MAX).rstrip(" .")
    return f"{text}." if text else ""


def _labels(given: Any) -> dict[str, str] | None:
    """None if they cannot be labels. A table without any is an empty list or mapping: Lua does not
    distinguish them."""
    if not given:
        return {}
    if not isinstance(given, dict) or any(
        name in RESERVED or not isinstance(value, str | bool) for name, value in given.items()
    ):
        return None
    return {
        name: safe_text.valid(value) if isinstance(value, str) else str(value).lower()
        for name, value in given.items()
    }
