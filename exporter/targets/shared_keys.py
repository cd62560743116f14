"""The keys that entries, groups and defaults of a configuration file share: the table of them, and how each
is read.

Most keys are other spellings of options that a target may have a value of its own for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from exporter import files
from exporter.node_allowance import Allowance
from exporter.options import lengths
from exporter.options.config_file import (
    Faults,
    joined,
    kind_of,
    nearest_option,
    one_text,
    place_in,
    shown_key,
    text_of,
)
from exporter.options.option import Option
from exporter.options.script_files import read_scripts
from exporter.options.table import OPTIONS
from exporter.options.target_options import DISCOVER_MODE, Discover
from exporter.options.values import BOOL, FILES, SCRAPE_ALLOWANCE, TEXT, ScriptFile, ValueType, parse_bool
from exporter.options.yaml_reader import YamlMap
from exporter.targets.login_keys import Login, LoginReader

#: label names that the program writes itself, or that mean something else to Prometheus
REFUSED_LABELS = frozenset({"addr", "alias", "le", "quantile"})

#: labels that one place gives to targets: each of their series repeats them
LABELS_MAX = 64

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")

#: switches collectors off
OFF = "collectors.off"
#: options that have keys in place of them
_KEYS_OF = {"redis.user": "user", "redis.password": "password", OFF: "collectors"}
PER_TARGET: Mapping[str, Option] = {
    option.flag: option for option in OPTIONS if option.per_target and option.flag not in _KEYS_OF
}

#: how the value of a key is written
Form = Literal[
    "credential",
    "arguments",
    "duration",
    "labels",
    "value",
    "option",
    "option map",
    "collectors",
    "any options",
]


@dataclass(frozen=True, slots=True)
class SharedKey:
    """One key. `flags` are those that an option key, or the keys of a map of options, stand for; `type` is
    how a value is read that belongs to no option of a target. `in_entry`: an entry may have it, not only a
    group."""

    name: str
    form: Form
    help: str
    flags: Mapping[str, str] = field(default_factory=dict)
    type: ValueType = TEXT
    in_entry: bool = True


_LANES = {
    "fast": "poll.interval",
    "standard": "poll.standard-interval",
    "slow": "poll.slow-interval",
    "scan": "poll.scan-interval",
}
_TLS = {
    "ca": "tls-ca-cert-file",
    "cert": "tls-client-cert-file",
    "key": "tls-client-key-file",
    "server_name": "tls-server-name",
    "skip_verify": "skip-tls-verification",
}
#: `keys` for check-keys, `count_keys` for count-keys
_CHECKS = {
    flag.removeprefix("check-").replace("-", "_"): flag
    for flag in PER_TARGET
    if flag.startswith("check-") or flag == "count-keys"
}

_PLACEHOLDERS = "${NAME} is the value of a variable, ${file:/path} what a file holds."

SHARED_KEYS: Mapping[str, SharedKey] = {
    key.name: key
    for key in (
        SharedKey("user", "credential", f"ACL user. {_PLACEHOLDERS}"),
        SharedKey("password", "credential", f"Password. {_PLACEHOLDERS}"),
        SharedKey("password_file", "credential", "File that holds the password."),
        SharedKey(
            "password_command", "arguments", "Program and its arguments: what it prints is the password."
        ),
        SharedKey("password_ttl", "duration", "How long the password of password_command is used."),
        SharedKey("labels", "labels", "Labels for every series, beside those of the group and defaults."),
        SharedKey("interval", "option", "Time between two polls of the fast lane.", {"": "poll.interval"}),
        SharedKey("lanes", "option map", "Time between two polls of each lane.", _LANES),
        SharedKey("tls", "option map", "How TLS connections are made.", _TLS),
        SharedKey("checks", "option map", "What to look at among the data.", _CHECKS),
        SharedKey("collectors", "collectors", "Collectors by name, true for on and false for off."),
        SharedKey("enabled", "value", "false: the target is known, and not polled.", type=BOOL),
        SharedKey("discover", "value", "Which further targets this one names.", type=DISCOVER_MODE),
        SharedKey(
            "allow",
            "value",
            "Of a group: the networks, addresses and host names for which /scrape?auth= may use its login.",
            type=SCRAPE_ALLOWANCE,
            in_entry=False,
        ),
        SharedKey("options", "any options", "Options by the names of their flags, for these targets only."),
    )
}


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """What the shared keys of one place set. None, or no value for a name, means that they leave it open.
    `values` are those of options, by flag, and `places` the file and line of each; `off` are the collectors
    that are off for all targets."""

    login: Login = field(default_factory=Login)
    labels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    collectors: Mapping[str, bool] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    enabled: bool | None = None
    discover: Discover | None = None
    allow: Allowance | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def all_values(self) -> Mapping[str, Any]:
        """The values of options, with the one that switches collectors off."""
        if not self.collectors:
            return self.values
        off = {name for name, on in self.collectors.items() if not on}
        on = {name for name, on in self.collectors.items() if on}
        return {**self.values, OFF: tuple(sorted({*self.off, *off} - on))}

    def over(self, base: SharedSettings) -> SharedSettings:
        """These, and of the other ones what these leave open."""
        return SharedSettings(
            self.login.over(base.login),
            {**base.labels, **self.labels},
            {**base.values, **self.values} if self.values else base.values,
            {**base.collectors, **self.collectors} if self.collectors else base.collectors,
            self.off or base.off,
            base.enabled if self.enabled is None else self.enabled,
            base.discover if self.discover is None else self.discover,
            base.allow if self.allow is None else self.allow,
            {**base.places, **self.places} if self.places else base.places,
        )


@dataclass(frozen=True, slots=True)
class Switches:
    """`flags` gives, by the name of a collector, the flag that switches it on: "" if it is on by itself, None
    if it has no switch. `off` are those that are off for all targets."""

    flags: Callable[[], Mapping[str, str | None]]
    off: tuple[str, ...] = ()


class SharedReader:
    """Reads the shared keys of several places of one file, and adds what is wrong to `faults`."""

    def __init__(
        self, environ: Mapping[str, str], limits: files.FileLimits, switches: Switches, faults: Faults
    ) -> None:
        self.logins = LoginReader(environ, limits, faults)
        self._environ = environ
        self._limits = limits
        self._switches = switches
        self._faults = faults

    def read(self, what: str, content: YamlMap) -> SharedSettings:
        """`what` says whose keys these are, such as "defaults"."""
        found: dict[str, Any] = {}
        values: dict[str, Any] = {}
        places: dict[str, str] = {}
        for name, value in content.items():
            key = SHARED_KEYS.get(name)
            if key is None or value is None:
                continue
            line = content.line_of(name)
            try:
                match key.form:
                    case "labels":
                        found[name] = self._labels(what, line, value)
                    case "value":
                        found[name] = key.type.parse(joined(key.type, value))
                    case "option":
                        self._set(values, name, key.flags[""], value)
                    case "collectors":
                        found[name] = self._collectors(what, value, values)
                    case "option map" | "any options":
                        self._read_map(what, key, line, value, values)
            except ValueError as error:
                self._faults.add(line, f"{what}: {name}: {error}")
            for flag in (*values, *([OFF] if key.form == "collectors" else [])):
                places.setdefault(flag, place_in(self._faults.file, _line_of(key, flag, value) or line))
        self._check_pair(what, content, values)
        login, off = self.logins.read(what, content), self._switches.off
        return SharedSettings(login, values=values, off=off, places=places, **found)

    def _set(self, values: dict[str, Any], name: str, flag: str, value: Any) -> None:
        """Read the value of an option that a key `name` stands for."""
        option = PER_TARGET[flag]
        try:
            text = text_of(option, value, self._environ, self._limits)
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{flag}: ")) from None
        if flag in values:
            raise ValueError(f"{flag} is already set beside it: leave one of them out")
        values[flag] = option.type.parse(text)
        if option.type is FILES:
            values[flag] = self._read_scripts(values[flag])

    def _read_scripts(self, names: Sequence[str]) -> tuple[ScriptFile, ...]:
        problems: list[str] = []
        scripts = read_scripts(names, self._limits, problems)
        if problems:
            raise ValueError(problems[0])
        return scripts

    def _read_map(self, what: str, key: SharedKey, line: int, content: Any, values: dict[str, Any]) -> None:
        """Read a map of options."""
        known = key.flags or {flag: flag for flag in PER_TARGET}
        if not isinstance(content, YamlMap):
            example = next(iter(known))
            raise ValueError(f"write a map, not {kind_of(content)}, such as `{key.name}: {{{example}: …}}`")
        if key.flags:
            self._faults.check_keys(content, known, f"{what}: {key.name}: ")
        for name, value in content.items():
            if value is None:
                continue
            try:
                if name in known:
                    self._set(values, name, known[name], value)
                elif not key.flags:
                    raise ValueError(_why_not(name, known))
            except ValueError as error:
                self._faults.add(content.line_of(name), f"{what}: {key.name}: {shown_key(name)}: {error}")

    def _check_pair(self, what: str, content: YamlMap, values: Mapping[str, Any]) -> None:
        cert, key = (values.get(flag) for flag in (_TLS["cert"], _TLS["key"]))
        if bool(cert) != bool(key):
            given, missing = ("cert", "key") if cert else ("key", "cert")
            at = content.line_of("tls" if content.get("tls") else "options")
            self._faults.add(at, f"{what}: tls: {given} is set alone: set {missing} beside it, or neither")

    def _collectors(self, what: str, content: Any, values: dict[str, Any]) -> dict[str, bool]:
        """Which are on or off. What switches one on goes to `values`, unless it is there."""
        if not isinstance(content, YamlMap):
            raise ValueError(f"write a map, not {kind_of(content)}, such as `collectors: {{slowlog: false}}`")
        flags = self._switches.flags()
        self._faults.check_keys(content, flags, f"{what}: collectors: ")
        found = {}
        for name, value in content.items():
            if name not in flags or value is None:
                continue
            try:
                found[name] = parse_bool(one_text(value))
                flag = flags[name]
                if found[name] and flag is None:
                    raise ValueError("it runs for the data that checks name: write these")
                if found[name] and flag:
                    values.setdefault(flag, True)
            except ValueError as error:
                self._faults.add(content.line_of(name), f"{what}: collectors: {name}: {error}")
        return found

    def _labels(self, what: str, line: int, content: Any) -> dict[str, str]:
        if not isinstance(content, YamlMap):
            raise ValueError(f"write a map, not {kind_of(content)}, such as `labels: {{env: production}}`")
        if len(content) > LABELS_MAX:
            raise ValueError(f"{len(content):,} labels are too many: the most is {LABELS_MAX}")
        labels = {}
        for name, value in content.items():
            fault = label_fault(name)
            if not isinstance(value, str):
                fault = fault or f"its value must be a text: write `{name}: …` on one line"
            if fault:
                self._faults.add(content.line_of(name), f"{what}: label {shown_key(name)}: {fault}")
            else:
                labels[name] = value
        return labels


def _line_of(key: SharedKey, flag: str, content: Any) -> int:
    """The line of an option in a map of them; 0 if it is not in one."""
    names = {of: name for name, of in key.flags.items()} if key.flags else {flag: flag}
    name = names.get(flag, "")
    return content.line_of(name) if isinstance(content, YamlMap) and name in content else 0


def _why_not(name: str, known: Mapping[str, str]) -> str:
    """Why a key names no option of a target."""
    if name in _KEYS_OF:
        return f"write the key {_KEYS_OF[name]} in place of it"
    if any(name in option.names for option in OPTIONS):
        return "no target has a value of its own for it: write it in the options of the file"
    return f"unknown option: {nearest_option(name, known)}"


def label_fault(name: str) -> str | None:
    """Why a target can have no label of this name."""
    if not _LABEL.match(name):
        return "not a valid label name: write letters, digits and _ only, and no digit first"
    if len(name) > lengths.NAME_MAX:
        return lengths.fault(name, lengths.NAME_MAX)
    if name.startswith("__"):
        return "Prometheus reserves names that begin with __: write another one"
    if name in REFUSED_LABELS:
        return f"{', '.join(sorted(REFUSED_LABELS))} are reserved: write another name"
    return None
