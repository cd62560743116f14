"""Secrets that are planted in every place that takes one, and then looked for in what comes out.

Which places there are follows from the tables of options and of keys: what is added there has to be planted
here, or `tests/system/test_secrets.py` fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import bcrypt

from exporter.app.state_file import BEGINNING
from exporter.options.option import Option
from exporter.options.source_values import FILE_PATTERNS, URLS
from exporter.options.table import OPTIONS
from exporter.options.values import ADDRESSES, FILE, FILES
from exporter.targets.shared_keys import PER_TARGET, SHARED_KEYS
from exporter.web.config_file import USERS
from exporter.web.tls_section import KEYS as TLS_KEYS
from tests.servers import Certificates

#: what all planted secrets have in common, in any case and however it is escaped
PLANT = "pl4nt"
#: where the keys of a target may stand
SECTIONS = ("defaults", "groups", "entry")
#: they name a target or its user; who watches is no secret
_NAMES = ("user",)


def takes_secret(option: Option) -> bool:
    """Whether its value is a secret, or may hold one."""
    return option.secret or option.type in (ADDRESSES, URLS)


def names_file(option: Option) -> bool:
    """Whether it names a file, which may hold one."""
    return option.type in (FILE, FILES, FILE_PATTERNS)


def places() -> set[str]:
    """All of them: flags, variables, options and keys of a configuration file, and files."""
    found: set[str] = set()
    for option in OPTIONS:
        if takes_secret(option):
            found |= {f"--{option.flag}", *option.variables}
            found |= {f"options: {option.flag}"} if option.in_file else set()
        if names_file(option):
            found.add(f"file of --{option.flag}")
    of_targets = [key.name for key in SHARED_KEYS.values() if key.form in ("credential", "arguments")]
    found |= {f"{section}: {key}" for section in SECTIONS for key in of_targets if key not in _NAMES}
    found |= {
        f"{section}: options: {flag}"
        for section in SECTIONS
        for flag, option in PER_TARGET.items()
        if takes_secret(option)
    }
    found |= {f"web: {USERS}", *(f"web: {key}" for key in TLS_KEYS if key in ("key", "cert", "client_ca"))}
    return found | {
        "entry: addr",
        "placeholder: variable",
        "placeholder: file",
        "request",
        "answer of http_sd",
    }


class Planter:
    """Makes secrets, each with its place in it."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def __call__(self, place: str) -> str:
        self.places.append(place)
        return f"{PLANT}-{re.sub(r'[^a-z0-9]+', '-', place.lower()).strip('-')}"


