"""Which targets requests may name that nobody configured, and with whose credentials they are polled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from exporter.errors import NotAllowedError, RequestError
from exporter.node_allowance import Allowance
from exporter.targets.asked import Asked
from exporter.targets.password_file import NO_PASSWORDS, Passwords
from exporter.targets.target import Target


@dataclass(frozen=True, slots=True)
class NamedLogin:
    """Credentials that a request picks by name: `fields` of a target, from a group of the configuration file.
    They are sent only where `allow` says."""

    allow: Allowance
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScrapeAccess:
    """What requests may name: what `allow` holds; without it anything, if `is_open`, else nothing.

    `user` and `password` are for all targets in `allow` that have no other, `logins` for those that ask for
    them by name.
    """

    allow: Allowance | None = None
    is_open: bool = False
    passwords: Passwords = NO_PASSWORDS
    user: str = ""
    password: str = field(default="", repr=False)
    logins: Mapping[str, NamedLogin] = field(default_factory=dict, repr=False)

    @property
    def allows_any(self) -> bool:
        return self.is_open or self.allow is not None

    @property
    def rules(self) -> object:
        """What decides which targets requests may name."""
        return self.allow, self.is_open, {name: login.allow for name, login in self.logins.items()}

    def log_in(self, place: Target, asked: Asked) -> Target:
        """The target at a place, with its credentials: those of its address, else those asked for by name,
        else of the password file, else the common ones. NotAllowedError, or RequestError."""
        if place.path:
            raise NotAllowedError(
                "target: requests cannot name a unix socket: configure it with --redis.addr or --config.file"
            )
        target = replace(place, source="adopted", overrides=asked.overrides)
        if asked.auth:
            return self._log_in_by_name(target, asked.auth)
        target = self.passwords.log_in(target)
        if target.has_password or self.allow is None:
            return target
        if self.user and not target.user:
            target = replace(target, user=self.user, user_rule="--redis.user")
        if self.password:
            return replace(target, password=self.password, password_rule="--redis.password")
        if self.passwords.single:
            return replace(target, password=self.passwords.single, password_rule="--redis.password-file")
        return target

    def _log_in_by_name(self, target: Target, name: str) -> Target:
        if target.user or target.has_password:
            raise RequestError("auth: the target has a user or password already: leave one of them out")
        if self.allow is None:
            raise NotAllowedError("auth: start the exporter with --scrape.allow to name credentials")
        login = self.logins.get(name)
        if login is None:
            raise NotAllowedError(
                "auth: write the name of a group of the configuration file that has the key allow"
            )
        return replace(target, **login.fields, login_allow=login.allow)
