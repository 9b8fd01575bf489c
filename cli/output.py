"""Standard output: rows as tables, JSON, CSV or Markdown, and styled lines; colour and a pager on terminals only."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import streams
from .characters import harmless, harmless_json, visible

if TYPE_CHECKING:
    from .rows import Rows

FORMATS = ("table", "json", "csv", "markdown")

Span = tuple[str, str]
"""Text and its rich style; the style is dropped off a terminal."""

Line = str | Sequence[Span]

_escaped: set[str] = set()
_for_the_pager: list[str] = []
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b')


def rows(result: Rows, form: str) -> int:
    """Writes rows in one of FORMATS, and gives their number."""
    writer = {"table": _table, "json": _json, "csv": _csv, "markdown": _markdown}[form]
    return writer(result)


def document(value: Any) -> None:
    """Writes one JSON document. Dates are in ISO format, and rows are lists of objects."""
    _write_json(f"{_dumps(value)}\n")


def documents(results: Mapping[str, Rows]) -> None:
    """Writes one JSON document of several results, each a list of objects under its name."""
    _write_json("{")
    for count, (name, result) in enumerate(results.items()):
        _write_json(f"{',' if count else ''}\n{json.dumps(name)}: ")
        _json(result, end="")
    _write_json("\n}\n")


def lines(content: Iterable[Line]) -> None:
    """Writes lines of text: on a terminal with styles, and through a pager if there are many."""
    if not is_terminal():
        for line in content:
            _write(f"{harmless(plain(line))}\n")
        return
    from rich.text import Text

    _page([Text.assemble(*((harmless(part), style) for part, style in _spans(line))) for line in content])


def text(content: str) -> None:
    """Writes text unchanged, such as statements to run."""
    _write(content if content.endswith("\n") else f"{content}\n")


def prompt(question: str) -> None:
    """Writes the beginning of a line that the user completes."""
    turn_pages()
    _write(question)
    streams.flush()


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def width() -> int:
    """The columns of the terminal."""
    return shutil.get_terminal_size().columns


def plain(line: Line) -> str:
    """A line without its styles and trailing blanks."""
    return (line if isinstance(line, str) else "".join(part for part, _ in line)).rstrip(" ")


def shown(value: str | None) -> str:
    """A value on one line, NULL named."""
    return "NULL" if value is None else visible(value)


def aligned(cells: Iterable[Sequence[Line]], gap: str = "  ") -> list[Line]:
    """Rows of cells as lines with aligned columns. Wide characters count by their width."""
    from rich.cells import cell_len

    grid = [[_spans(cell) for cell in row] for row in cells]
    lengths = [[sum(cell_len(part) for part, _ in cell) for cell in row] for row in grid]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    found: list[Line] = []
    for row, row_lengths in zip(grid, lengths, strict=True):
        line: list[Span] = []
        for cell, length, width in zip(row, row_lengths, widths, strict=True):
            line += [*cell, (" " * (width - length) + gap, "")]
        found.append(line)
    return found


def header(names: Iterable[str]) -> list[Line]:
    """The names of columns as the first row of ``aligned``."""
    return [[(visible(name), "bold")] for name in names]


def _spans(line: Line) -> list[Span]:
    return [(line, "")] if isinstance(line, str) else list(line)


def _table(result: Rows) -> int:
    cells = [[shown(cell) for cell in row] for row in result.cells]
    if not is_terminal():
        lines(aligned([header(result.columns), *cells]))
        return len(cells)
    from .table import fitted

    _page(fitted(result, cells, width()))
    return len(cells)


def _json(result: Rows, end: str = "\n") -> int:
    """Writes one list of objects as the rows come, one row on each line. Cells are JSON already."""
    names = [json.dumps(column, ensure_ascii=False) for column in result.columns]
    count = 0
    _write_json("[")
    for row in result.cells:
        fields = (f"{name}: {_strict(cell)}" for name, cell in zip(names, row, strict=True))
        _write_json(("," if count else "") + "\n  {" + ", ".join(fields) + "}")
        count += 1
    _write_json(("\n]" if count else "]") + end)
    return count


def _csv(result: Rows) -> int:
    """RFC 4180 with a header; NULL is an empty field, an empty string a quoted one."""
    _write(_csv_line(result.columns))
    count = 0
    for row in result.cells:
        _write(_csv_line(row))
        count += 1
    return count


def _csv_line(values: Sequence[str | None]) -> str:
    return ",".join(_csv_field(value) for value in values) + "\n"


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or any(character in value for character in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def _markdown(result: Rows) -> int:
    _write(_markdown_line(result.columns))
    _write("|" + "|".join(" --- " for _ in result.columns) + "|\n")
    count = 0
    for row in result.cells:
        _write(_markdown_line(row))
        count += 1
    return count


def _markdown_line(values: Sequence[str | None]) -> str:
    escaped = (re.sub(r"([\\|`*_<>\[\]])", r"\\\1", shown(value)) for value in values)
    return "| " + " | ".join(escaped) + " |\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=_iso)


def _iso(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _strict(cell: str | None) -> str:
    """A JSON text whose NaN and Infinity, which DuckDB writes and JSON lacks, are strings."""
    if cell is None:
        return "null"
    if "NaN" not in cell and "Infinity" not in cell:
        return cell
    return _JSON_TOKEN.sub(lambda token: token[0] if token[0].startswith('"') else f'"{token[0]}"', cell)


def _page(renderables: Sequence[Any]) -> None:
    from rich.console import Console

    # soft_wrap leaves long lines to the pager or the terminal, and drops no character.
    console = Console(highlight=False, file=sys.stdout)
    with console.capture() as capture:
        for renderable in renderables:
            console.print(renderable, soft_wrap=True, markup=False)
    content = streams.carried(capture.get())
    if content.count("\n") < shutil.get_terminal_size().lines:
        _send(content)
    else:
        _for_the_pager.append(content)


def turn_pages() -> None:
    """Shows what is longer than the screen in a pager. A command that ends does so when it has closed the database:
    a reader may take an hour, and must not hold its lock."""
    if not _for_the_pager:
        return
    content = "".join(_for_the_pager)
    _for_the_pager.clear()
    # As git does: colours, leave what was shown, no pager for what fits.
    os.environ.setdefault("LESS", "FRX")
    click.echo_via_pager(content, color=True)


def _send(content: str) -> None:
    """Writes, or keeps what follows on something longer than the screen."""
    if _for_the_pager:
        _for_the_pager.append(content)
    else:
        streams.write(content)


def _write(content: str) -> None:
    """Writes text: to a terminal without characters that steer it, elsewhere exactly, as far as its encoding can."""
    text = harmless(content) if is_terminal() else content
    written = streams.carried(text)
    if written != text:
        _escaped.add(sys.stdout.encoding)
    _send(written)


def _write_json(content: str) -> None:
    """Writes JSON, the same values on any terminal and in any encoding."""
    _send(streams.carried(harmless_json(content) if is_terminal() else content))


def escaped() -> str | None:
    """The encoding of standard output, if it lacked characters that were written. Gives it once."""
    return _escaped.pop() if _escaped else None
