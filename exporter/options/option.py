"""How an option is declared: a field of a dataclass is its row. Everything else reads the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, ParamSpec

from exporter.options.source_values import URLS
from exporter.options.values import ADDRESSES, ValueType

_OPTION, _TITLE, _RELOADABLE = "option", "title", "reloadable"
Given = ParamSpec("Given")


@dataclass(frozen=True, slots=True)
class Option:
    """One row. `default` is written as a user writes it.

    `env` None: there is no variable; "": its name follows from the flag's. `aliases` are other names that are
    shown, `former` are old names that still work, with their variables.

    `reloadable`: a reload may change the value while the exporter runs. `per_target`: a target may have a
    value of its own too. `in_file`: a configuration file may set it. The rest is where the field stands, see
    `options_in`.
    """

    flag: str
    type: ValueType
    default: str
    help: str
    env: str | None = ""
    secret: bool = False
    repeatable: bool = False
    aliases: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    reloadable: bool = True
    per_target: bool = False
    in_file: bool = True
    title: str = ""
    group: str = ""
    attribute: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All flags that set it."""
        return (self.flag, *self.aliases, *self.former)

    @property
    def shown(self) -> tuple[str, ...]:
        """The flags that are shown, as they are written: `--help`, `-h`."""
        return tuple(f"{'-' if len(name) == 1 else '--'}{name}" for name in (self.flag, *self.aliases))

    @property
    def variable(self) -> str | None:
        """Name of the environment variable, None where there is none."""
        return self.env if self.env is None or self.env else _variable(self.flag)

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables that set it, the first that is set wins."""
        return (*filter(None, [self.variable]), *map(_variable, self.former))

    @property
    def scope(self) -> str:
        """Where a value holds, in one word."""
        return "target" if self.per_target else "reload" if self.reloadable else "start"


class Setting(NamedTuple):
    """The text of one value, and its source: `flag`, `environment`, `file` or `default`. `variable` is the
    one that was set; `flag` is the alias or former name that was written; `place` is the file and the
    line."""

    text: str
    source: str
    variable: str = ""
    flag: str = ""
    place: str = ""


def _variable(flag: str) -> str:
    return "REDIS_EXPORTER_" + flag.upper().replace(".", "_").replace("-", "_")


def _as_field(make: Callable[Given, Option]) -> Callable[Given, Any]:
    def declare(*args: Given.args, **kwargs: Given.kwargs) -> Any:
        option = make(*args, **kwargs)
        is_shown = not option.secret and option.type not in (ADDRESSES, URLS)  # which may hold passwords
        return field(default=option.type.parse(option.default), metadata={_OPTION: option}, repr=is_shown)

    return declare


#: declares a field that is an option: takes what `Option` takes
flag = _as_field(Option)


def group(title: str, members: type, *, reloadable: bool = True) -> Any:
    """Declares a field that holds options: `members` is a dataclass of them, `title` its heading. With
    `reloadable` False no reload changes any of them."""
    return field(default_factory=members, metadata={_TITLE: title, _RELOADABLE: reloadable})


def options_in(groups: type) -> Iterator[Option]:
    """Every option of a dataclass of groups, in order."""
    for each in fields(groups):
        if _TITLE in each.metadata:
            members = each.default_factory
            assert isinstance(members, type)
            for member in fields(members):
                option: Option = member.metadata[_OPTION]
                yield replace(
                    option,
                    reloadable=option.reloadable and each.metadata[_RELOADABLE],
                    title=each.metadata[_TITLE],
                    group=each.name,
                    attribute=member.name,
                )
