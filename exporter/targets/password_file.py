"""The password file of the Go exporter: a JSON object of addresses and passwords."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exporter import files, safe_text
from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.targets.address import parse_address
from exporter.targets.target import Target


class Passwords:
    """Passwords by canonical address and user."""

    def __init__(self, passwords: Mapping[tuple[str, str], str] | None = None) -> None:
        self._passwords = passwords or {}

    def find(self, target: Target) -> str:
        """The password of the target's user at its address, or else that of an entry without a user; "" if
        there is none."""
        return self._passwords.get((target.addr, target.user)) or self._passwords.get((target.addr, ""), "")


def read_passwords(file: str, limits: files.FileLimits = files.DEFAULT) -> Passwords:
    """Read a password file. ConfigError with every mistake; it holds no password."""
    try:
        return Passwords(files.within(lambda: _load(file, limits), limits.timeout_s))
    except files.NoTextError as error:
        raise ConfigError(f"{file}: {error}") from None
    except files.FileError as error:
        raise ConfigError(f"{file}: the file cannot be read ({error}): check --redis.password-file") from None


def _load(file: str, limits: files.FileLimits) -> Mapping[tuple[str, str], str]:
    problems: list[str] = []
    passwords: dict[tuple[str, str], str] = {}
    for number, (address, password) in enumerate(_read_pairs(file, limits), 1):
        where = f"{file}: entry {number}"
        if not isinstance(password, str):
            problems.append(f"{where}: the password must be a text, in quotes")
            continue
        if len(password) > lengths.CREDENTIAL_MAX:
            problems.append(f"{where}: password: {lengths.fault(password, lengths.CREDENTIAL_MAX)}")
            continue
        if safe_text.valid(address + password) != address + password:
            problems.append(f"{where}: it holds half of a surrogate pair: write the character itself")
            continue
        try:
            target = parse_address(address)
        except ConfigError as error:
            problems.append(f"{where}: {error}")
            continue
        # a word before the @ is the user here: the password is the value
        key = target.addr, target.user or target.password
        if key in passwords:
            problems.append(
                f"{where}: an entry before is for the same address and user: leave one of them out"
            )
        passwords[key] = password
    if problems:
        raise ConfigError(*problems)
    return passwords


def _read_pairs(file: str, limits: files.FileLimits) -> list[tuple[str, Any]]:
    """The entries as the file has them. The value of an entry may be anything."""
    text = files.read_text(file, limits.max_bytes)
    try:
        content = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_no_text,
            parse_float=_no_text,
            parse_constant=_no_text,
        )
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}, line {error.lineno}: not valid JSON ({error.msg})") from None
    except RecursionError:
        raise ConfigError(
            f"{file}: not valid JSON (nested too deep): write addresses and passwords only"
        ) from None
    if not isinstance(content, _Pairs):
        raise ConfigError(
            f'{file}: must be an object of addresses and passwords: write {{"redis://host:6379": "…"}}'
        )
    return content


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps names that come twice."""


def _no_text(number: str) -> None:
    """A number is always wrong here; to read one of many digits would take long, or raise."""
