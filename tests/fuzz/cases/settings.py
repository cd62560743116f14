"""What operators and their tools write: addresses, values of options, files."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from exporter.app import saved_state
from exporter.app.state_file import MAGIC, StateError
from exporter.collectors._switches import switches
from exporter.errors import ConfigError, UsageError
from exporter.files import FileLimits
from exporter.options.commandline import parse
from exporter.options.config_file import ConfigFile
from exporter.options.table import OPTIONS
from exporter.options.yaml_reader import DEPTH_MAX, YamlList, YamlMap, YamlTextError, read_yaml
from exporter.targets.address import canonical_host, parse_address
from exporter.targets.configured import load_targets
from exporter.targets.password_file import read_passwords
from exporter.targets.shared_keys import Switches
from exporter.targets.target import Target
from exporter.targets.target_groups import TargetGroupsError, read_json, read_yaml_text
from tests.fuzz.case import Case, Script
from tests.fuzz.corpus import config_files

ADDRESSES = (
    *(
        "redis://host:6379",
        "rediss://user:hunter2secret@host/3",
        "unix:///run/redis.sock?db=2",
        "valkey://h?db=3&x=y",
    ),
    *(
        "unix://u:hunter2secret@/a b%20",
        "redis://[::1]:6379/0",
        "redis://[fe80::1%25eth0]:1",
        "tcp://:hunter2secret@h",
        "h",
    ),
    *(
        "redis://h:1,redis://i:2",
        "redis://hunter2secret@h",
        "redis://[::ffff:10.0.0.1]",
        "redis://%zz@h",
        "redis://a@b@c/#",
    ),
)
PASSWORD = "hunter2secret"
ADDRESS_WORDS = (
    *(
        b"redis://",
        b"rediss://",
        b"unix://",
        b"valkeys://",
        b"@",
        b":",
        b"/",
        b"?db=",
        b"&",
        b"#",
        b"[",
        b"]",
        b"%25",
        b"%zz",
    ),
    *(b"::1", b"::ffff:", b"6379", b"65536", b"0x7f.1", b"2130706433", b"\xc3\xa9", b"\xff", b" "),
)
YAML_WORDS = (
    *(
        b"- ",
        b": ",
        b"\n",
        b"\n  ",
        b"<<: *",
        b"&a ",
        b"*a",
        b"!!str ",
        b"!x ",
        b"? ",
        b"| ",
        b"> ",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b"'",
        b'"',
        b"~",
        b"null",
        b"#",
        b"---\n",
        b"...\n",
        b"%YAML 1.1\n",
        b"\t",
        b"\\x",
        b"${A}",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
    ),
    *(
        b"redis_instances:\n",
        b"defaults:\n",
        b"groups:\n",
        b"options:\n",
        b"addr: ",
        b"password: ",
        b"interval: 5s",
        b"labels: ",
    ),
)
NULLS = ("", "~", "null", "Null", "NULL")
#: bytes of the files of one run
FILE_LIMITS = FileLimits(max_bytes=8192)


class Addresses(Case):
    """An address is refused without a word of its password, or its canonical form stands for the same."""

    length_max = 200
    words = ADDRESS_WORDS

    def seeds(self) -> Iterable[bytes]:
        return [address.encode() for address in ADDRESSES]

    def check(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        canonical_host(text)
        try:
            target = parse_address(text)
        except ConfigError as error:
            _assert_harmless(str(error))
            return
        again = parse_address(target.addr)
        assert (
            (again.addr, _place(again)) == (target.addr, _place(target))
            or "\ufffd" in target.addr
            or target.path
        )
        assert target.path or (target.host and 0 < target.port < 65536)
        _assert_harmless(target.addr, PASSWORD in f"{target.host}{target.path}")


def _assert_harmless(shown: str, may_have_word: bool = False) -> None:
    """One line of text, without the password."""
    shown.encode()
    assert "\n" not in shown
    assert may_have_word or PASSWORD not in shown


def _place(target: Target) -> tuple[object, ...]:
    return target.scheme, target.host, target.port, target.path, target.db


class Options(Case):
    """The value of any option: used, or refused with what to write instead."""

    length_max = 200
    words = (
        *ADDRESS_WORDS,
        *(
            b"5s",
            b"1h2m",
            b"0",
            b"true",
            b"1e9",
            b"-1",
            b",",
            b"db3=",
            b"*",
            b"fast",
            b"10.0.0.0/8",
            b"fe80::/10",
            b"%w+",
            b"[^%]]",
        ),
    )

    def seeds(self) -> Iterable[bytes]:
        for number, option in enumerate(OPTIONS):
            yield bytes([number]) + option.default.encode()
        for number in range(0, len(OPTIONS), 3):
            yield bytes([number]) + ADDRESSES[number % len(ADDRESSES)].encode()

    def check(self, data: bytes) -> None:
        script = Script(data)
        option = script.one_of(OPTIONS)
        text = script.rest().decode("utf-8", "surrogateescape")
        with suppress(ValueError):
            option.type.parse(text)
        try:
            parse([f"--{option.flag}={text}"], {})
        except (UsageError, ConfigError) as error:
            str(error).encode()


class Yaml(Case):
    """YAML is refused, or read as by PyYAML where both mean the same."""

    length_max = 600
    words = YAML_WORDS

    def seeds(self) -> Iterable[bytes]:
        yield b"a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: ~}\n"
        for text in config_files():
            yield text[: self.length_max]

    def check(self, data: bytes) -> None:
        text = data.decode("utf-8", "ignore")
        try:
            value = read_yaml(text)
        except YamlTextError as error:
            _assert_place(error.line, text)
            return
        _assert_form(value, 1)
        if "<<" not in text and "!" not in text:
            assert _plain(value) == _plain(yaml.load(text, yaml.CBaseLoader))


def _assert_place(line: int, text: str) -> None:
    """A line of the text, or the one behind its end; 0 for none."""
    ends = sum(map(text.count, ("\n", "\r", "\x85", "\u2028", "\u2029")))
    assert 0 <= line <= ends + 2


def _assert_form(value: Any, depth: int) -> None:
    assert depth <= DEPTH_MAX + 1
    if isinstance(value, YamlMap):
        assert value.keys() == value.lines.keys()
        for each in value.values():
            _assert_form(each, depth + 1)
    elif isinstance(value, YamlList):
        assert len(value) == len(value.lines)
        for each in value:
            _assert_form(each, depth + 1)
    else:
        assert value is None or isinstance(value, str)


def _plain(value: Any) -> Any:
    """Without what PyYAML's plainest loader does not tell apart: nothing, and words for it."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if value is None or value in NULLS else value


