"""A configuration file: its text is read once, for the options and for the targets in it, and every mistake
has its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from exporter import files, masks
from exporter.options.option import Option, Setting
from exporter.options.placeholders import fill
from exporter.options.values import CREDENTIAL, ValueType
from exporter.options.yaml_reader import YamlList, YamlMap, YamlTextError, read_yaml

#: the key of the options of the process
OPTIONS_KEY = "options"
#: and that of the targets
TARGETS_KEY = "redis_instances"


class Faults:
    """What is wrong with one file, by line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, text: str) -> None:
        """`line` counts from 1; 0 stands for the whole file."""
        self._found.append((line, text))

    def check_keys(self, content: YamlMap, known: Collection[str], what: str = "") -> None:
        """Add each key that is not known. `what` says whose keys these are, such as "defaults: "."""
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(key[:100], known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
                self.add(content.line_of(key), f"{what}unknown key {shown_key(key)}: {hint}")

    @property
    def lines(self) -> list[str]:
        """One line for each, in the order of the file."""
        ordered = sorted(self._found, key=lambda fault: fault[0])
        return [f"{place_in(self.file, line)}: {text}" for line, text in ordered]

    def joined(self, other: Faults) -> Faults:
        """Those of both, which are of one file."""
        joined = Faults(self.file)
        joined._found = [*self._found, *other._found]
        return joined


def place_in(file: str, line: int) -> str:
    return f"{file}, line {line}" if line else file


def shown_key(key: str) -> str:
    """A key, as messages may show it: `{password:word}` is one key, with a password in it."""
    return (
        key
        if re.fullmatch(r"[\w.-]{1,60}", key)
        else "with unusual characters (is a space missing after a colon?)"
    )


def kind_of(value: Any) -> str:
    """A value, as messages call it."""
    if value is None:
        return "nothing"
    return "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a text"


class ConfigFile:
    """One file. `flag` names it, `faults` are those of its text and of its options; `limits` are those of the
    files that it names, too."""

    def __init__(self, flag: str, name: str, limits: files.FileLimits) -> None:
        self.shown = masks.mask(name)
        self.faults = Faults(self.shown)
        self._flag = flag
        self._name = name
        self.limits = limits
        self._content: YamlMap | None = None

    def content(self) -> YamlMap | None:
        """What the file holds; None if it cannot be used, as `faults` says."""
        if self._content is None:
            self._content = self._load()
        return self._content

    @property
    def names_targets(self) -> bool:
        """Whether it has a list of targets. One that cannot be used counts too."""
        content = self.content()
        return content is None or OPTIONS_KEY not in content or TARGETS_KEY in content

    def forget(self) -> None:
        """Keep what the file holds no longer: of ten thousand targets it is much."""
        self._content = None

    def _load(self) -> YamlMap | None:
        faults = Faults(self.shown)
        try:
            content = read_yaml(
                files.within(
                    lambda: files.read_text(self._name, self.limits.max_bytes), self.limits.timeout_s
                )
            )
        except files.NoTextError as error:
            faults.add(0, str(error))
        except files.FileError as error:
            faults.add(0, f"the file cannot be read ({error}): check --{self._flag}")
        except YamlTextError as error:
            faults.add(error.line, str(error))
        else:
            if isinstance(content, YamlMap):
                return content
            faults.add(
                0,
                "the file has no entries: begin with `redis_instances:` and a list of entries below it",
            )
        self.faults = faults
        return None

    def settings(
        self, options: Mapping[str, Option], environ: Mapping[str, str], before: Mapping[str, Setting]
    ) -> dict[str, Setting]:
        """The values of options that the file sets, by flag. `options` are all of them by their names;
        another file may have set some `before`."""
        content = self.content()
        section = None if content is None else content.get(OPTIONS_KEY)
        if content is None or section is None:
            return {}
        if not isinstance(section, YamlMap):
            text = f"options must be a map, not {kind_of(section)}: write `poll.interval: 5s` below it"
            self.faults.add(content.line_of(OPTIONS_KEY), text)
            return {}
        named = {name: option for name, option in options.items() if option.in_file}
        found: dict[str, Setting] = {}
        for key, value in section.items():
            line = section.line_of(key)
            if value is None:
                continue
            try:
                option = named.get(key) or _refuse(key, named, key in options)
                text = text_of(option, value, environ, self.limits)
                place = found[option.flag].place if option.flag in found else before[option.flag].place
                if place:
                    raise ValueError(f"{key} is already set in {place}: leave one of them out")
            except ValueError as error:
                self.faults.add(line, f"options: {error}")
            else:
                found[option.flag] = Setting(text, "file", place=place_in(self.shown, line))
        return found


def _refuse(key: str, known: Collection[str], is_option: bool) -> NoReturn:
    if is_option:
        raise ValueError(f"{key} has no place in a file: write it as a flag or a variable")
    raise ValueError(f"unknown option {shown_key(key)}: {nearest_option(key, known)}")


def nearest_option(key: str, known: Collection[str]) -> str:
    """What to write in place of a key that is no option."""
    near = difflib.get_close_matches(key.lstrip("-")[:100], known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "write the name of a flag, without its dashes"


def text_of(
    option: Option, value: Any, environ: Mapping[str, str], limits: files.FileLimits = files.DEFAULT
) -> str:
    """A value as its flag would have it. ValueError if the option does not take it."""
    try:
        text = joined(option.type, value)
        text = fill(text, environ, limits) if option.secret or option.type is CREDENTIAL else text
        option.type.parse(text)
    except ValueError as error:
        raise ValueError(f"{option.flag}: {masks.mask(str(error))}") from None
    return text


def joined(kind: ValueType, value: Any) -> str:
    """A value as one text: of a list its items, if this kind of value may be one. ValueError otherwise."""
    if isinstance(value, YamlList) and kind.join is not None:
        value = kind.join([_checked_item(each) for each in value])
    if not isinstance(value, str):
        many = "a text or a list of texts" if kind.join is not None else "a text"
        raise ValueError(f"write {many}, not {kind_of(value)}")
    return value


def one_text(value: Any) -> str:
    """A value that has to be a text. ValueError otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"write a text on one line, not {kind_of(value)}")
    return value


def _checked_item(item: Any) -> str:
    if not isinstance(item, str):
        raise ValueError(f"an item of the list must be a text, not {kind_of(item)}")
    return item
