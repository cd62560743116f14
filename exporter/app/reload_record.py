"""How the newest reload ended, for the log and for the exporter's own series."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from exporter.errors import ConfigError, StoppingError
from exporter.telemetry.own_series import Reader

log = logging.getLogger(__name__)


class ReloadRecord:
    """Begins with the start, which counts as a reload that went well. Each reload happens within what
    `around` gives."""

    def __init__(self) -> None:
        self.around: Callable[[], AbstractContextManager[object]] = nullcontext
        self.successful = True
        self.succeeded_at = time.time()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What happens in it is a reload. Its error is logged and goes on."""
        try:
            with self.around():
                yield
        except StoppingError:
            raise
        except BaseException as error:
            self.successful = False
            if isinstance(error, ConfigError):
                extra = {"err": str(error), "topic": "reload"}
                log.error("the reload failed, and nothing has changed", extra=extra)
            raise
        self.successful, self.succeeded_at = True, time.time()

    @staticmethod
    def say(changes: object) -> None:
        """Log what a reload that went well has changed. After a failure this is written at once, even if a
        line before the failure said the same."""
        log.info("reloaded: %s", changes, extra={"topic": "reload"})

    def readers(self) -> Mapping[str, Reader]:
        """Values of the exporter's own series that are known here."""
        return {
            "exporter_config_last_reload_successful": lambda: float(self.successful),
            "exporter_config_last_reload_success_timestamp_seconds": lambda: self.succeeded_at,
        }


async def reload_unasked(reload: Callable[[], Awaitable[object]]) -> None:
    """Reload where nobody waits for the answer. Only StoppingError is raised: the next reload must find
    somebody who does it."""
    try:
        await reload()
    except StoppingError:
        raise
    except ConfigError:
        pass  # the log says so
    except Exception:
        log.exception("internal error in a reload (please report)")
