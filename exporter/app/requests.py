"""What the options say about targets that requests name and nobody configured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from exporter.options.overrides import overrides_of
from exporter.options.table import Options
from exporter.options.values import parse_keys
from exporter.targets.configured import settings_of
from exporter.targets.password_file import NO_PASSWORDS, Passwords
from exporter.targets.scrape_access import NamedLogin, ScrapeAccess
from exporter.targets.target import Target
from exporter.web.query import KEY_PARAMETERS

#: with values for all options about keys that a request may have values of its own for: what it can need
WITH_KEYS = overrides_of((name, parse_keys(text)) for name in KEY_PARAMETERS for text in ("a,a*",))


def without_requests(options: Options) -> Options:
    """These options where nobody can ask for /scrape, because nothing listens."""
    return replace(options, web=replace(options.web, disable_scrape_endpoint=True))


def is_open(options: Options) -> bool:
    """Whether requests may name any target, as the Go exporter's, because no target is configured on
    purpose."""
    is_empty = options.addr_given and not options.redis.addr
    return is_empty and options.targets.scrape_allow is None and not options.web.disable_scrape_endpoint


def may_name_any(options: Options) -> bool:
    """Whether requests may name targets that nobody configured."""
    return is_open(options) or options.targets.scrape_allow is not None


def scrape_access(options: Options, passwords: Passwords | None, targets: Sequence[Target]) -> ScrapeAccess:
    """`targets` are the configured ones, with the groups of their files."""
    redis = options.redis
    # with several addresses these may be lists, with one value for each
    has_one = len(redis.addr) <= 1
    return ScrapeAccess(
        options.targets.scrape_allow,
        is_open(options),
        passwords or NO_PASSWORDS,
        redis.user if has_one or "," not in redis.user else "",
        redis.password if has_one or "," not in redis.password else "",
        {
            name: NamedLogin(group.allow, group.login.fields)
            for name, group in settings_of(targets).items()
            if name and group.allow is not None
        },
    )


def access_warnings(options: Options) -> Iterator[str]:
    if is_open(options):
        yield (
            "--redis.addr is set and empty, so everybody who reaches /scrape may have any address polled: "
            "write those that may be in --scrape.allow"
        )
