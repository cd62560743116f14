"""The HTTP endpoint: from pages to answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from exporter.app.backend import Backend
from exporter.app.build import Configuration, web_settings
from exporter.app.reload_record import ReloadRecord
from exporter.app.status_answers import Seen, status_answers
from exporter.options.table import WebOptions
from exporter.telemetry.own_series import Reader
from exporter.web.body_writer import BodyWriter
from exporter.web.guard import Guard
from exporter.web.incidents import Incidents
from exporter.web.limits import limits_of
from exporter.web.listener import Listener, cannot_listen, shown
from exporter.web.reload import Reload
from exporter.web.routes import Web
from exporter.web.scrape_log import ScrapeLog
from exporter.web.scrapes import Sources

log = logging.getLogger(__name__)


class Frontend:
    """Listens, and answers with what a backend has. `open_files` is how many files the process may open;
    `record` says how the newest reload ended."""

    def __init__(self, options: WebOptions, open_files: int, record: ReloadRecord | None = None) -> None:
        self._record = record or ReloadRecord()
        self._incidents = Incidents()
        self._scrape_log = ScrapeLog()
        self._guard = Guard(limits_of(options, open_files), self._incidents)
        self._listener: Listener | None = None

    def readers(self) -> Mapping[str, Reader]:
        """Values of the exporter's own series that are known here."""
        return {
            "exporter_http_connections": lambda: len(self._guard),
            "exporter_http_incidents_total": lambda: self._incidents.counts,
        }

    async def start(self, configuration: Configuration, backend: Backend, reload: Reload) -> None:
        """Listen. ConfigError if the address cannot be had."""
        options, entrance = configuration.options, configuration.entrance
        seen = Seen(
            self._incidents, self._scrape_log, self._record, lambda: self.addresses, lambda: web.is_ready()
        )
        web = Web(
            web_settings(options),
            Sources(
                backend.pages,
                backend.fleet,
                backend.own_series,
                turned_at=lambda: backend.schedule.turned_at,
                stale=lambda addr: backend.store.expired(addr, configuration.family_sets.identifying),
                generation=lambda: backend.store.generation,
                reload=reload,
                max_age_floor_s=lambda: backend.max_age_floor_s,
                adopt=backend.adoption.find,
                note_scrape=backend.schedule.note_scrape,
                role_of=backend.discovery.role_of,
                other_owner=backend.other_owner,
                pauses=backend.pauses,
                refuse=backend.refuse,
                scrape_log=self._scrape_log,
            ),
            entrance=entrance,
            incidents=self._incidents,
            bodies=BodyWriter(self._guard.limits.old_pages_bytes, backend.pages.current),
            others=status_answers(backend, options, seen),
        )
        has_tls = entrance.newest.tls is not None
        listener = Listener(web.app(), self._guard, web.source(), has_tls=has_tls)
        for note in entrance.newest.notes:
            log.info(note)
        address = options.web.listen_address
        try:
            await listener.start(address)
        except (OSError, ValueError) as error:
            raise cannot_listen(address, error) from None
        self._listener = listener
        for bound in self.addresses:
            log.info("listening on %s%s", "https://" if has_tls else "", bound)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as host:port."""
        return [shown(bound) for bound in self._listener.addresses] if self._listener is not None else []

    async def stop(self) -> None:
        """Finish the answers that are on their way, and close everything."""
        if self._listener is not None:
            await self._listener.stop()
