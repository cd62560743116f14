"""The password file of the Go exporter: a JSON object of addresses and passwords."""

from __future__ import annotations

import json

from exporter.errors import ConfigError
from exporter.model import Target
from exporter.targets import parse_address


class PasswordFile:
    """Passwords by canonical address and user. `read` again takes up what has changed; where it fails, what was read before stays."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._passwords: dict[tuple[str, str], str] = {}
        self.read()

    def read(self) -> None:
        """ConfigError with every mistake; none holds a password."""
        try:
            with open(self.file, encoding="utf-8") as stream:
                content = json.load(stream)
        except OSError as error:
            raise ConfigError(f"{self.file}: the file cannot be read ({error.strerror}): check --redis.password-file") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{self.file}: the file is not UTF-8: save it as UTF-8") from None
        except json.JSONDecodeError as error:
            raise ConfigError(f"{self.file}, line {error.lineno}: not valid JSON ({error.msg})") from None
        if not isinstance(content, dict):
            raise ConfigError(f'{self.file}: must be an object of addresses and passwords: write {{"redis://host:6379": "…"}}')
        problems: list[str] = []
        passwords = {}
        for number, (address, password) in enumerate(content.items(), 1):
            where = f"{self.file}: entry {number}"
            if not isinstance(password, str):
                problems.append(f"{where}: the password must be a text, in quotes")
                continue
            try:
                target = parse_address(address)
            except ConfigError as error:
                problems.append(f"{where}: {error}")
            else:
                # a word before the @ is the user here: the password stands on the other side
                passwords[target.addr, target.user or target.password] = password
        if problems:
            raise ConfigError(*problems)
        self._passwords = passwords

    def find(self, target: Target) -> str:
        """That of the target's user at its address, else that of an entry without a user; "" where there is none."""
        return self._passwords.get((target.addr, target.user)) or self._passwords.get((target.addr, ""), "")
