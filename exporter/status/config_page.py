"""The pages `/config`, which shows every option, and `/setup`, which shows what Prometheus needs to scrape
this exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from aiohttp import web

from exporter import safe_text
from exporter.options.commandline import ShownSetting, shown_settings
from exporter.options.table import Options
from exporter.options.values import UNIX
from exporter.status.answers import html_answer
from exporter.status.snippet import ScrapedEndpoint, address_of, each_target, one_page
from exporter.status.templates import Templates

#: characters of a value, and of a search
VALUE_MAX, TEXT_MAX = 1000, 200


@dataclass(frozen=True, slots=True)
class ConfigSources:
    """`options` are those in use, `addresses` those that the exporter listens on."""

    options: Callable[[], Options]
    addresses: Callable[[], Sequence[str]]


class ConfigPage:
    """See the module."""

    def __init__(self, sources: ConfigSources, templates: Templates) -> None:
        self._sources = sources
        self._templates = templates

    async def config(self, request: web.Request) -> web.StreamResponse:
        """Every option, or those with the text `q` in name, value or help."""
        text = safe_text.valid(request.query.get("q", "")[:TEXT_MAX]).strip()
        settings = [each for each in shown_settings(self._sources.options()) if _fits(each, text.lower())]
        values = {
            "root": "",
            "page": "config",
            "text": text,
            "given": [each for each in settings if each.is_given],
            "groups": [
                (title, list(group)) for title, group in groupby(settings, lambda each: each.option.title)
            ],
            "cut": lambda value: safe_text.one_line(value, VALUE_MAX),
        }
        return html_answer(await self._templates.write("config.html", values))

    async def setup(self, request: web.Request) -> web.StreamResponse:
        """What to write into prometheus.yml."""
        endpoint = endpoint_of(self._sources.options(), request, self._sources.addresses())
        values = {
            "root": "",
            "page": "setup",
            "endpoint": endpoint,
            "one_page": one_page(endpoint),
            "each_target": each_target(endpoint) if endpoint.has_scrape else "",
        }
        return html_answer(await self._templates.write("setup.html", values))


def endpoint_of(options: Options, request: web.Request, listening: Sequence[str]) -> ScrapedEndpoint:
    """How this client can reach the exporter."""
    options_web, is_https = options.web, bool(options.web.tls_server_cert_file)
    ports = (address for address in listening if not address.startswith(UNIX))
    return ScrapedEndpoint(
        address=address_of(request.host, is_https, next(ports, "localhost:9121")),
        is_https=is_https,
        telemetry_path=options_web.telemetry_path,
        interval_s=options.poll.interval_s,
        user=options_web.basic_auth_username,
        asks_certificate=bool(options_web.tls_server_ca_cert_file),
        target_labels=options.metrics.target_labels,
        has_scrape=not options_web.disable_scrape_endpoint,
    )


def _fits(setting: ShownSetting, text: str) -> bool:
    words = (setting.option.flag, setting.text, setting.where, setting.option.help)
    return not text or any(text in word.lower() for word in words)
