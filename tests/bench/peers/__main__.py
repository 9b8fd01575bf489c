"""The command line: measure every system at every size, and write the page."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.peers.page import write_page
from tests.bench.peers.race import SYSTEMS, Result, race
from tests.bench.peers.source import make_source


def main() -> None:
    """Measure, then write the page and its plots. The other systems are where ``EPOCH_PEERS`` says."""
    options = _options()
    results: list[Result] = []
    versions: dict[str, str] = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="epoch-peers-", dir=options.folder) as name:
            folder = Path(name)
            make_source(folder / "source", rows)
            chosen = [system for system in SYSTEMS if system.name in options.systems]
            found, versions = race(chosen, Path(os.environ["EPOCH_PEERS"]), folder, rows, options.rounds)
            results.extend(found)
    write_page(options.page, results, versions, options.rounds, sys.argv[1:])


def _options() -> argparse.Namespace:
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description="Epoch beside other systems.")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="sizes of the table"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each operation is timed (default: %(default)s)"
    )
    parser.add_argument("--systems", nargs="+", choices=names, default=names, help="which systems (default: all)")
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"), help="the page (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to put scratch files (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
