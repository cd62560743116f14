"""The program with a limit of 64 open files: `python -m tests.few_files [flags]`."""

from __future__ import annotations

import resource
import sys

from exporter.cli import main

LIMIT = 64

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    sys.exit(main())
