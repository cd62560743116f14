"""`redis_exporter health [URL|PATH]`: asks a running exporter whether it is well, for a health check without
a shell and curl.

Without a URL it asks the exporter that has the same options. Docker and Compose run it in the container of
the exporter: there it has the same variables, and the flags are those of the first process.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from exporter import files, logs, masks, safe_text
from exporter.errors import ConfigError, UsageError
from exporter.options import commandline
from exporter.options.table import WebOptions
from exporter.options.values import UNIX, split_listen_address
from exporter.targets.redaction import redaction_of_login
from exporter.web.config_file import WebConfig, read_web_config

#: time for the whole answer and the lookup of the name: a limit of the socket begins again with each byte
TIMEOUT_S = 5.0
HEALTHY = "/-/healthy"
#: arguments of the process that a container was started with
FIRST_PROCESS = Path("/proc/1/cmdline")
#: where an exporter is that listens on every interface
OWN_HOSTS = {"": ("127.0.0.1", "::1"), "0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}
#: bytes of an answer that are read, and characters of a failure that are shown
BODY_MAX, SHOWN_MAX = 4096, 200
_PATH = re.compile("[!-~]+")

USAGE = """usage: redis_exporter health [URL|PATH] [flags]

Ask a running exporter whether it is well: exit code 0 if it is, 1 if not.
Without a URL: the exporter that runs with the same flags and variables.

  redis_exporter health                        /-/healthy: its process is alive
  redis_exporter health /-/ready               every target was tried once
  redis_exporter health http://10.0.0.1:9121   another exporter; also unix:/run/redis_exporter.sock
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask and what. `hosts` are tried in turn; a socket's path takes their place if there is one.
    `pair` are files of a certificate and its key that the server may want to see. `verifies`: the server has
    to show a certificate for its name from an authority that this machine trusts. `may_be_tls`: whether the
    exporter speaks TLS is not known."""

    hosts: Sequence[str]
    port: int
    path: str = HEALTHY
    unix: str = ""
    tls: bool = False
    login: bytes = b""
    pair: tuple[str, str] | None = None
    hash_only: bool = False
    verifies: bool = False
    may_be_tls: bool = False

    def __str__(self) -> str:
        path = masks.mask(self.path)
        if self.unix:
            return f"{UNIX}{self.unix} {path}"
        host = f"[{self.hosts[0]}]" if ":" in self.hosts[0] else self.hosts[0]
        return f"{self.scheme}://{host}:{self.port}{path}"

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    def clean(self, text: str) -> str:
        """A text of the server as it may be shown: it may repeat what it was sent."""
        return masks.mask(redaction_of_login(self.login).clean(text))


def of_url(url: str) -> Question:
    """The question of `http://user:password@host:port/path` or `unix:PATH`. Raises UsageError."""
    if url.startswith(UNIX) and len(url) > len(UNIX):
        return Question((), 0, unix=url.removeprefix(UNIX))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "argument 1 is no URL: write http://HOST:PORT, https://HOST:PORT, unix:PATH or /PATH"
        )
    tls = parts.scheme == "https"
    login = b":".join(map(unquote_to_bytes, (parts.username or "", parts.password or "")))
    path = parts.path if parts.path != "/" else ""
    query = f"?{parts.query}" if parts.query else ""
    return Question(
        (parts.hostname,),
        port or (443 if tls else 80),
        (path or HEALTHY) + query,
        tls=tls,
        login=login if parts.username else b"",
        verifies=tls and bool(parts.username) and not _is_here(parts.hostname),
    )


def _is_here(host: str) -> bool:
    """Whether a host is this machine, whatever the network does."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def of_options(
    options: WebOptions, path: str = HEALTHY, limits: files.FileLimits = files.DEFAULT
) -> Question:
    """The question to the exporter that runs with these options. Raises ConfigError."""
    address = options.listen_address
    given = _web_config(options, limits)
    pair = (options.tls_server_cert_file, options.tls_server_key_file)
    must_show = bool(options.tls_server_ca_cert_file)
    if given is not None and given.tls is not None:
        pair = (given.tls.cert.name, given.tls.key.name)
        must_show = given.tls.asks_clients and not given.tls.clients_may_show_none and all(pair)
    user, password = options.basic_auth_username, options.basic_auth_password
    hosts: Sequence[str] = ()
    unix, port = "", 0
    if address.startswith(UNIX):
        unix = address.removeprefix(UNIX)
    else:
        try:
            host, port = split_listen_address(address)
        except ValueError:
            raise ConfigError(
                f"--web.listen-address={address} says not where to ask: write redis_exporter health URL"
            ) from None
        hosts = OWN_HOSTS.get(host, (host,))
    return Question(
        hosts,
        port,
        path,
        unix,
        bool(options.tls_server_cert_file) or (given is not None and given.tls is not None),
        os.fsencode(f"{user}:{password}") if password else b"",
        pair if must_show else None,
        bool(options.basic_auth_hash_password) or given is None or bool(given.users),
        may_be_tls=given is None,
    )


