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
