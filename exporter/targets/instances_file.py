"""The targets of a configuration file, with the settings of their groups and of the defaults.

No message of this module holds a piece of an address: a mangled one may have its password anywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.options.config_file import (
    OPTIONS_KEY,
    TARGETS_KEY,
    ConfigFile,
    Faults,
    kind_of,
    one_text,
    place_in,
    shown_key,
)
from exporter.options.overrides import overrides_of
from exporter.options.yaml_reader import YamlList, YamlMap
from exporter.targets.address import parse_address
from exporter.targets.shared_keys import SHARED_KEYS, SharedReader, SharedSettings, Switches
from exporter.targets.target import Target

#: the keys of the file, and those of an entry beside the shared ones, with what they mean
FILE_KEYS: Mapping[str, str] = {
    OPTIONS_KEY: "Options of the process, by the names of their flags.",
    "defaults": "Settings of every entry that does not say otherwise.",
    "groups": "Settings by the name of a group, for the entries that name it.",
    TARGETS_KEY: "The targets.",
}
ENTRY_KEYS: Mapping[str, str] = {
    "name": "A unique name, which becomes the label alias.",
    "addr": "The address, such as redis://host:6379.",
    "group": "The group whose settings count.",
}
#: all keys of an entry, and the shared ones that it may not have
OF_ENTRIES = (*ENTRY_KEYS, *(name for name, key in SHARED_KEYS.items() if key.in_entry))
OF_GROUPS = tuple(name for name, key in SHARED_KEYS.items() if not key.in_entry)


@dataclass(frozen=True, slots=True)
class Named:
    """A target, and the place that names it."""

    where: str
    target: Target


class InstancesFile:
    """Reads the targets of one file. `faults` is what is wrong with them. With `others` it need not have any:
    targets come from elsewhere."""

    def __init__(
        self, file: ConfigFile, environ: Mapping[str, str], switches: Switches, *, others: bool = False
    ) -> None:
        self.faults = Faults(file.shown)
        self._file = file
        self._others = others
        self._reader = SharedReader(environ, file.limits, switches, self.faults)
        self._defaults = SharedSettings()
        self._groups: dict[str, SharedSettings] = {}

    def read(self) -> list[Named]:
        content = self._file.content()
        if content is None:
            return []
        self.faults.check_keys(content, tuple(FILE_KEYS))
        self._defaults = self._read_settings("defaults", content, "defaults")
        self._read_groups(content)
        entries = content.get(TARGETS_KEY)
        if entries is None and (self._others or content.get(OPTIONS_KEY) is not None):
            return []
        if not isinstance(entries, YamlList) or not entries:
            self.faults.add(
                content.lines.get(TARGETS_KEY, 0),
                "redis_instances must be a list with at least one entry: write `- addr: redis://host:6379` "
                "below it",
            )
            return []
        read = [
            self._read_entry(number, line, entry)
            for number, (line, entry) in enumerate(zip(entries.lines, entries, strict=True), 1)
        ]
        return [named for named in read if named is not None]

    @property
    def settings(self) -> Mapping[str, SharedSettings]:
        """Those of its groups by name, and under "" those of targets without a group."""
        return {"": self._defaults, **self._groups}

    def _read_settings(self, what: str, content: YamlMap, key: str) -> SharedSettings:
        """The shared settings below a key."""
        section = content.get(key)
        if section is None:
            return SharedSettings()
        if not isinstance(section, YamlMap):
            self.faults.add(
                content.line_of(key), f"{what}: must be a map with the keys {', '.join(SHARED_KEYS)}"
            )
            return SharedSettings()
        self.faults.check_keys(section, tuple(SHARED_KEYS), f"{what}: ")
        return self._reader.read(what, section)

    def _read_groups(self, content: YamlMap) -> None:
        groups = content.get("groups")
        if groups is None:
            return
        if not isinstance(groups, YamlMap):
            text = f"groups must be a map, not {kind_of(groups)}: write `cache: {{interval: 10s}}` below it"
            self.faults.add(content.line_of("groups"), text)
            return
        for name in groups:
            fault = lengths.fault(name, lengths.NAME_MAX) or ("" if name else "its name is empty")
            if fault:
                self.faults.add(groups.line_of(name), f"group: {fault}")
            settings = self._read_settings(f"group {shown_key(name)}", groups, name)
            self._groups[name] = settings.over(self._defaults)

    def _read_entry(self, number: int, line: int, content: Any) -> Named | None:
        what = f"entry {number}"
        if not isinstance(content, YamlMap):
            self.faults.add(line, f"{what}: must be a map: write `- addr: redis://host:6379`")
            return None
        name = self._text(what, content, "name") or ""
        if len(name) > lengths.NAME_MAX:
            self.faults.add(content.line_of("name"), f"{what}: name: {lengths.fault(name, lengths.NAME_MAX)}")
            return None
        if name:
            what += f" ({name})"
        misplaced = [name for name in OF_GROUPS if name in content]
        self.faults.check_keys(content, (*OF_ENTRIES, *misplaced), f"{what}: ")
        for key in misplaced:
            self.faults.add(content.line_of(key), f"{what}: {key}: only groups have it: write it in one")
        group = self._text(what, content, "group") or ""
        settings = self._reader.read(what, content).over(self._group(what, content, group))
        self._reader.logins.check_ttl(what, content, settings.login)
        target = self._read_addr(what, content)
        if target is None:
            return None
        return Named(f"{place_in(self._file.shown, line)}: {what}", _target(target, name, group, settings))

    def _group(self, what: str, content: YamlMap, name: str) -> SharedSettings:
        if name and name not in self._groups:
            near = difflib.get_close_matches(name, self._groups, n=1)
            known = f"did you mean {near[0]}?" if near else "name it below groups"
            self.faults.add(content.line_of("group"), f"{what}: unknown group {shown_key(name)}: {known}")
        return self._groups.get(name, self._defaults)

    def _read_addr(self, what: str, content: YamlMap) -> Target | None:
        line = content.line_of("addr")
        if content.get("addr") is None:
            self.faults.add(line, f"{what}: addr is missing: write `addr: redis://host:6379`")
            return None
        addr = self._text(what, content, "addr")
        if addr is None:
            return None
        if "${" in addr:
            self.faults.add(
                line,
                f"{what}: addr: ${{…}} works for user and password only: move the password to its own key",
            )
            return None
        try:
            return parse_address(addr)
        except ConfigError as error:
            self.faults.add(line, f"{what}: addr: {error}")
            return None

    def _text(self, what: str, content: YamlMap, key: str) -> str | None:
        value = content.get(key)
        try:
            return None if value is None else one_text(value)
        except ValueError as error:
            self.faults.add(content.line_of(key), f"{what}: {key}: {error}")
            return None


def found_with(found: Target, settings: SharedSettings) -> Target:
    """A target that was found elsewhere, with these settings. Its own labels win."""
    target = _target(found, found.alias, found.settings_group, settings)
    return replace(target, labels=tuple({**dict(target.labels), **dict(found.labels)}.items()))


def _target(place: Target, name: str, group: str, settings: SharedSettings) -> Target:
    login = settings.login.fields
    if place.user:
        login = {key: value for key, value in login.items() if not key.startswith("user")}
    if place.password:
        login = {key: value for key, value in login.items() if not key.startswith("password")}
    return replace(
        place,
        alias=name,
        labels=tuple(settings.labels.items()),
        settings_group=group,
        overrides=overrides_of(settings.all_values.items()),
        places=tuple(settings.places.items()),
        enabled=settings.enabled is not False,
        discover=settings.discover or "",
        **login,
    )
