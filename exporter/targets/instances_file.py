"""The instances file: YAML text becomes targets, or every mistake at once.

No message of this module holds a piece of an address: a mangled one may have its password anywhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exporter import files
from exporter.errors import ConfigError
from exporter.options import lengths, masks
from exporter.options.overrides import overrides_of
from exporter.options.values import parse_interval
from exporter.targets.address import parse_address
from exporter.targets.target import Target
from exporter.options.yaml_reader import YamlTextError, read_yaml

#: label names that the program writes itself, or that mean something else to Prometheus
REFUSED_LABELS = frozenset({"addr", "alias", "le", "quantile"})

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


@dataclass(frozen=True, slots=True)
class Named:
    """A target, and the place that names it."""

    where: str
    target: Target


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What the file sets for all its entries; None: not set."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    interval_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


_SHARED_KEYS = ("user", "password", "interval", "labels")
_ENTRY_KEYS = ("name", "addr", *_SHARED_KEYS)
_FILE_KEYS = ("redis_instances", "defaults")


class InstancesFile:
    """Reads one instances file, and adds what is wrong with it to `problems`."""

    def __init__(
        self, file: str, environ: Mapping[str, str], problems: list[str], limits: files.FileLimits
    ) -> None:
        self.file = file
        self.shown = masks.mask(file)
        self.environ = environ
        self.problems = problems
        self.limits = limits

    def read(self) -> list[Named]:
        content = self._load()
        if content is None:
            return []
        self._check_keys(self.shown, content, _FILE_KEYS)
        defaults = self._read_defaults(content.get("defaults"))
        entries = content.get("redis_instances")
        if not isinstance(entries, list) or not entries:
            self.problems.append(
                f"{self.shown}: redis_instances must be a list with at least one entry: write `- addr: "
                f"redis://host:6379` below it"
            )
            return []
        read = [self._read_entry(number, entry, defaults) for number, entry in enumerate(entries, 1)]
        return [named for named in read if named is not None]

    def _load(self) -> Mapping[str, Any] | None:
        try:
            content = read_yaml(
                files.within(lambda: files.read_text(self.file, self.limits.max_bytes), self.limits.timeout_s)
            )
        except files.NoTextError as error:
            self.problems.append(f"{self.shown}: {error}")
        except files.FileError as error:
            self.problems.append(f"{self.shown}: the file cannot be read ({error}): check --redis-file")
        except YamlTextError as error:
            self.problems.append(f"{self.shown}{f', line {error.line}' if error.line else ''}: {error}")
        else:
            if isinstance(content, dict):
                return content
            self.problems.append(
                f"{self.shown}: the file has no entries: begin with `redis_instances:` and a list of entries "
                f"below it"
            )
        return None

    def _read_defaults(self, content: Any) -> _Defaults:
        if content is None:
            return _Defaults()
        where = f"{self.shown}: defaults"
        if not isinstance(content, dict):
            self.problems.append(f"{where}: must be a map with the keys {', '.join(_SHARED_KEYS)}")
            return _Defaults()
        self._check_keys(where, content, _SHARED_KEYS)
        return self._read_shared(where, content, _Defaults())

    def _read_entry(self, number: int, content: Any, defaults: _Defaults) -> Named | None:
        where = f"{self.shown}: entry {number}"
        if not isinstance(content, dict):
            self.problems.append(f"{where}: must be a map: write `- addr: redis://host:6379`")
            return None
        name = self._text(where, content, "name") or ""
        if len(name) > lengths.NAME_MAX:
            self.problems.append(f"{where}: name: {lengths.fault(name, lengths.NAME_MAX)}")
            return None
        if name:
            where += f" ({name})"
        self._check_keys(where, content, _ENTRY_KEYS)
        shared = self._read_shared(where, content, defaults)
        target = self._read_addr(where, content)
        if target is None:
            return None
        return Named(
            where,
            replace(
                target,
                alias=name,
                labels=tuple(shared.labels.items()),
                user=target.user or shared.user or "",
                password=target.password or shared.password or "",
                overrides=overrides_of(
                    [] if shared.interval_s is None else [("poll.interval", shared.interval_s)]
                ),
            ),
        )

    def _read_addr(self, where: str, content: Mapping[str, Any]) -> Target | None:
        if content.get("addr") is None:
            self.problems.append(f"{where}: addr is missing: write `addr: redis://host:6379`")
            return None
        addr = self._text(where, content, "addr")
        if addr is None:
            return None
        if "${" in addr:
            self.problems.append(
                f"{where}: addr: ${{…}} works for user and password only: move the password to its own key"
            )
            return None
        try:
            return parse_address(addr)
        except ConfigError as error:
            self.problems.append(f"{where}: addr: {error}")
            return None

    def _read_shared(self, where: str, content: Mapping[str, Any], base: _Defaults) -> _Defaults:
        """The keys that defaults and entries share. Without a key the value of `base` counts."""
        user = self._fill(where, "user", self._text(where, content, "user"))
        password = self._fill(where, "password", self._text(where, content, "password"))
        interval_s = self._read_interval(where, self._text(where, content, "interval"))
        return _Defaults(
            base.user if user is None else user,
            base.password if password is None else password,
            base.interval_s if interval_s is None else interval_s,
            {**base.labels, **self._read_labels(where, content.get("labels"))},
        )

    def _text(self, where: str, content: Mapping[str, Any], key: str) -> str | None:
        value = content.get(key)
        if value is None or isinstance(value, str):
            return value
        self.problems.append(
            f"{where}: {key} must be a text, not {_kind(value)}: write `{key}: …` on one line"
        )
        return None

    def _fill(self, where: str, key: str, text: str | None) -> str | None:
        """Replace each `${VAR}` by its value in the environment; `$${` means a plain `${`."""
        if text is None:
            return None
        if len(text) > lengths.CREDENTIAL_MAX:  # each ${VAR} in it may be as long
            self.problems.append(f"{where}: {key}: {lengths.fault(text, lengths.CREDENTIAL_MAX)}")
            return None

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if match[1] is None:
                self.problems.append(
                    f"{where}: {key}: a variable's name and }} must follow ${{: write ${{NAME}}, or $${{ for "
                    f"a plain ${{"
                )
            elif match[1] not in self.environ:
                self.problems.append(
                    f"{where}: {key}: the variable {match[1]} is not set: set it, or write $${{ for a plain "
                    f"${{"
                )
            return self.environ.get(match[1] or "", "")

        return _VARIABLE.sub(value, text)

    def _read_interval(self, where: str, text: str | None) -> float | None:
        if text is None:
            return None
        try:
            return parse_interval(text)
        except ValueError as error:
            self.problems.append(f"{where}: interval: {error}")
            return None

    def _read_labels(self, where: str, content: Any) -> dict[str, str]:
        if content is None:
            return {}
        if not isinstance(content, dict):
            self.problems.append(
                f"{where}: labels must be a map, not {_kind(content)}: write `labels: {{env: production}}`"
            )
            return {}
        labels = {}
        for name, value in content.items():
            fault = _label_fault(name, value)
            if fault:
                self.problems.append(f"{where}: label {_shown(name)}: {fault}")
            else:
                labels[name] = value
        return labels

    def _check_keys(self, where: str, content: Mapping[Any, Any], known: Sequence[str]) -> None:
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(str(key)[:100], known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
                self.problems.append(f"{where}: unknown key {_shown(key)}: {hint}")


def _kind(value: Any) -> str:
    return "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a text"


def _shown(key: Any) -> str:
    """A key, as messages may show it: `{password:word}` is one key, with a password in it."""
    return (
        str(key)
        if re.fullmatch(r"[\w.-]{1,60}", str(key))
        else "with unusual characters (is a space missing after a colon?)"
    )


def _label_fault(name: Any, value: Any) -> str | None:
    if not isinstance(name, str) or not _LABEL.match(name):
        return "not a valid label name: write letters, digits and _ only, and no digit first"
    if len(name) > lengths.NAME_MAX:
        return lengths.fault(name, lengths.NAME_MAX)
    if name.startswith("__"):
        return "Prometheus reserves names that begin with __: write another one"
    if name in REFUSED_LABELS:
        return f"{', '.join(sorted(REFUSED_LABELS))} are reserved: write another name"
    if not isinstance(value, str):
        return f"its value must be a text: write `{name}: …` on one line"
    return None