class _File(Case):
    """Its inputs are files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
        )
        self.path = Path(self._folder.name, "file")

    def close(self) -> None:
        self._folder.cleanup()


def _assert_shown(error: ConfigError, data: bytes) -> None:
    """Nothing is shown that a terminal or a log cannot take, and no password that the input does not have
    elsewhere."""
    for problem in error.problems:
        problem.encode()
        assert PASSWORD not in problem or PASSWORD.encode() in data


class Configuration(_File):
    """A configuration file: each mistake is a line that can be shown."""

    length_max = 1500
    words = YAML_WORDS
    ENVIRON = MappingProxyType({"A": "a", "REDIS_PASSWORD": PASSWORD})

    def __init__(self) -> None:
        super().__init__()
        self._switches = Switches(switches)

    def seeds(self) -> Iterable[bytes]:
        for text in config_files():
            yield text[: self.length_max]

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        file = ConfigFile("config.file", str(self.path), FILE_LIMITS)
        with suppress(ConfigError):
            parse([f"--config.file={self.path}"], self.ENVIRON)
        try:
            load_targets([], addr_given=False, files=[file], environ=self.ENVIRON, switches=self._switches)
        except ConfigError as error:
            _assert_shown(error, data)


class TargetGroups(Case):
    """Lists of targets as file_sd and http_sd bring them."""

    length_max = 600
    words = (
        *YAML_WORDS,
        b'[{"targets": [',
        b'"labels": {',
        b'"redis://',
        b"\\ud800",
        b"\\u0000",
        b"__group__",
        b"1e999",
        b"NaN",
        b"]}]",
    )

    def seeds(self) -> Iterable[bytes]:
        yield json.dumps(
            [{"targets": [address], "labels": {"env": "a", "alias": "b"}} for address in ADDRESSES[:4]]
        ).encode()
        yield b'- targets: ["redis://a:1", h]\n  labels: {env: x, __group__: cache}\n- targets: []\n'
        yield b"[" * 300

    def check(self, data: bytes) -> None:
        text = data.decode("utf-8", "ignore")
        for read in (read_json, read_yaml_text):
            try:
                found = read(text, "file_sd")
            except TargetGroupsError as error:
                str(error).encode()
                continue
            addresses = [target.addr for target in found.targets]
            assert len(set(addresses)) == len(addresses)
            for fault in found.faults:
                fault.encode()


class PasswordFile(_File):
    length_max = 600
    words = (*ADDRESS_WORDS, b'{"redis://', b'": "', b'", "', b'"}', b"\\ud800", b"\\u0000", b"\n")

    def seeds(self) -> Iterable[bytes]:
        yield PASSWORD.encode() + b"\n"
        yield json.dumps(dict.fromkeys(ADDRESSES, PASSWORD)).encode()
        yield b'{"redis://h:1": 1, "redis://h:1": null}'
        yield b"[" * 300

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        try:
            passwords = read_passwords(str(self.path), FILE_LIMITS)
        except ConfigError as error:
            _assert_shown(error, data.split(b'": "')[0])
            return
        for address in ADDRESSES[:3]:
            passwords.log_in(parse_address(address))
        assert all("\n" not in warning for warning in passwords.warnings)


class StateFile(_File):
    """A state file that is damaged, or whose checksums are right and whose content is not."""

    length_max = 1500
    words = (
        MAGIC,
        b'"kind":"shape"',
        b'"kind":"target"',
        b'"saved_at":',
        b"1e999",
        b"null",
        b"\0\0\0\0",
        b"[[",
        b"-1",
    )

    def __init__(self) -> None:
        super().__init__()
        self._options = parse(["--state.max-age=24h"], {})
        shape = {"kind": "shape", "byteorder": "little", "timestamps": False, "family_sets": {}}
        self._shape = {**shape, "saved_at": time.time()}

    def seeds(self) -> Iterable[bytes]:
        target = {"kind": "target", "addr": "redis://h:1", "facts": {}, "snapshots": [["info", 1, 2.0]]}
        counts = {"kind": "counts", "counts": {"a": [[["x"], 1]]}}
        yield b"\1" + _record(self._shape, [])
        yield b"\1" + _record(target, [b"a 1\n", b"\0" * 8])
        yield b"\1" + _record(counts, [])
        yield b"\1" + _record(self._shape, []) + _record(target, [b"", b""]) + _record(counts, [])
        yield b"\0" + MAGIC + _chunk(_record(self._shape, [])) + _chunk(b"")

    def check(self, data: bytes) -> None:
        script = Script(data)
        is_whole = script.below(2)
        content = script.rest()
        if is_whole:
            content = MAGIC + _chunk(_record(self._shape, [])) + _chunk(content) + _chunk(b"")
        self.path.write_bytes(content)
        with suppress(StateError):
            len(saved_state._read_checked(str(self.path), self._options))


def _record(data: object, blobs: list[bytes]) -> bytes:
    text = json.dumps([data, [len(blob) for blob in blobs]]).encode()
    return struct.pack("<I", len(text)) + text + b"".join(blobs)


def _chunk(plain: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    body = packer.compress(plain) + packer.flush()
    return struct.pack("<II", len(body), zlib.crc32(body)) + body
