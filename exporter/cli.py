"""The command `redis_exporter`."""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

from exporter import logs, masks, safe_text
from exporter.errors import ConfigError, RedpollError, UsageError
from exporter.options.commands import COMMANDS


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the command and return its exit code: 0 for success, 1 for a configuration or a start that failed,
    2 for a wrong command line."""
    environ = os.environ if environ is None else environ
    _hold_standard_files()
    for stream, own in ((sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__)):
        if stream is own and isinstance(stream, io.TextIOWrapper):  # the output is UTF-8 in every locale
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if sys.stdout is None:  # it was closed: what is written fails
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), environ)
        sys.stdout.flush()
        return code
    except RedpollError as error:
        for line in str(error).split("\n"):
            logs.show(f"redis_exporter: {line}")
        return error.exit_code
    except BrokenPipeError:  # the reader has gone
        _drop_output()
        return 1
    except OSError as error:  # the output's disk is full, say
        _drop_output()
        text = "stdout is closed" if error.errno == errno.EBADF else error.strerror or type(error).__name__
        shown = f": {masks.mask(str(error.filename))}" if error.filename else ""
        logs.show(f"redis_exporter: {text}{shown}")
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        logs.show_failure(error)
        return 1


def _hold_standard_files() -> None:
    """Open stdin, stdout and stderr where they were closed, so that no socket takes their place: a write
    meant for them would go there, and uvloop aborts the process when it closes one. What is written to them
    fails."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free: this one


def _drop_output() -> None:
    """What could not be written must not be written again at exit."""
    with contextlib.suppress(OSError):  # a stdout without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: list[str], environ: Mapping[str, str]) -> int:
    from exporter.options import commandline

    command = argv.pop(0) if argv and not argv[0].startswith("-") else None
    if command is not None and command not in COMMANDS:
        raise UsageError(_unknown(command))
    if command is not None and not COMMANDS[command].takes_options:
        given = (argv, environ) if COMMANDS[command].of_running else (argv,)
        return int(_module(command).run(*given))
    options = commandline.parse(argv, environ, COMMANDS)
    if options.run.help:
        print(commandline.help_text({name: row.help for name, row in COMMANDS.items()}), end="")
        return 0
    if options.run.version:
        from exporter import engine
        from exporter.build_facts import version_text

        print(version_text(engine.ENGINE))
        return 0
    if options.run.print_config:
        faults = [line for file in options.config_files for line in file.faults.lines]
        if faults:
            raise ConfigError(*faults)
        print(commandline.print_config(options), end="")
        return 0
    log = options.log
    logs.set_up(logs.VERBOSE if log.verbose else "DEBUG" if log.debug else log.level, log.format)
    level, form = (options.settings[flag].text for flag in ("log-level", "log-format"))
    if level.upper() not in logs.LEVELS:
        _warn_of("log-level", level, logs.LEVELS, log.level)
    if form not in logs.FORMATS:
        _warn_of("log-format", form, logs.FORMATS, log.format)
    return int(_module(command).run(options, environ))


def _warn_of(flag: str, text: str, known: Iterable[str], used: str) -> None:
    """Log that a word is unknown, and which one is used. The Go exporter takes both in silence."""
    shown = safe_text.shorten(masks.mask(text), 40)
    logging.getLogger(__name__).warning(
        "--%s=%s is not one of %s: %s is used", flag, shown, ", ".join(known), used
    )


def _unknown(command: str) -> str:
    """Only a plain word is shown: another one may be an address with its password."""
    if not re.fullmatch(r"[a-z-]{1,20}", command):
        return "argument 1 is neither a command nor a flag: flags begin with -"
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    return f"unknown command {command}: " + (
        f"did you mean {near[0]}?" if near else f"write one of {', '.join(COMMANDS)}, or flags only"
    )


def _module(command: str | None) -> ModuleType:
    """Load what a command needs, and nothing else."""
    return importlib.import_module(f"exporter.commands.{command}" if command else "exporter.app.run")


if __name__ == "__main__":
    sys.exit(main())
