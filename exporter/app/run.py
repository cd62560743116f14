"""Running the exporter until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import threading
from collections.abc import Mapping, Sequence

import uvloop

from exporter import logs, signals
from exporter.app.app import STOP_S, App, Read
from exporter.app.build import configure
from exporter.app.watchdog import Watchdog
from exporter.errors import ConfigError, StoppingError
from exporter.options.commandline import read_again
from exporter.options.table import Options
from exporter.targets.configured import load_targets
from exporter.targets.target import Target

#: the garbage collector looks at the new objects when there are this many
YOUNG_OBJECTS = 20_000

#: threads that may take long: a check, a look-up, a read
LONG_THREADS = frozenset({"password", "look-up", "file", "trim"})

log = logging.getLogger(__name__)


async def serve(
    options: Options,
    targets: Sequence[Target],
    read: Read | None = None,
) -> None:
    """Run until SIGTERM or SIGINT. SIGHUP reloads, by what `read` reads (see `App`)."""
    watchdog = Watchdog(logs.formatter(options.log.format))
    watchdog.start()
    app = App(read=read)
    loop = asyncio.get_running_loop()
    stopping, reloading = asyncio.Event(), asyncio.Event()

    def hear(number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe((reloading if number == signals.RELOADING else stopping).set)

    signals.catch()
    signals.listen(hear)
    reloads = asyncio.create_task(reload_when(reloading, app))
    try:
        await app.apply(configure(options, targets))
        await stopping.wait()
        log.info("stopping")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), STOP_S)
    finally:
        reloads.cancel()
    watchdog.stop()


async def reload_when(asked: asyncio.Event, app: App) -> None:
    """Reload each time that the event is set. What is asked for while the program starts is done after the
    start, and several signals that come together are one."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await app.reload()
        except ConfigError:
            pass  # the log says so
        except StoppingError:
            return
        except Exception:  # the next signal must find somebody who listens
            log.exception("internal error in a reload (please report)")


def read_targets(options: Options, environ: Mapping[str, str]) -> list[Target]:
    """The targets that the options name. ConfigError with every mistake."""
    redis = options.redis
    targets = load_targets(
        redis.addr,
        addr_given=options.addr_given,
        user=redis.user,
        password=redis.password,
        files=options.config_files,
        environ=environ,
    )
    if options.metrics.target_labels == "never" and len(targets) > 1:
        raise ConfigError(
            f"--target-labels=never with {len(targets)} targets: all would have the same series; write "
            f"--target-labels=auto or always"
        )
    return targets


def run(options: Options, environ: Mapping[str, str]) -> int:
    """What the command does without a sub-command. Returns the exit code."""
    # The polls of one time slot make some thousand objects that die with them: a collection among them finds
    # nothing.
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)

    def read() -> tuple[Options, Sequence[Target]]:
        again = read_again(options, environ)
        return again, read_targets(again, environ)

    uvloop.run(serve(options, read_targets(options, environ), read))
    signals.ignore()
    leave_threads()
    return 0


def leave_threads() -> None:
    """End the process here if a thread is still in compiled code. At its own end the interpreter ends such a
    thread as soon as it needs the interpreter again; in bcrypt, which is Rust, that aborts the process."""
    if any(thread.name in LONG_THREADS for thread in threading.enumerate()):
        logging.shutdown()
        os._exit(0)
