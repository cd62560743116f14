"""One target, as it is configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from exporter.node_allowance import Allowance
from exporter.options.overrides import Overrides
from exporter.options.target_options import Discover
from exporter.targets.password_command import PasswordCommand

#: what named a target: --redis.addr, the configuration file, Prometheus' file_sd or http_sd, a target that
#: names its neighbours, or a request
Source = Literal["flags", "file", "file_sd", "http_sd", "discovered", "adopted"]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What discovery knows of a target; "" is unknown. `shown` are those of the names that are labels of its
    series. `is_endpoint`: it answers as changing nodes of a cluster, so that its series are on its own page
    only."""

    cluster: str = ""
    shard: str = ""
    role: str = ""
    node_id: str = ""
    master_name: str = ""
    shown: tuple[str, ...] = ()
    is_endpoint: bool = False

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Those that are shown, and known."""
        pairs = ((name, getattr(self, name)) for name in self.shown)
        return tuple((name, value) for name, value in pairs if value)


@dataclass(frozen=True, slots=True)
class Target:
    """One target, as it is configured. `addr` is the canonical address, without user and password.

    `password_command` gives its password in place of `password`. `user_rule` and `password_rule` say what
    gave user and password, "" for nothing. `one_word`: its address has a single word before the @.
    `overrides`: values that it has in place of those of all targets. `settings_group` is its group in the
    configuration file. `enabled` False: it is known, and not polled. `discover`: which further targets it
    names; "": none. `elsewhere`: another shard has it, and it is polled only for what it names. `ignored`:
    parameters of its address that mean nothing here. `addresses` were checked, and only they are dialled; ()
    means that the host is looked up at each dial. `node`: what is known of it because another target names
    it. `variant` distinguishes targets of one address that requests ask for; "" is the target itself.
    `login_allow`: the only addresses to which its user and password may be sent; None: any. `places`: the
    file and line of each override, by flag.
    """

    addr: str
    scheme: str
    host: str  # of TCP; "" for a socket
    port: int
    path: str  # of a unix socket; "" for TCP
    db: int
    alias: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_command: PasswordCommand | None = None
    user_rule: str = ""
    password_rule: str = ""
    source: Source = "file"
    settings_group: str = ""
    overrides: Overrides = ()
    enabled: bool = True
    discover: Discover = ""
    one_word: bool = False
    ignored: tuple[str, ...] = field(default=(), compare=False)
    addresses: tuple[str, ...] = ()
    elsewhere: bool = False
    node: NodeFacts | None = None
    variant: str = ""
    login_allow: Allowance | None = None
    places: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    @property
    def key(self) -> str:
        """What distinguishes it from all other targets of this process. It has no secret. Labels and the log
        have the address."""
        return f"{self.addr} {self.variant}" if self.variant else self.addr

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.path or endpoint(self.host, self.port)

    @property
    def has_password(self) -> bool:
        return bool(self.password) or self.password_command is not None

    @property
    def login_text(self) -> str:
        """What gave user and password, for logs."""
        if self.user_rule == self.password_rule:
            return f"user and password: {self.user_rule}" if self.user_rule else "no user and no password"
        parts = (("user", self.user_rule), ("password", self.password_rule))
        return ", ".join(f"{what}: {rule}" if rule else f"no {what}" for what, rule in parts)

    @property
    def tls(self) -> bool:
        return self.scheme in ("rediss", "valkeys")

    @property
    def is_endpoint(self) -> bool:
        """Whether it answers as changing nodes of a cluster."""
        return self.node is not None and self.node.is_endpoint

    @property
    def is_apart(self) -> bool:
        """Whether its series are on no page but its own."""
        return self.is_endpoint or self.elsewhere

    @property
    def node_scheme(self) -> str:
        """The scheme of the other nodes of its cluster."""
        return "redis" if self.scheme in ("unix", "tcp") else self.scheme


def endpoint(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
