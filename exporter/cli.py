"""The command `redis_exporter`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from exporter import __version__, logs
from exporter.errors import RedpollError, UsageError

#: words that may stand first; those with options take all of the program's, the others arguments of their own
COMMANDS = {
    "check": ("read the configuration, and say what is wrong with it", True),
    "once": ("poll every server once and print the page", True),
    "acl": ("print the least ACL rule for the options in use", True),
    "compare": ("compare two pages of metrics: OLD NEW", False),
    "docs": ("print a page of the documentation: metrics or options", False),
}


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the command and return its exit code: 0 well, 1 a configuration or a start that failed, 2 a wrong command line."""
    environ = os.environ if environ is None else environ
    try:
        return _run(list(sys.argv[1:] if argv is None else argv), environ)
    except RedpollError as error:
        for line in str(error).splitlines():
            print(f"redis_exporter: {line}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has had enough
        sys.stderr.close()
        return 1


def _run(argv: list[str], environ: Mapping[str, str]) -> int:
    from exporter import commandline

    command = argv.pop(0) if argv and not argv[0].startswith("-") else ""
    if command and command not in COMMANDS:
        raise UsageError(f"unknown command {command}: write one of {', '.join(COMMANDS)}, or flags only")
    if command and not COMMANDS[command][1]:
        return int(_module(command).run(argv))
    options = commandline.parse(argv, environ)
    if options.run.help:
        print(commandline.help_text({name: help for name, (help, _) in COMMANDS.items()}), end="")
        return 0
    if options.run.version:
        print(f"redpoll {__version__}")
        return 0
    if options.run.print_config:
        print(commandline.print_config(options), end="")
        return 0
    logs.set_up("DEBUG" if options.log.debug or options.log.verbose else options.log.level, options.log.format)
    return int(_module(command).run(options, environ))


def _module(command: str):  # type: ignore[no-untyped-def]  # one of the commands' modules
    """What only a run needs is loaded by a run only."""
    return importlib.import_module(f"exporter.commands.{command}" if command else "exporter.app")


if __name__ == "__main__":
    sys.exit(main())
