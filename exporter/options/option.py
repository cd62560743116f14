"""One option: its flag, variable, default, help."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.options.values import ValueType


@dataclass(frozen=True, slots=True)
class Option:
    """One row. `default` is text as one would write it; `env` None: no variable, "": derived from the
    flag's name."""

    flag: str
    form: ValueType
    default: str
    group: str
    attribute: str
    help: str
    env: str | None = ""
    secret: bool = False
    repeatable: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def variable(self) -> str | None:
        """Name of the environment variable, None where there is none."""
        if self.env is None or self.env:
            return self.env
        return "REDIS_EXPORTER_" + self.flag.upper().replace(".", "_").replace("-", "_")
