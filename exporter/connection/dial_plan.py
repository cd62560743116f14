"""How each target is dialled: its settings, and the TLS context that it shares with those of equal TLS
settings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from exporter.connection.settings import DialSettings
from exporter.connection.tls import client_context
from exporter.pem_files import FreshContext
from exporter.targets.target import Target


class DialPlan:
    """`settings_of` gives the settings of a target; they depend on its overrides alone. Contexts of the plan
    `before` are used again where nothing about them changes."""

    def __init__(self, settings_of: Callable[[Target], DialSettings], before: DialPlan | None = None) -> None:
        self._settings_of = settings_of
        self._settings: dict[Hashable, DialSettings] = {}  # by overrides
        self._before = dict(before._contexts) if before is not None else {}
        self._contexts: dict[tuple[object, ...], FreshContext] = {}

    @property
    def contexts(self) -> Sequence[FreshContext]:
        """Those that some target uses."""
        return tuple(self._contexts.values())

    def settings_of(self, target: Target) -> DialSettings:
        """Those of a variant are not kept: requests may ask for any number of them."""
        if target.variant:
            return self._settings_of(target)
        settings = self._settings.get(target.overrides)
        if settings is None:
            settings = self._settings[target.overrides] = self._settings_of(target)
        return settings

    def context_of(self, settings: DialSettings) -> FreshContext:
        """The first use of a context reads its files: ConfigError names one that cannot be used."""
        context = self._contexts.get(settings.of_tls)
        if context is None:
            context = self._before.get(settings.of_tls) or client_context(settings)
            self._contexts[settings.of_tls] = context
        return context


def same_for_all(settings: DialSettings) -> DialPlan:
    return DialPlan(lambda target: settings)
