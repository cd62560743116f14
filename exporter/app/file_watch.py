"""Reloads when a file changes that the newest reading has read."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from exporter import files
from exporter.app.reload_record import reload_unasked
from exporter.errors import StoppingError
from exporter.folder_watcher import FolderWatcher, folders_of

log = logging.getLogger(__name__)


async def reload_on_changes(
    noted: Callable[[], Mapping[str, files.Stamp]], reload: Callable[[], Awaitable[object]]
) -> None:
    """Reload each time that one of the `noted` files differs from what was read of it. Changes that come
    together are one reload; one that fails is tried again at the next change. Runs until it is cancelled, or
    the exporter stops."""
    watcher = FolderWatcher()
    try:
        while True:
            await watcher.wait(await watcher.call(lambda: folders_of(noted())))
            if await watcher.call(lambda: files.changed(noted())):
                log.info("a file has changed: reloading")
                await reload_unasked(reload)
    except StoppingError:
        pass
    finally:
        watcher.close()
