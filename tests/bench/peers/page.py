"""The page docs/benchmarks.md and its plots."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.measure import duration
from tests.bench.peers.race import OPERATIONS, SYSTEMS, Operation, Result

INTRODUCTION = """\
# Benchmarks

One command measures this page and writes it:

    {command}

All systems run on one machine and on the same rows, in turns. Each row says who is ahead, Epoch or not.

| | |
| --- | --- |
| date | {date} |
| machine | {machine} |
| systems | {systems} |
| figures | median of {rounds} rounds; in parentheses the ratio to DuckDB by hand |

The table has the columns `id BIGINT PRIMARY KEY, customer_id INTEGER, status VARCHAR, amount DECIMAL(12, 2),
updated_at TIMESTAMP, note VARCHAR`. All systems have to find the same rows, or the command fails.
"""

READING = """\
## What is compared

- **Change and commit.** Epoch and DoltLite check out the branch first, and that counts. Epoch's working table is a
  DuckDB table that any statement may change, so its commit looks for what changed.
- **Size.** Epoch's size is that of the working database and the history. The others store each row once.
- **Merge.** Epoch and DoltLite merge cell by cell into the branch that is checked out, and look for conflicts.
- **DuckDB by hand** copies the table for each branch and joins two tables to compare them. Its merge joins the branch
  with the base. It keeps no history and finds no conflicts.
- **DoltLite** stores rows, not columns. It loads them from an attached SQLite database. Its amounts are floating-point
  numbers.
- **DuckLake** has snapshots and no branches. Here a branch is a table over the files of the first, made with
  `ducklake_add_data_files`. The merge is written by hand over `ducklake_table_changes`, and finds no conflicts. DuckLake
  has no primary keys.
- **pyiceberg** has branches and no merge. It gets the rows to write in memory. DuckDB joins and aggregates what it reads.
- **delta-rs** has versions of one table, and neither branches nor a merge. It restores the first version before each
  change.
"""

PLOT_COLUMNS = 3


def write_page(
    path: Path, results: Sequence[Result], versions: Mapping[str, str], rounds: int, arguments: Sequence[str]
) -> None:
    """Write the page, and beside it ``NAME.svg`` with a plot for each operation."""
    command = "make bench-peers" + (f" ARGS='{' '.join(arguments)}'" if arguments else "")
    sizes = sorted({result.rows for result in results}, reverse=True)
    text = [
        INTRODUCTION.format(
            command=command,
            date=datetime.date.today().isoformat(),
            machine=_machine(),
            systems=", ".join(versions[system.name] for system in SYSTEMS if system.name in versions),
            rounds=rounds,
        )
    ]
    text += [_section(rows, [result for result in results if result.rows == rows], versions) for rows in sizes]
    if len(sizes) > 1:
        plot = path.with_suffix(".svg")
        _plot(plot, results, versions)
        text.append(f"## Growth\n\n![Time or size of each operation by rows of the table]({plot.name})\n")
    text.append(READING)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text))


def _section(rows: int, results: Sequence[Result], versions: Mapping[str, str]) -> str:
    systems = [system for system in SYSTEMS if system.name in versions]
    amounts = {(result.operation, result.system): result.amount for result in results}
    lines = [
        f"## {rows:,} rows\n",
        "| operation | " + " | ".join(system.title for system in systems) + " | ahead |",
        "| --- |" + " --- |" * (len(systems) + 1),
    ]
    for operation in OPERATIONS:
        row = {system.name: amounts.get((operation.name, system.name)) for system in systems}
        there = {name: amount for name, amount in row.items() if amount is not None}
        if operation.unit is None or not there:
            continue
        first = min(there, key=lambda name: there[name])
        cells = [_cell(operation, row[system.name], there.get("by_hand"), system.name == first) for system in systems]
        ahead = next(system.title for system in systems if system.name == first)
        lines.append(f"| {operation.title} | {' | '.join(cells)} | {ahead} |")
    return "\n".join([*lines, ""])


def _cell(operation: Operation, amount: float | None, by_hand: float | None, first: bool) -> str:
    if amount is None:
        return ""
    text = duration(amount) if operation.unit == "s" else f"{amount / 1e6:.3g} MB"
    if by_hand and amount != by_hand:
        text += f" ({_ratio(amount / by_hand)})"
    return f"**{text}**" if first else text


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.2g} x"


def _plot(path: Path, results: Sequence[Result], versions: Mapping[str, str]) -> None:
    import matplotlib.pyplot as plt

    # Text stays text, and two runs of the same figures give the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "epoch", "font.size": 9})
    operations = [operation for operation in OPERATIONS if operation.unit]
    lines = -(-len(operations) // PLOT_COLUMNS)
    figure, axes = plt.subplots(lines, PLOT_COLUMNS, figsize=(11, 3 * lines), layout="constrained")
    for axis, operation in zip(axes.flat, operations, strict=True):
        for system in SYSTEMS:
            points = sorted(
                (result.rows, result.amount)
                for result in results
                if result.operation == operation.name and result.system == system.name
            )
            if points:
                width = 2.5 if system.name == "epoch" else 1.2
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=width, label=system.title)
            else:
                # The colour stays with the system.
                axis.plot([], [])
        axis.set(xscale="log", yscale="log", title=operation.title, xlabel="rows", ylabel=operation.unit)
        axis.grid(visible=True, alpha=0.3)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processors} processors ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()}, Python {platform.python_version()}"
