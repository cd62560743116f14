"""The pages and JSON of single targets, connected with what they show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from exporter.app.backend import Backend
from exporter.options.table import WebOptions
from exporter.status.target_page import TargetPage, TargetSources
from exporter.status.templates import Templates
from exporter.targets.target import Target


def target_answers(
    backend: Backend, options: WebOptions, templates: Templates, share: Callable[[], Awaitable[None]]
) -> TargetPage:
    """`share` returns when the event loop has time. A traced poll asks no more of a server than
    `/scrape?max_age=0`, so it is allowed where that is."""
    has_scrape = not options.disable_scrape_endpoint
    return TargetPage(
        TargetSources(
            backend.fleet,
            backend.pages,
            backend.services,
            other_owner=backend.other_owner,
            refuse=backend.refuse,
            options=lambda: backend.configuration.options,
            places=lambda target: _places(backend, target),
            share=share,
            may_trace=options.enable_trace and (has_scrape or options.enable_lifecycle),
            has_scrape=has_scrape,
        ),
        templates,
    )


def _places(backend: Backend, target: Target) -> Mapping[str, str]:
    """Where the target's own values are in the newest files: a reload that moves lines only leaves the target
    as it is."""
    newest = next((each for each in backend.configuration.targets if each.addr == target.addr), target)
    return dict(newest.places)
