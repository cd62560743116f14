"""The password file of the Go exporter: a JSON object of addresses and passwords."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exporter import files, texts
from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.targets.address import parse_address
from exporter.targets.target import Target


class PasswordFile:
    """Passwords by canonical address and user. `read` again takes up what has changed; where it fails,
    what was read before stays."""

    def __init__(self, file: str, limits: files.FileLimits = files.DEFAULT) -> None:
        self.file = file
        self._limits = limits
        self._passwords: Mapping[tuple[str, str], str] = {}
        self.read()

    def read(self) -> None:
        """ConfigError with every mistake; none holds a password."""
        try:
            self._passwords = files.within(self._load, self._limits.timeout_s)
        except files.FileError as error:
            raise self._unreadable(error) from None

    async def read_again(self) -> None:
        """The same while the event loop goes on."""
        try:
            self._passwords = await files.off_loop(self._load, self._limits.timeout_s)
        except files.FileError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: files.FileError) -> ConfigError:
        if isinstance(error, files.NoTextError):
            return ConfigError(f"{self.file}: {error}")
        return ConfigError(f"{self.file}: the file cannot be read ({error}): check --redis.password-file")

    def _load(self) -> Mapping[tuple[str, str], str]:
        """Changes nothing: it may run in a thread that nobody waits for any more."""
        problems: list[str] = []
        passwords: dict[tuple[str, str], str] = {}
        for number, (address, password) in enumerate(self._pairs(), 1):
            where = f"{self.file}: entry {number}"
            if not isinstance(password, str):
                problems.append(f"{where}: the password must be a text, in quotes")
                continue
            if len(password) > lengths.CREDENTIAL_MAX:
                problems.append(f"{where}: password: {lengths.fault(password, lengths.CREDENTIAL_MAX)}")
                continue
            if texts.valid(address + password) != address + password:
                problems.append(f"{where}: it holds half of a surrogate pair: write the character itself")
                continue
            try:
                target = parse_address(address)
            except ConfigError as error:
                problems.append(f"{where}: {error}")
            else:
                # a word before the @ is the user here: the password stands on the other side
                key = target.addr, target.user or target.password
                if key in passwords:
                    problems.append(
                        f"{where}: an entry before is for the same address and user: leave one of them out"
                    )
                passwords[key] = password
        if problems:
            raise ConfigError(*problems)
        return passwords

    def _pairs(self) -> list[tuple[str, Any]]:
        """The entries as they stand; a value that is no text is anything else."""
        text = files.read_text(self.file, self._limits.max_bytes)
        try:
            content = json.loads(
                text,
                object_pairs_hook=_Pairs,
                parse_int=_no_text,
                parse_float=_no_text,
                parse_constant=_no_text,
            )
        except json.JSONDecodeError as error:
            raise ConfigError(f"{self.file}, line {error.lineno}: not valid JSON ({error.msg})") from None
        except RecursionError:
            raise ConfigError(
                f"{self.file}: not valid JSON (nested too deep): write addresses and passwords only"
            ) from None
        if not isinstance(content, _Pairs):
            raise ConfigError(
                f'{self.file}: must be an object of addresses and passwords: write {{"redis://host:6379": '
                f'"…"}}'
            )
        return content

    def find(self, target: Target) -> str:
        """That of the target's user at its address, else that of an entry without a user; "" where there
        is none."""
        return self._passwords.get((target.addr, target.user)) or self._passwords.get((target.addr, ""), "")


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON, with names that are given twice."""


def _no_text(number: str) -> None:
    """A number is wrong whatever it is: one of many digits would take the interpreter long, or raise."""
