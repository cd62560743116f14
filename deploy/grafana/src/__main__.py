"""`python -m deploy.grafana.src DIRECTORY`: writes the dashboards, one file each."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.grafana.src.boards import BOARDS


def main() -> None:
    directory = Path(sys.argv[1])
    for board in BOARDS:
        (directory / f"{board.name}.json").write_text(board.text(BOARDS))


if __name__ == "__main__":
    main()
