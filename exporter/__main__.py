"""`python -m exporter` is the command `redis_exporter`."""

import sys

from exporter import signals


def main() -> int:
    signals.catch()  # before the imports that take time
    from exporter import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
