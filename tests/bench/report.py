"""The table that the benchmark prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.bench.measure import Measurement, duration

HEADINGS = ("operation", "ours", "baseline", "ratio", "bar", "growth", "")


def table(measured: Iterable[Measurement], smaller: Mapping[str, Measurement]) -> str:
    """Measurements as an aligned Markdown table; ``smaller`` are those on fewer rows, by operation."""
    rows = [HEADINGS, *(_row(m, smaller.get(m.operation)) for m in measured)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], _line(["-" * width for width in widths], widths), *lines[1:]])


def _row(measurement: Measurement, smaller: Measurement | None) -> tuple[str, ...]:
    growth = measurement.ours / smaller.ours if smaller and measurement.unit == "s" else None
    return (
        measurement.operation,
        _amount(measurement.ours, measurement.unit),
        "" if measurement.baseline is None else _amount(measurement.baseline, measurement.unit),
        "" if measurement.ratio is None else f"{measurement.ratio:.3g}x",
        str(measurement.bar),
        "" if growth is None else f"{growth:.3g}x",
        "MISSED" if measurement.missed(growth) else "",
    )


def _amount(value: float, unit: str) -> str:
    if unit == "s":
        return duration(value)
    return f"{value / 1e6:.0f} MB" if value >= 1e7 else f"{value / 1e3:.1f} kB"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
