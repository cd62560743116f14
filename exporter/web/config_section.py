"""One map of the web configuration file: gives the values of keys, and notes what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from exporter.options.config_file import Faults, kind_of, shown_key
from exporter.options.yaml_reader import YamlList, YamlMap

#: as YAML 1.1 has them, in any case of letters
_SWITCHES = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
T = TypeVar("T")


def section_of(content: YamlMap, key: str, faults: Faults, within: str = "") -> ConfigSection | None:
    """The map under a key; None if there is none, or it is empty. `within` is the name of the map around it,
    with a colon."""
    found, name = content.get(key), f"{within}{key}"
    if found is not None and not isinstance(found, YamlMap):
        faults.add(content.line_of(key), f"{name}: write a map, not {kind_of(found)}")
    return ConfigSection(found, name, faults) if isinstance(found, YamlMap) and found else None


class ConfigSection:
    """The map, as messages call it by its `name`. Values that are wrong count as not written."""

    def __init__(self, content: YamlMap, name: str, faults: Faults) -> None:
        self._content = content
        self._name = name
        self._faults = faults

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def has(self, key: str) -> bool:
        """Whether it is written, and not empty."""
        return self._content.get(key) not in (None, "", [])

    def place(self, key: str, file: str) -> str:
        """Where a key is, for messages about what it names."""
        return f"{file}, line {self._content.line_of(key)}: {self._name}: {key}"

    def refuse(self, key: str, text: str) -> None:
        """Note what is wrong with a value. The text holds nothing of it that may be a secret."""
        self._faults.add(self._content.line_of(key), f"{self._name}: {shown_key(key)}: {text}")

    def check_keys(self, known: Collection[str]) -> None:
        self._faults.check_keys(self._content, known, f"{self._name}: ")

    def section(self, key: str) -> ConfigSection | None:
        """A map within this one."""
        return section_of(self._content, key, self._faults, f"{self._name}: ")

    def text(self, key: str) -> str:
        """A text; "" without one."""
        found = self._content.get(key)
        if found is not None and not isinstance(found, str):
            self.refuse(key, f"write a text, not {kind_of(found)}")
        return found if isinstance(found, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self._content.get(key)
        if found is None:
            return ()
        if not isinstance(found, YamlList) or not all(isinstance(each, str) for each in found):
            self.refuse(key, "write a list of texts, each behind a dash")
            return ()
        return tuple(found)

    def switch(self, key: str, usual: bool) -> bool:
        text = self.text(key)
        if text and text.lower() not in _SWITCHES:
            self.refuse(key, "write true or false")
        return _SWITCHES.get(text.lower(), usual)

    def choice(self, key: str, choices: Mapping[str, T], usual: T) -> T:
        """What one of some words means."""
        text = self.text(key)
        if text and text not in choices:
            self.refuse(key, _unknown(text, choices))
        return choices.get(text, usual)

    def choices(self, key: str, known: Mapping[str, T]) -> tuple[T, ...]:
        """What each word of a list means."""
        texts = self.texts(key)
        for text in texts:
            if text not in known:
                self.refuse(key, _unknown(text, known))
        return tuple(known[text] for text in texts if text in known)


def _unknown(text: str, known: Collection[str]) -> str:
    shown = text if re.fullmatch(r"[\w.-]{1,60}", text) else "this value"
    return f"{shown} is not known: write one of {', '.join(known)}"
