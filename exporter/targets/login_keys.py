"""The keys of a configuration file that give user and password: how they are read, and which one counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from exporter import files, masks
from exporter.options import lengths
from exporter.options.config_file import Faults, kind_of, one_text
from exporter.options.placeholders import fill, text_of_file
from exporter.options.values import parse_interval
from exporter.options.yaml_reader import YamlList, YamlMap
from exporter.targets import password_text
from exporter.targets.password_command import PasswordCommand

#: each gives the password: one place has one of them at most
PASSWORD_KEYS = ("password", "password_file", "password_command")
USER_KEY, TTL_KEY = "user", "password_ttl"
ARGUMENTS_MAX = 100

_EXAMPLE = "`password_command: [vault, kv, get, -field=password, secret/redis]`"


@dataclass(frozen=True, slots=True)
class Given:
    """A user or a password, as a text or by a command; and the rule that gave it, for logs."""

    rule: str
    text: str = field(default="", repr=False)
    command: PasswordCommand | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """What the keys of one place give. None means that they leave it open."""

    user: Given | None = None
    password: Given | None = None
    ttl_s: float | None = None

    def over(self, base: Login) -> Login:
        """These, and of the other ones what these leave open."""
        return Login(
            base.user if self.user is None else self.user,
            base.password if self.password is None else self.password,
            base.ttl_s if self.ttl_s is None else self.ttl_s,
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a target that has nothing in its address."""
        user, password = self.user or Given(""), self.password or Given("")
        command = password.command
        if command is not None and self.ttl_s is not None:
            command = replace(command, ttl_s=self.ttl_s)
        return {
            "user": user.text,
            "user_rule": user.rule if user.text else "",
            "password": password.text,
            "password_command": command,
            "password_rule": password.rule if password.text or command else "",
        }


class LoginReader:
    """Reads these keys of several places of one file, and adds what is wrong to `faults`. A file that several
    name is read once."""

    def __init__(self, environ: Mapping[str, str], limits: files.FileLimits, faults: Faults) -> None:
        self._environ = environ
        self._limits = limits
        self._faults = faults
        self._files: dict[str, str] = {}
        secrets = (value for name, value in environ.items() if masks.SECRET_NAME.search(name))
        self._secrets = tuple(dict.fromkeys(filter(None, secrets)))

    def read(self, what: str, content: YamlMap) -> Login:
        """`what` says whose keys these are, such as "defaults"."""
        whose = "the entry" if what.startswith("entry ") else what  # entries may change their numbers
        readers: dict[str, Callable[[Any], Any]] = {
            USER_KEY: lambda value: Given(f"user of {whose}", self._text(value)),
            "password": lambda value: Given(f"password of {whose}", self._text(value)),
            "password_file": lambda value: Given(f"password_file of {whose}", self._of_file(value)),
            "password_command": lambda value: Given(
                f"password_command of {whose}", command=self._command(value)
            ),
            TTL_KEY: lambda value: parse_interval(one_text(value)),
        }
        found: dict[str, Any] = {}
        for key, reader in readers.items():
            value = content.get(key)
            if value is None:
                continue
            try:
                found[key] = reader(value)
                beside = [other for other in PASSWORD_KEYS if other in found and other != key]
                if key in PASSWORD_KEYS and beside:
                    raise ValueError(f"{beside[0]} is set beside it: leave one of them out")
            except ValueError as error:
                self._faults.add(content.line_of(key), f"{what}: {key}: {error}")
        given = next((found[key] for key in PASSWORD_KEYS if key in found), None)
        return Login(found.get(USER_KEY), given, found.get(TTL_KEY))

    def check_ttl(self, what: str, content: YamlMap, login: Login) -> None:
        """An entry that sets how long a password is kept needs a command that gives one."""
        if content.get(TTL_KEY) is not None and (login.password is None or login.password.command is None):
            self._faults.add(
                content.line_of(TTL_KEY),
                f"{what}: {TTL_KEY}: this entry has no password_command: leave it out",
            )

    def _text(self, value: Any) -> str:
        return fill(one_text(value), self._environ, self._limits)

    def _of_file(self, value: Any) -> str:
        name = self._text(value)
        if name not in self._files:
            text = text_of_file(name, self._limits)
            wrong = password_text.fault(text)
            if wrong:
                raise ValueError(f"{masks.mask(name)}: the file holds no password: {wrong}")
            self._files[name] = text
        return self._files[name]

    def _command(self, value: Any) -> PasswordCommand:
        if not isinstance(value, YamlList) or not value:
            kind = "an empty list" if isinstance(value, YamlList) else kind_of(value)
            raise ValueError(f"write a list of the program and its arguments, not {kind}, such as {_EXAMPLE}")
        if len(value) > ARGUMENTS_MAX:
            raise ValueError(f"{len(value)} arguments are too many: the most is {ARGUMENTS_MAX}")
        if not all(isinstance(each, str) for each in value):
            raise ValueError(f"an item of the list is no text: write them as in {_EXAMPLE}")
        secrets: list[str] = []
        args = tuple(fill(each, self._environ, self._limits, secrets.append) for each in value)
        if not args[0].strip():
            raise ValueError(f"the program has no name: write it first, as in {_EXAMPLE}")
        name = masks.mask(value[0][: lengths.NAME_MAX])
        return PasswordCommand(args, name, secrets=(*self._secrets, *secrets))