def found_in(text: str) -> list[str]:
    """The secrets in a text, as they are, or with escapes."""
    plain = re.sub(r"%([0-9a-fA-F]{2})|\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
    return re.findall(rf".{{0,60}}{PLANT}.{{0,30}}", f"{text}\n{plain}", re.IGNORECASE)


def hash_of(secret: str) -> str:
    """The bcrypt hash of a secret, with the beginning of a secret in itself."""
    return bcrypt.hashpw(secret.encode(), b"$2b$04$" + PLANT.encode().ljust(21, b"A") + b"O").decode()


CONFIG = """
options:
  redis.addr: "{options_addr}"
  redis.password: {options_password}
  targets.http-sd: "http://u:{options_url}@127.0.0.1:1/"
  {login}
defaults: {{user: watcher, password_file: "{folder}/defaults"}}
groups:
  file: {{password_file: "{folder}/groups"}}
  command: {{password_command: [cat, "{folder}/printed"], password_ttl: 1s}}
  text: {{password: {groups}}}
redis_instances:
- {{addr: "{at[0]}", group: file}}
- {{addr: "{at[1]}", group: command}}
- {{addr: "{at[2]}", group: text}}
- {{addr: "{at[3]}"}}
- {{addr: "{at[4]}", password: {entry}}}
- {{addr: "{at[5]}", password_file: "{folder}/entry"}}
- {{addr: "{at[6]}", password: "${{PLANTED}}"}}
- {{addr: "{at[7]}", password: "${{file:{folder}/placeholder}}"}}
- {{addr: "redis://watcher:{entry_url}@{at[8]}?password={entry_query}"}}
- {{addr: "{at[9]}", password: ""}}
- addr: "{at[10]}"
  password_command:
    [sh, -c, "echo $1 of $PLANTED_TOKEN >&2; echo {argument} >/dev/null; exit 3", sh, "${{PLANTED}}"]
- addr: "{at[11]}"
  password_command:
    [sh, -c, "echo {printed}; echo {printed} >&2; env >{folder}/child; mv {folder}/child
    {folder}/child-environ"]
"""
DEFAULTS = """
defaults: {{password: {text}, tls: {{ca: "{folder}/ca", cert: "{folder}/cert", key: "{folder}/key"}}}}
groups:
  sealed: {{password_command: [sh, -c, "echo {printed}"]}}
redis_instances:
- {{addr: "rediss://{at[12]}"}}
- {{addr: "rediss://{at[13]}", group: sealed}}
"""
THIRD = """
defaults: {{password_command: [sh, -c, "echo {printed}"]}}
redis_instances:
- {{addr: "{at[14]}"}}
"""


class Planting:
    """Files in a folder, flags and variables with a secret in each place. `login` says how the exporter asks
    for a password itself: by one of LOGINS. With `serves_tls` it shows a certificate."""

    LOGINS = ("basic-auth-password", "basic-auth-hash-password", "web.config.file")

    def __init__(
        self,
        folder: Path,
        at: Sequence[str],
        certificates: Certificates,
        login: str = LOGINS[0],
        *,
        inventory: str = "127.0.0.1:1",
        serves_tls: bool = False,
    ) -> None:
        self.plant = Planter()
        self.folder = folder
        self.login = login
        self._at = at
        self._certificates = certificates
        self._serves_tls = serves_tls
        self.environ: dict[str, str] = {}
        self.flags: list[str] = ["--debug", "--verbose"]
        self._write_configuration()
        self._write_lists(inventory)
        self._add_logins()
        self._add_tls()
        self.state = self._odd("state", BEGINNING.decode() + self.plant("file of --state.file"))
        self.flags.append(f"--state.file={self.state}")
        script = f"-- {self.plant('file of --script')}\nreturn 1"
        self.flags.append(f"--script={self._write('script.lua', script)}")

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def _odd(self, name: str, text: str) -> str:
        """The same under a name that looks like an address with a password."""
        (self.folder / "http:").mkdir(exist_ok=True)
        path = f"{self.folder}/http://u:{self.plant(f'name of {name}')}@{name}"
        Path(path).write_text(text)
        return path

    def _write_configuration(self) -> None:
        plant = self.plant
        for name in ("defaults", "groups", "entry"):
            self._write(name, plant(f"{name}: password_file") + "\n")
        self._write("placeholder", plant("placeholder: file"))
        self._write("printed", plant("groups: password_command"))
        self.environ["PLANTED"] = plant("placeholder: variable")
        self.environ["PLANTED_TOKEN"] = plant("variable of a command")
        own = ""
        if self.login != "web.config.file":
            own = f"{self.login}: {self._word(f'options: {self.login}')}"
        values = {
            "options_addr": f"redis://u:{plant('options: redis.addr')}@{self._at[0]}",
            "options_password": plant("options: redis.password"),
            "options_url": plant("options: targets.http-sd"),
            "login": f"basic-auth-username: scraper\n  {own}" if own else "",
            "groups": plant("groups: password"),
            "entry": plant("entry: password"),
            "entry_url": plant("entry: addr"),
            "entry_query": plant("entry: addr: query"),
            "argument": plant("argument of a command"),
            "printed": plant("entry: password_command"),
        }
        self._write("config.yml", CONFIG.format(folder=self.folder, at=self._at, **values))
        other = THIRD if self.login == self.LOGINS[1] else DEFAULTS
        text = plant("defaults: password_command" if other is THIRD else "defaults: password")
        self._write("other.yml", other.format(folder=self.folder, at=self._at, text=text, printed=text))
        for flag, name in (("config.file", "config.yml"), ("redis-file", "other.yml")):
            self.plant(f"file of --{flag}")  # all of it above
            self.flags.append(f"--{flag}={self.folder}/{name}")

    def _write_lists(self, inventory: str) -> None:
        plant, at = self.plant, self._at
        entries = {
            at[15]: plant("file of --redis.password-file"),
            f"redis://:{plant('key of an entry')}@{at[16]}": plant("entry of an address"),
            f"redis://{plant('bad key')} @{at[17]}": plant("entry with a bad key"),
            "10.0.0.0/8": plant("entry of a network"),
        }
        self.flags.append(f"--redis.password-file={self._write('passwords.json', json.dumps(entries))}")
        group = [{"targets": [f"redis://u:{plant('file of --targets.file-sd')}@{at[18]}", at[19]]}]
        self.flags.append(f"--targets.file-sd={self._write('sd.json', json.dumps(group))}")
        url = f"http://u:{plant('--targets.http-sd')}@{inventory}/targets?token={plant('query of a URL')}"
        self.flags.append(f"--targets.http-sd={url}")
        self._add_variable("targets.http-sd", "http://u:{}@127.0.0.1:1/")

    def _add_logins(self) -> None:
        plant, at = self.plant, self._at
        addrs = [
            f"redis://watcher:{plant('--redis.addr')}@{at[20]}",
            f"redis://{plant('one word')}@{at[21]}",
            f"redis://{at[22]}?password={plant('query')}&timeout={plant('value')}",
            at[23],
            f"rediss://watcher:{plant('address by TLS')}@{at[26]}",
        ]
        self.flags += [f"--redis.addr={','.join(addrs)}", f"--redis.password={plant('--redis.password')}"]
        self._add_variable("redis.addr", f"redis://u:{{}}@{at[20]}")
        self._add_variable("redis.password", "{}")
        if self.login == "web.config.file":
            return
        self.flags += ["--basic-auth-username=scraper", f"--{self.login}={self._word(f'--{self.login}')}"]
        [variable] = _OPTIONS[self.login].variables
        self.environ[variable] = self._word(variable)

    @property
    def password(self) -> str:
        """What requests to the exporter send."""
        place = "web: basic_auth_users" if self.login == "web.config.file" else f"--{self.login}"
        return Planter()(place)

    def _word(self, place: str) -> str:
        """What stands for a password of the exporter's own."""
        secret = self.plant(place)
        return hash_of(secret) if self.login != self.LOGINS[0] else secret

    def _add_variable(self, flag: str, form: str) -> None:
        for variable in _OPTIONS[flag].variables:
            self.environ[variable] = form.format(self.plant(variable))

    def _add_tls(self) -> None:
        """Certificates and keys may have any text before them."""
        given = self._certificates
        for flag, name, source in (
            ("tls-ca-cert-file", "ca", given.ca),
            ("tls-client-cert-file", "cert", given.client),
            ("tls-client-key-file", "key", given.client_key),
        ):
            self.flags.append(f"--{flag}={self._pem(name, f'file of --{flag}', source)}")
        self.certificate = self._odd("certificate", Path(given.client).read_text())
        self.flags.append(f"--tls-client-cert-file={self.certificate}")  # the last one counts
        sources = {"ca-cert": given.ca, "cert": given.server, "key": given.server_key}
        if self.login == "web.config.file":
            self._write_web(sources)
        elif self._serves_tls:
            for kind, source in sources.items():
                flag = f"tls-server-{kind}-file"
                self.flags.append(f"--{flag}={self._pem(f'server-{kind}', f'file of --{flag}', source)}")

    def _write_web(self, sources: Mapping[str, str]) -> None:
        lines = ["basic_auth_users:", f"  scraper: {self._word(f'web: {USERS}')}"]
        if self._serves_tls:
            lines += ["tls_server_config:", "  client_auth_type: RequireAndVerifyClientCert"]
            for key, kind in (("client_ca", "ca-cert"), ("cert", "cert"), ("key", "key")):
                text = f"{self.plant(f'web: {key}')}\n{Path(sources[kind]).read_text()}"
                lines += [f"  {key}: |", *(f"    {line}" for line in text.splitlines())]
        self.plant("file of --web.config.file")
        self.flags.append(f"--web.config.file={self._write('web.yml', chr(10).join(lines))}")

    def _pem(self, name: str, place: str, source: str) -> Path:
        return self._write(name, f"{self.plant(place)}\n{Path(source).read_text()}")


_OPTIONS = {option.flag: option for option in OPTIONS}
