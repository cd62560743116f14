"""From options and the web configuration file to the entrance of the endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from exporter import files, masks
from exporter.errors import ConfigError
from exporter.options.table import WebOptions
from exporter.web.answers import USUAL, CommonHeaders
from exporter.web.auth import BasicAuth, auth_of
from exporter.web.config_file import TLS, USERS, WebConfig, read_web_config
from exporter.web.entrance import Entrance, EntranceRules
from exporter.web.tls import ServerContext, ServerTls, tls_of_flags
from exporter.web.tls_section import CLIENT_AUTH, CLIENT_NAMES
from exporter.web.token_bucket import TokenBucket

_FLAGS_OF_TLS = {
    "tls_server_cert_file": "--tls-server-cert-file",
    "tls_server_key_file": "--tls-server-key-file",
    "tls_server_ca_cert_file": "--tls-server-ca-cert-file",
}
_FLAGS_OF_USERS = {
    "basic_auth_username": "--basic-auth-username",
    "basic_auth_password": "--basic-auth-password",
    "basic_auth_hash_password": "--basic-auth-hash-password",
}


def entrance_of(options: WebOptions, limits: files.FileLimits) -> Entrance:
    """Read and check everything. Raises ConfigError."""
    name = options.config_file
    reader = _RulesReader(options, limits)
    return Entrance(reader.read, [name], f"--web.config.file={masks.mask(name)}", limits)


class _RulesReader:
    """Reads it again and again. What has not changed stays as it is, with all that it remembers."""

    def __init__(self, options: WebOptions, limits: files.FileLimits) -> None:
        self._options = options
        self._limits = limits
        self._given = WebConfig()
        self._before: EntranceRules | None = None

    def read(self) -> EntranceRules:
        """Raises ConfigError."""
        options, given = self._options, WebConfig()
        if options.config_file:
            given = read_web_config(options.config_file, self._limits)
            faults = [
                f"{masks.mask(options.config_file)}: {each}" for each in _contradictions(options, given)
            ]
            if faults:
                raise ConfigError(*faults)
        headers = CommonHeaders(given.headers) if given.headers else USUAL
        made = EntranceRules(self._auth(given), self._tls(given), headers, self._bucket(given), given.notes)
        if self._before is not None:
            faults = [f"{masks.mask(options.config_file)}: {each}" for each in _lost(self._given, given)]
            if faults:
                raise ConfigError(*faults)
        self._given, self._before = given, made
        return made

    def _auth(self, given: WebConfig) -> BasicAuth | None:
        before = self._before
        if before is not None and given.users == self._given.users:
            return before.auth
        waiting_max = self._options.max_password_checks
        if given.users:
            return BasicAuth(given.users, waiting_max=waiting_max)
        web = self._options
        words = (web.basic_auth_username, web.basic_auth_password, web.basic_auth_hash_password)
        return auth_of(*words, waiting_max) if any(words) else None

    def _tls(self, given: WebConfig) -> ServerContext | None:
        settings, before = given.tls or self._tls_of_flags(), self._before
        old = before.tls if before is not None else None
        if before is not None and (settings is None) != (old is None):
            raise ConfigError(
                f"{masks.mask(self._options.config_file)}: a running exporter cannot switch TLS on or off: "
                f"start it again"
            )
        if settings is None:
            return None
        return old if old is not None and old.settings == settings else ServerContext(settings)

    def _tls_of_flags(self) -> ServerTls | None:
        options = self._options
        if not options.tls_server_cert_file:
            return None
        names = (options.tls_server_cert_file, options.tls_server_key_file, options.tls_server_ca_cert_file)
        return tls_of_flags(*names, options.tls_server_min_version, self._limits)

    def _bucket(self, given: WebConfig) -> TokenBucket | None:
        before = self._before
        if before is not None and given.rate == self._given.rate:
            return before.bucket
        return TokenBucket(given.rate) if given.rate is not None else None


def _contradictions(options: WebOptions, given: WebConfig) -> Iterator[str]:
    """What flags and the file both say."""
    for has_it, section, flags in (
        (given.tls is not None, TLS, _FLAGS_OF_TLS),
        (bool(given.users), USERS, _FLAGS_OF_USERS),
    ):
        flag = next((flag for name, flag in flags.items() if getattr(options, name)), "")
        if has_it and flag:
            yield f"{section} and {flag} are both set: keep one of them"
    if given.tls is not None and options.tls_server_min_version != WebOptions().tls_server_min_version:
        yield f"{TLS} and --tls-server-min-version are both set: write min_version in the file"


def _lost(before: WebConfig, now: WebConfig) -> Iterator[str]:
    """What kept others out, and is in the file no longer. It may be half written, or the disk is full: that
    must open no door."""
    if before.users and not now.users and USERS not in now.opens:
        yield (
            f"{USERS} is no longer there, and everybody would be let in: write {USERS}: {{}} if that is "
            f"meant, or start the exporter again"
        )
    if before.tls is None or now.tls is None:
        return
    must_show = before.tls.asks_clients and not before.tls.clients_may_show_none
    if must_show and not now.tls.asks_clients and CLIENT_AUTH not in now.opens:
        yield (
            f"{TLS}: {CLIENT_AUTH} is no longer there, and clients without a certificate would be let in: "
            f"write NoClientCert if that is meant, or start the exporter again"
        )
    elif (
        before.tls.client_names
        and now.tls.asks_clients
        and not now.tls.client_names
        and not {CLIENT_NAMES, CLIENT_AUTH} & now.opens
    ):
        yield (
            f"{TLS}: {CLIENT_NAMES} is no longer there, and every certificate of the authorities would be "
            f"let in: write [] if that is meant, or start the exporter again"
        )
