"""Running the exporter until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import os
import threading
from collections.abc import Mapping, Sequence

import uvloop

from exporter import files, logs, signals
from exporter.app.app import STOP_S, App, Read
from exporter.app.build import configure
from exporter.app.file_watch import reload_on_changes
from exporter.app.reload_record import reload_unasked
from exporter.app.sd_notify import Notifier
from exporter.app.watchdog import Watchdog
from exporter.collectors._switches import switches
from exporter.descriptors import check_limit, raise_limit
from exporter.errors import ConfigError, InternalError, StoppingError
from exporter.options.commandline import read_again
from exporter.options.table import Options
from exporter.targets.configured import ConfiguredTargets, load_targets
from exporter.targets.shared_keys import Switches
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
    noted: files.Noted | None = None,
) -> None:
    """Run until SIGTERM or SIGINT. SIGHUP reloads, by what `read` reads (see `App`), and so does a change of
    one of the `noted` files if the options say so. systemd hears how it goes."""
    app = App(read=read)
    watchdog = Watchdog(logs.formatter(options.log.format), turned_at=lambda: turned_at(app))
    watchdog.start()
    notifier = Notifier(os.environ)
    app.record.around = notifier.reloading
    loop = asyncio.get_running_loop()
    stopping, reloading = asyncio.Event(), asyncio.Event()

    def hear(number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe((reloading if number == signals.RELOADING else stopping).set)

    signals.catch()
    signals.listen(hear)
    tasks = [asyncio.create_task(reload_when(reloading, app))]
    try:
        app.noted = {} if noted is None else noted
        with files.noting(app.noted):
            configuration = configure(options, targets)
        await app.apply(configuration)
        notifier.ready()
        tasks.append(asyncio.create_task(notifier.beat(lambda: status_of(app))))
        if options.targets.watch:
            tasks.append(asyncio.create_task(reload_on_changes(lambda: app.noted, app.reload)))
        await stopping.wait()
        log.info("stopping")
        notifier.stopping()
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), STOP_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        notifier.close()
    watchdog.stop()


def turned_at(app: App) -> float:
    """The monotonic moment at which the event loop turned last, as far as that is known. For any thread."""
    try:
        return app.backend.schedule.turned_at
    except (InternalError, StoppingError):  # it does not poll yet, or no longer
        return -math.inf


def status_of(app: App) -> str:
    """How many targets are up and down, in one line for systemd; "" while it stops."""
    if not app.is_running:
        return ""
    states = app.backend.fleet.states()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{sum(states.values())} targets: {counts}; on {' '.join(app.addresses)}"


async def reload_when(asked: asyncio.Event, app: App) -> None:
    """Reload each time that the event is set. What is asked for while the program starts is done after the
    start, and several signals that come together are one."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await reload_unasked(app.reload)
        except StoppingError:
            return


def read_targets(options: Options, environ: Mapping[str, str]) -> ConfiguredTargets:
    """The targets that the options name. ConfigError with every mistake."""
    redis = options.redis
    is_found = bool(options.targets.file_sd or options.targets.http_sd)
    targets = load_targets(
        redis.addr if options.addr_given or not is_found else (),
        addr_given=options.addr_given or is_found,
        user=redis.user,
        password=redis.password,
        files=options.config_files,
        discover=options.targets.discover,
        environ=environ,
        switches=Switches(switches, options.metrics.collectors_off),
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
    check_limit(raise_limit())

    def read() -> tuple[Options, Sequence[Target]]:
        again = read_again(options, environ)
        return again, read_targets(again, environ)

    noted: files.Noted = {}
    with files.noting(noted):
        # to know what is watched, all that was read before is read again
        options, targets = read() if options.targets.watch else (options, read_targets(options, environ))
    uvloop.run(serve(options, targets, read, noted))
    signals.ignore()
    leave_threads()
    return 0


def leave_threads() -> None:
    """End the process here if a thread is still in compiled code. At its own end the interpreter ends such a
    thread as soon as it needs the interpreter again; in bcrypt, which is Rust, that aborts the process."""
    if any(thread.name in LONG_THREADS for thread in threading.enumerate()):
        logging.shutdown()
        os._exit(0)
