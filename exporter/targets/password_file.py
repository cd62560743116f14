"""The password file: a JSON object of addresses and passwords, as for the Go exporter; or one password."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exporter import files, masks, safe_text
from exporter.errors import ConfigError, bounded
from exporter.options import lengths
from exporter.targets import password_text
from exporter.targets.address import ignored_warning
from exporter.targets.password_entries import PasswordEntries, PasswordEntry, read_entry
from exporter.targets.target import Target

_EXAMPLE = 'write {"redis://host:6379": "…"}'


@dataclass(frozen=True, slots=True)
class Passwords:
    """What a password file holds: entries, or a `single` password for the targets of the flags. `warnings`
    are lines for the log, without secrets."""

    entries: PasswordEntries = field(default_factory=lambda: PasswordEntries(()), repr=False)
    single: str = field(default="", repr=False)
    warnings: Sequence[str] = ()

    def log_in(self, target: Target) -> Target:
        """The target with the password that the file has for it. A password that it has already stays, unless
        a discovered target has it from its seed. And a single word before the @ is the user if the file has
        an entry of this user."""
        if target.one_word and not target.user:
            entry = self.entries.find(target, target.password, only=True)
            if entry is None or not entry.password:
                return target
            user, rule = target.password, entry.rule
            return replace(target, user=user, user_rule=rule, password=entry.password, password_rule=rule)
        if target.has_password and target.source != "discovered":
            return target
        entry = self.entries.find(target, target.user)
        if entry is not None and entry.password:
            return replace(target, password=entry.password, password_command=None, password_rule=entry.rule)
        if self.single and target.source == "flags":
            return replace(target, password=self.single, password_rule="--redis.password-file")
        return target


#: of no file
NO_PASSWORDS = Passwords()


def read_passwords(file: str, limits: files.FileLimits = files.DEFAULT) -> Passwords:
    """Read a password file. ConfigError with every mistake; it holds no password."""
    shown = masks.mask(file)
    try:
        return files.within(lambda: _load(file, limits), limits.timeout_s)
    except files.NoTextError as error:
        raise ConfigError(f"{shown}: {error}") from None
    except files.FileError as error:
        raise ConfigError(
            f"{shown}: the file cannot be read ({error}): check --redis.password-file"
        ) from None


def _load(file: str, limits: files.FileLimits) -> Passwords:
    text, shown = files.read_text(file, limits.max_bytes), masks.mask(file)
    if text.lstrip().startswith("{"):
        return _read_entries(shown, _read_pairs(shown, text))
    return Passwords(single=_read_single(shown, text))


def _read_single(file: str, text: str) -> str:
    """The password as it is, but for the end of its line."""
    password = text.rstrip("\r\n")
    problem = "it is a list" if _is_list(password) else password_text.fault(password)
    if problem:
        raise ConfigError(f"{file}: {problem}: write one password on one line, or several as {_EXAMPLE[6:]}")
    return password


def _is_list(text: str) -> bool:
    try:
        return text.lstrip().startswith("[") and isinstance(json.loads(text, parse_int=_no_text), list)
    except (ValueError, RecursionError):
        return False


def _read_entries(file: str, pairs: Sequence[tuple[str, Any]]) -> Passwords:
    """An entry whose address cannot be read loses only itself: it is for no target that is configured."""
    problems: list[str] = []
    warnings: list[str] = []
    entries: list[PasswordEntry] = []
    known: dict[tuple[str, str], str] = {}
    for number, (address, password) in enumerate(pairs, 1):
        where = f"{file}: entry {number}"
        problem = _password_fault(address, password)
        if problem:
            problems.append(f"{where}: {problem}")
            continue
        try:
            entry = read_entry(address, password)
        except ConfigError as error:
            warnings.append(f"{where} is left out: {error}")
            continue
        warnings += ignored_warning(where, entry.ignored)
        same = entry.key, entry.user
        if known.get(same, password) != password:
            warnings.append(
                f"{where}: an entry before has another password for the same address and user, and does not "
                f"count: leave one of them out"
            )
        known[same] = password
        entries.append(entry)
    if problems:
        raise ConfigError(*problems)
    return Passwords(PasswordEntries(entries), warnings=bounded(warnings))


def _password_fault(address: str, password: Any) -> str:
    if not isinstance(password, str):
        return "the password must be a text, in quotes"
    if safe_text.valid(address + password) != address + password:
        return "it holds half of a surrogate pair: write the character itself"
    problem = lengths.fault(password, lengths.CREDENTIAL_MAX)
    return f"password: {problem}" if problem else ""


def _read_pairs(file: str, text: str) -> _Pairs:
    """The entries as the file has them. The value of an entry may be anything but null, which is no
    password."""
    try:
        content = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_no_text,
            parse_float=_no_text,
            parse_constant=_no_text,
        )
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{file}, line {error.lineno}: not valid JSON ({error.msg}): {_EXAMPLE}; a single password that "
            f"begins with {{ belongs in REDIS_PASSWORD"
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{file}: not valid JSON (nested too deep): write addresses and passwords only"
        ) from None
    assert isinstance(content, _Pairs)  # the text begins with {
    return _Pairs((address, "" if password is None else password) for address, password in content)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps names that come twice."""


class _Number:
    """A number is always wrong here; to read one of many digits would take long, or raise."""


def _no_text(number: str) -> _Number:
    return _Number()