def _web_config(options: WebOptions, limits: files.FileLimits) -> WebConfig | None:
    """What the web configuration file says. None if it has a mistake: a running exporter goes on with what it
    read before, so that is no reason to call it unwell."""
    if not options.config_file:
        return WebConfig()
    try:
        return read_web_config(options.config_file, limits)
    except ConfigError:
        return None


def ask(question: Question) -> tuple[int, str]:
    """Status and first line of the answer. Raises OSError and HTTPException."""
    with contextlib.closing(HTTPConnection("localhost", timeout=TIMEOUT_S)) as connection:
        connection.sock = _connected(question)
        host = question.hosts[0] if question.hosts else "localhost"
        headers = {"Host": f"[{host}]" if ":" in host else host, "Connection": "close"}
        if question.login:
            headers["Authorization"] = f"Basic {b64encode(question.login).decode()}"
        connection.request("GET", question.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(BODY_MAX).decode("utf-8", "replace")
        return answer.status, question.clean(body.strip().partition("\n")[0])


def _connected(question: Question) -> socket.socket:
    """A socket to the first host that takes the connection; with TLS if that is asked for."""
    plain = _socket(question)
    if not question.tls:
        return plain
    context = ssl.create_default_context()
    if not question.verifies:
        # A health check asks its own exporter, and sends nobody else a password. Certificates are often for
        # other names, or signed by nobody.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if question.pair is not None:
            context.load_cert_chain(*question.pair)
        name = question.hosts[0] if question.verifies else None
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def _socket(question: Question) -> socket.socket:
    if question.unix:
        unix = socket.socket(socket.AF_UNIX)
        unix.settimeout(TIMEOUT_S)
        try:
            unix.connect(question.unix)
        except BaseException:
            unix.close()
            raise
        return unix
    for host in question.hosts[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_connection((host, question.port), TIMEOUT_S)
    return socket.create_connection((question.hosts[-1], question.port), TIMEOUT_S)


def verdict(question: Question) -> str:
    """ "" if the exporter is well, else what is wrong, in one line."""
    try:
        status, text = files.start(lambda: ask(question)).result(TIMEOUT_S)
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except ConnectionRefusedError:
        return "nothing listens there"
    except ssl.SSLCertVerificationError as error:
        return (
            f"{safe_text.one_line(error.verify_message, SHOWN_MAX)}: the password was not sent; name the "
            "file with the authority of that exporter in SSL_CERT_FILE"
        )
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        return f"TLS failed: {reason}"
    except (OSError, HTTPException, ValueError) as error:
        said = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
        return f"no answer: {question.clean(said)}"
    if status == 200 or (status == 429 and question.path == HEALTHY):  # others ask more than it allows
        return ""
    if status == 401 and question.hash_only:
        # an exporter that asks for a password is alive; only the hash of the password is known here
        if question.path == HEALTHY:
            return ""
        return (
            "401: only the hash of the password is known here: write redis_exporter health "
            f"{question.scheme}://USER:PASSWORD@HOST:PORT"
        )
    if status == 401 and not question.login:
        return f"401: write redis_exporter health {question.scheme}://USER:PASSWORD@HOST:PORT"
    return f"{status}: {text}" if text else str(status)


def flags_of_first_process() -> list[str]:
    """The flags of the exporter that runs in this container; none if another program was started first."""
    try:
        words = os.fsdecode(FIRST_PROCESS.read_bytes()).removesuffix("\0").split("\0")
    except OSError:  # it is not shown to this user
        return []
    places = (number for number, word in enumerate(words, 1) if os.path.basename(word) == "redis_exporter")
    return words[next(places, len(words)) :]


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """0 if the exporter is well, else 1."""
    place, flags = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("", argv)
    is_own = not place or place.startswith("/")
    if is_own and not flags:
        flags = flags_of_first_process()
    options = commandline.parse(flags, environ if is_own else {})  # another exporter has other variables
    if options.run.help:
        print(USAGE, end="")
        return 0
    question = of_options(options.web, place or HEALTHY, options.files) if is_own else of_url(place)
    if not _PATH.fullmatch(question.path):
        raise UsageError("argument 1 holds a character that no URL holds: write it as %20 for a blank")
    wrong = verdict(question)
    if wrong and question.may_be_tls and not verdict(over_tls := replace(question, tls=True)):
        question, wrong = over_tls, ""
    if wrong:
        logs.show(f"redis_exporter: {question}: {wrong}")
        return 1
    print(f"ok: {question}")
    return 0
