"""The command `redis_exporter`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from exporter import __version__, logs
from exporter.errors import RedpollError


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the command and return its exit code: 0 well, 1 a configuration or a start that failed, 2 a wrong command line."""
    from exporter import commandline

    environ = os.environ if environ is None else environ
    try:
        options = commandline.parse(sys.argv[1:] if argv is None else argv, environ)
        if options.run.help:
            print(commandline.help_text(), end="")
            return 0
        if options.run.version:
            print(f"redpoll {__version__}")
            return 0
        if options.run.print_config:
            print(commandline.print_config(options), end="")
            return 0
        logs.set_up("DEBUG" if options.log.debug or options.log.verbose else options.log.level, options.log.format)
        from exporter.app import run  # what only a run needs is loaded by a run only

        return run(options, environ)
    except RedpollError as error:
        for line in str(error).splitlines():
            print(f"redis_exporter: {line}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
