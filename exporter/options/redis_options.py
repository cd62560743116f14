"""The options that say which servers to poll, and how to connect to them."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.node_allowance import Allowance
from exporter.options.option import flag
from exporter.options.values import (
    ADDRESSES,
    ALLOWANCE,
    BOOL,
    COUNT,
    CREDENTIAL,
    FILE,
    INTERVAL,
    SERVER_NAME,
    TEXT,
)


# fmt: off
@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The targets, and how to connect to them."""

    addr: tuple[str, ...] = flag("redis.addr", ADDRESSES, "redis://localhost:6379",
        "Targets, with redis:// rediss:// valkey:// valkeys:// tcp:// or unix://. Empty: none.",
        env="REDIS_ADDR", repeatable=True)
    user: str = flag("redis.user", CREDENTIAL, "",
        "ACL user of the targets in --redis.addr: one for all, or a comma list with one for each.",
        env="REDIS_USER", per_target=True)
    password: str = flag("redis.password", CREDENTIAL, "",
        "Password of the targets in --redis.addr: one for all, or a comma list with one for each.",
        env="REDIS_PASSWORD", secret=True, per_target=True)
    password_file: str = flag("redis.password-file", FILE, "",
        "JSON file of passwords by address, host, pattern of hosts or network; or a file of one password for "
        "the targets in --redis.addr. Not read beside --redis.password.",
        env="REDIS_PASSWORD_FILE")
    config_file: str = flag("config.file", FILE, "",
        "YAML file of options, and of targets with their own settings.", in_file=False)
    file: str = flag("redis-file", FILE, "",
        "The same as --config.file. Both may be given: each file is read.", in_file=False)
    connection_timeout_s: float = flag("connection-timeout", INTERVAL, "15s",
        "Time limit for connecting, and for one poll.", per_target=True)
    scrape_timeout_s: float = flag("scrape-timeout", INTERVAL, "30s",
        "Time limit for a whole poll, and for a scrape on demand.", per_target=True)
    connection_max_age_s: float = flag("connection-max-age", INTERVAL, "10m",
        "Reconnect after this time, so that a broken login or firewall shows up.", per_target=True)
    dns_max_lookups: int = flag("dns.max-lookups", COUNT, "64",
        "How many host names may be looked up at once.", reloadable=False)
    discover_allow: Allowance | None = flag("discover.allow", ALLOWANCE, "",
        "Where nodes that a cluster names may be: networks, addresses, host names with *. Empty: near the "
        "target that named them.", per_target=True)
    set_client_name: bool = flag("set-client-name", BOOL, "true",
        "Name the connections redis_exporter in CLIENT LIST.", per_target=True)
    ping_on_connect: bool = flag("ping-on-connect", BOOL, "false",
        "Send PING on each new connection and export how long the reply took.", per_target=True)
    config_command: str = flag("config-command", TEXT, "CONFIG",
        "Name of the CONFIG command on the targets. -: do not send it.", per_target=True)
    is_cluster: bool = flag("is-cluster", BOOL, "false",
        "Look for keys and streams on all nodes of each target's cluster, list these nodes for Prometheus, "
        "and answer on /scrape for each.", reloadable=False)
    is_tile38: bool = flag("is-tile38", BOOL, "false", "Export Tile38's own metrics too.", per_target=True)
    is_sentinel: bool = flag("is-sentinel", BOOL, "false",
        "Accepted for compatibility and ignored: the exporter recognises a Sentinel by itself.",
        reloadable=False)
    tls_client_key_file: str = flag("tls-client-key-file", FILE, "",
        "Private key to present to the targets. Needs the certificate too.", per_target=True)
    tls_client_cert_file: str = flag("tls-client-cert-file", FILE, "",
        "Certificate to present to the targets. Needs the key too.", per_target=True)
    tls_ca_cert_file: str = flag("tls-ca-cert-file", FILE, "",
        "Certificate authorities to trust instead of the system's own.", per_target=True)
    tls_server_name: str = flag("tls-server-name", SERVER_NAME, "",
        "Host name to send and verify in TLS instead of the host of the address.", per_target=True)
    skip_tls_verification: bool = flag("skip-tls-verification", BOOL, "false",
        "Accept any certificate of a target.", per_target=True)
