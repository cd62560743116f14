"""The web configuration file of Prometheus and its exporters: TLS, users, headers, and a limit on requests.

The format is that of the exporter-toolkit, so one file serves all exporters of a machine. What that format
allows and this exporter cannot do is an error or a note: nobody is to rely on a protection that is not there.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exporter import files, masks
from exporter.errors import ConfigError
from exporter.options.config_file import Faults, kind_of
from exporter.options.values import int_from, parse_duration
from exporter.options.yaml_reader import YamlMap, YamlTextError, read_yaml
from exporter.web.auth import hash_fault
from exporter.web.config_section import section_of
from exporter.web.tls import ServerTls
from exporter.web.tls_section import CLIENT_AUTH, CLIENT_NAMES, FLAG, WITHOUT_CHECK, TlsSection
from exporter.web.token_bucket import RateLimit

TLS, HTTP, USERS, RATE = "tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"
KEYS = (TLS, HTTP, USERS, RATE)
#: headers that the file may set, and the only values of some; () for any
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
#: characters of the value of a header
HEADER_MAX = 4096
#: users of one file: each of them has sign-ins that are remembered
USERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a file says. `users` are bcrypt hashes by name. `notes` are lines for the log. `opens` are the
    settings that say themselves that they keep nobody out."""

    tls: ServerTls | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    rate: RateLimit | None = None
    notes: tuple[str, ...] = ()
    opens: frozenset[str] = frozenset()


def read_web_config(name: str, limits: files.FileLimits = files.DEFAULT) -> WebConfig:
    """Read a file, in this thread. Raises ConfigError with every mistake."""
    shown = masks.mask(name)
    faults = Faults(shown)
    content = _content(name, limits, faults)
    if content is None:
        found = WebConfig()
    else:
        faults.check_keys(content, KEYS)
        found = WebConfig(
            tls=_tls(content, shown, os.path.dirname(name), limits, faults),
            headers=dict(_headers(content, faults)),
            users=dict(_users(content, faults)),
            rate=_rate(content, faults),
            notes=tuple(_notes(content, shown)),
            opens=frozenset(_opens(content)),
        )
    if faults.lines:
        raise ConfigError(*faults.lines)
    return found


def _content(name: str, limits: files.FileLimits, faults: Faults) -> YamlMap | None:
    """None for a file without entries, and for one that cannot be read."""
    try:
        with files.noting(None):  # the entrance looks whether it changes
            found = read_yaml(files.read_text(name, limits.max_bytes))
    except files.NoTextError as error:
        faults.add(0, str(error))
    except files.FileError as error:
        faults.add(0, f"the file cannot be read ({error}): check --{FLAG}")
    except YamlTextError as error:
        faults.add(error.line, str(error))
    else:
        if found is None or isinstance(found, YamlMap):
            return found
        faults.add(0, f"write a map with the keys {', '.join(KEYS)}, not {kind_of(found)}")
    return None


def _tls(
    content: YamlMap, shown: str, folder: str, limits: files.FileLimits, faults: Faults
) -> ServerTls | None:
    section = section_of(content, TLS, faults)
    return TlsSection(section, shown, folder, limits).read() if section is not None else None


def _headers(content: YamlMap, faults: Faults) -> Iterator[tuple[str, str]]:
    section = section_of(content, HTTP, faults)
    if section is None:
        return
    section.check_keys(("http2", "headers"))
    section.switch("http2", True)
    headers = section.section("headers")
    if headers is None:
        return
    headers.check_keys(HEADERS)
    for name, allowed in HEADERS.items():
        value = headers.text(name)
        if allowed and headers.has(name) and value not in allowed:
            headers.refuse(name, f"write {' or '.join(allowed)}")
        elif not re.fullmatch(rf"[\t\x20-\x7e]{{0,{HEADER_MAX}}}", value):
            headers.refuse(name, f"write one line of ASCII, of at most {HEADER_MAX:,} characters")
        elif value.strip():
            yield name, value.strip()


def _notes(content: YamlMap, shown: str) -> Iterator[str]:
    """What has no effect here, and does no harm."""
    section = section_of(content, HTTP, Faults(shown))
    if section is not None and section.has("http2") and section.switch("http2", False):
        yield f"{section.place('http2', shown)}: this exporter speaks HTTP/1.1, which every client does too"


def _opens(content: YamlMap) -> Iterator[str]:
    """What is written, so that it is not merely missing: a file that is being written lacks its end."""
    if content.get(USERS) == {}:
        yield USERS
    tls = content.get(TLS)
    if isinstance(tls, YamlMap):
        if tls.get(CLIENT_AUTH) in WITHOUT_CHECK:
            yield CLIENT_AUTH
        if tls.get(CLIENT_NAMES) == []:
            yield CLIENT_NAMES


def _users(content: YamlMap, faults: Faults) -> Iterator[tuple[str, str]]:
    section = section_of(content, USERS, faults)
    if section is None:
        return
    names = list(section)
    if len(names) > USERS_MAX:
        section.refuse(names[USERS_MAX], f"write at most {USERS_MAX:,} users")
        return
    for name in names:
        password_hash = section.text(name)
        fault = hash_fault(password_hash)
        if ":" in name or not name:
            section.refuse(name, "write a name without a colon, which ends the name in basic authentication")
        elif fault:
            section.refuse(name, f"the password {fault}")
        else:
            yield name, password_hash


def _rate(content: YamlMap, faults: Faults) -> RateLimit | None:
    section = section_of(content, RATE, faults)
    if section is None:
        return None
    section.check_keys(("interval", "burst"))
    try:
        interval_s = parse_duration(section.text("interval") or "0")
        if interval_s < 0:
            raise ValueError("the least is 0, which is no limit")
    except ValueError as error:
        section.refuse("interval", str(error))
        return None
    try:
        burst = int_from(0)(section.text("burst") or "0")
        if interval_s > 0 and burst < 1:
            raise ValueError("write how many requests may come at once, at least 1")
    except ValueError as error:
        section.refuse("burst", str(error))
        return None
    return RateLimit(interval_s, burst) if interval_s > 0 else None
