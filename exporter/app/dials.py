"""How targets are dialled, by their options."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.app.requests import may_name_any
from exporter.connection.dial_plan import DialPlan
from exporter.connection.replies import ReplyLimits
from exporter.connection.settings import DialSettings
from exporter.errors import ConfigError
from exporter.options.overrides import override
from exporter.options.table import Options
from exporter.targets.target import Target


def plan_dials(options: Options, targets: Iterable[Target], before: DialPlan | None) -> DialPlan:
    """The plan for these targets, with what has not changed of the one in use. ConfigError for files that are
    named and cannot be used, whether a target needs them or not."""
    plan = DialPlan(lambda target: dial_settings(override(options, target.overrides)), before)
    of_all = dial_settings(options)
    if of_all.tls_files or may_name_any(options):
        plan.context_of(of_all)
    problems: dict[tuple[object, ...], str] = {}  # by what a context is made of
    for target in targets:
        settings = plan.settings_of(target)
        if (target.tls or settings.tls_files) and settings.of_tls not in problems:
            try:
                plan.context_of(settings)
            except ConfigError as error:
                where = f"{target.alias or target.addr}: " if settings.of_tls != of_all.of_tls else ""
                problems[settings.of_tls] = f"{where}{error}"
    if problems:
        raise ConfigError(*problems.values())
    return plan


def dial_settings(options: Options) -> DialSettings:
    redis = options.redis
    return DialSettings(
        set_client_name=redis.set_client_name,
        ping=redis.ping_on_connect,
        ca_file=redis.tls_ca_cert_file,
        cert_file=redis.tls_client_cert_file,
        key_file=redis.tls_client_key_file,
        server_name=redis.tls_server_name,
        skip_verification=redis.skip_tls_verification,
        file_limits=options.files,
        limits=ReplyLimits(options.poll.reply_max_bytes, options.poll.reply_max_elements),
        allowance=redis.discover_allow,
        scrape_allow=options.targets.scrape_allow,
    )
