"""What the one-file build starts: the command."""

import sys

from exporter.__main__ import main

sys.exit(main())
