"""Targets that the configuration knows and that are not polled: `enabled: false`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from exporter.errors import ConfigError, NotAllowedError
from exporter.targets.address import parse_address
from exporter.targets.target import Target


class DisabledTargets:
    """Those among `targets`."""

    def __init__(self, targets: Iterable[Target]) -> None:
        disabled = [target for target in targets if not target.enabled]
        self._by_name = {target.addr: target for target in disabled}
        self._by_name.update({target.alias: target for target in disabled if target.alias})
        self.count = len(disabled)

    def refuse(self, text: str) -> None:
        """Raise NotAllowedError if this is the alias or the address of one of them."""
        if not self._by_name:
            return
        target = self._by_name.get(text)
        if target is None:
            with contextlib.suppress(ConfigError):
                target = self._by_name.get(parse_address(text).addr)
        if target is not None:
            name = target.alias or target.addr
            raise NotAllowedError(f"{name} is not polled: its configuration says `enabled: false`")

    @property
    def notes(self) -> Sequence[str]:
        """The line for the log, if there are any."""
        if not self.count:
            return ()
        return (f"{self.count} target{' is' if self.count == 1 else 's are'} not polled: enabled is false",)
