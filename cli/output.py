"""Standard output: rows as tables, JSON, CSV or Markdown, and styled lines; colour and a pager on terminals only."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from epoch_sql.characters import harmless, harmless_json, visible
from epoch_sql.errors import EpochOutputError

from . import streams

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from .rows import Rows

FORMATS = ("table", "json", "csv", "markdown")
BINARY = ("parquet", "arrow")
_AT_ONCE = 10_000

Span = tuple[str, str]
"""Text and its rich style; the style is dropped off a terminal."""

Row = TypeVar("Row")


class Drawn(str):
    """A line without hidden characters but for the codes of styles, which are there already."""

    __slots__ = ()


Line = str | Sequence[Span]

_escaped: set[str] = set()
_for_the_pager: list[str] = []
_TO_QUOTE = re.compile(r'[,"\r\n]')
_MARKS = re.compile(r"([\\|`*_<>\[\]])")
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
        for batch in batches(content):
            _write("".join(f"{line if isinstance(line, Drawn) else harmless(plain(line))}\n" for line in batch))
        return
    for batch in batches(content):
        _page(_styled(batch))


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
    return _text(line).rstrip(" ")


def shown(value: str | None) -> str:
    """A value on one line, NULL named."""
    return "NULL" if value is None else visible(value)


def aligned(cells: Iterable[Sequence[Line]], gap: str = "  ", known: list[int] | None = None) -> list[Line]:
    """Rows of cells as lines with aligned columns. Wide characters count by their width.

    ``known`` are the widths of the columns in the rows before, which these rows may widen.
    """
    if not is_terminal():
        # Most of the time of a long result is spent here.
        texts = [[_text(cell) for cell in row] for row in cells]
        widths = _widths([[*map(cell_width, row)] for row in texts], known)
        return [
            "".join([text + " " * (width - cell_width(text)) + gap for text, width in zip(row, widths, strict=True)])
            for row in texts
        ]
    grid = [[_spans(cell) for cell in row] for row in cells]
    lengths = [[sum(cell_width(part) for part, _ in cell) for cell in row] for row in grid]
    widths = _widths(lengths, known)
    found: list[Line] = []
    for row, row_lengths in zip(grid, lengths, strict=True):
        line: list[Span] = []
        for cell, length, width in zip(row, row_lengths, widths, strict=True):
            line += [*cell, (" " * (width - length) + gap, "")]
        found.append(line)
    return found


def _widths(lengths: Sequence[Sequence[int]], known: list[int] | None) -> list[int]:
    widths = [max(column) for column in zip(*lengths, strict=True)]
    if known is not None:
        widths = known[:] = [max(pair) for pair in zip(widths, known or widths, strict=True)]
    return widths


def _text(line: Line) -> str:
    return line if isinstance(line, str) else "".join([part for part, _ in line])


def cell_width(text: str) -> int:
    """The columns of the screen that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def batches(cells: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows, some thousands at once."""
    left = iter(cells)
    while batch := list(islice(left, _AT_ONCE)):
        yield batch


def header(names: Iterable[str]) -> list[Line]:
    """The names of columns as the first row of ``aligned``."""
    return [[(visible(name), "bold")] for name in names]


def _spans(line: Line) -> list[Span]:
    return [(line, "")] if isinstance(line, str) else list(line)


def _table(result: Rows) -> int:
    if not is_terminal():
        return _plain_table(result)
    from .table import Fitted

    count, table = 0, Fitted(result, width())
    for batch in batches(result.cells):
        count += len(batch)
        _page(_styled(table.lines([[shown(cell) for cell in row] for row in batch])))
    if not count:
        _page(_styled(table.lines([])))
    if table.is_table:
        _page("\n")
    return count


def _plain_table(result: Rows) -> int:
    """Writes rows as aligned text as they come. Some thousand rows on, a longer value may widen its column."""
    count, widths = 0, [cell_width(visible(name)) for name in result.columns]
    names: list[list[str]] = [[visible(name) for name in result.columns]]
    for batch in batches(result.cells):
        count += len(batch)
        cells = names + [[shown(cell) for cell in row] for row in batch]
        names = []
        widths = [
            max(width, *map(cell_width, column)) for width, column in zip(widths, zip(*cells, strict=True), strict=True)
        ]
        _write("".join(_plain_line(row, widths) for row in cells))
    if names:
        _write(_plain_line(names[0], widths))
    return count


def _plain_line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_width(cell)) for cell, width in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip(" ") + "\n"


def binary(connection: DuckDBPyConnection, query: str, values: Any, form: str) -> None:
    """Writes the rows of a query to standard output as a Parquet file, or as a stream of Arrow."""
    if form == "arrow":
        _arrow(connection, query, values)
        return
    from epoch_sql.render import fill, literal, verbatim

    with TemporaryDirectory(prefix="epoch-") as folder:
        file = Path(folder) / "rows.parquet"
        copy = "COPY (\n{{query}}\n) TO {{file}} (FORMAT parquet)"
        inner = verbatim(query.strip().rstrip(";"))
        connection.execute(fill(copy, query=inner, file=literal(str(file))), values).fetchall()
        with file.open("rb") as stream:
            streams.copy(stream)


def _arrow(connection: DuckDBPyConnection, query: str, values: Any) -> None:
    try:
        import pyarrow
    except ModuleNotFoundError as missing:
        raise EpochOutputError("arrow needs pyarrow, which is not installed", "pip install pyarrow") from missing
    connection.execute("SET arrow_lossless_conversion = true")
    found: Any = connection.sql(query, params=values)
    if found is None:
        raise EpochOutputError("the last statement has no rows", "end with a query")
    # DuckDB 1.x has the older name only.
    reader = (getattr(found, "to_arrow_reader", None) or found.fetch_record_batch)()
    with streams.sink() as sink, pyarrow.ipc.new_stream(sink, reader.schema) as stream:
        for batch in reader:
            stream.write_batch(batch)


def _json(result: Rows, end: str = "\n") -> int:
    """Writes one list of objects as the rows come, one row on each line. Cells are JSON already."""
    names = [f"{json.dumps(column, ensure_ascii=False)}: " for column in result.columns]
    count = 0
    _write_json("[")
    for batch in batches(result.cells):
        objects = (f"\n  {{{', '.join(map(add, names, map(_strict, row)))}}}" for row in batch)
        _write_json(("," if count else "") + ",".join(objects))
        count += len(batch)
    _write_json(("\n]" if count else "]") + end)
    return count


def _csv(result: Rows) -> int:
    """RFC 4180 with a header; NULL is an empty field, an empty string a quoted one."""
    _write(_csv_line(result.columns))
    count = 0
    for batch in batches(result.cells):
        _write("".join(map(_csv_line, batch)))
        count += len(batch)
    return count


def _csv_line(values: Sequence[str | None]) -> str:
    return ",".join(map(_csv_field, values)) + "\n"


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    if value == "" or _TO_QUOTE.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


def _markdown(result: Rows) -> int:
    _write(_markdown_line(result.columns))
    _write("|" + "|".join(" --- " for _ in result.columns) + "|\n")
    count = 0
    for batch in batches(result.cells):
        _write("".join(map(_markdown_line, batch)))
        count += len(batch)
    return count


def _markdown_line(values: Sequence[str | None]) -> str:
    escaped = (_MARKS.sub(r"\\\1", shown(value)) for value in values)
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


def _styled(content: Iterable[Line]) -> str:
    """Lines with the codes of the terminal around the parts that have a style."""
    known = {"": ("", "")}
    found: list[str] = []
    for line in content:
        for part, style in () if isinstance(line, Drawn) else _spans(line):
            if style not in known:
                known[style] = codes(style)
            before, after = known[style]
            found.append(f"{before}{harmless(part)}{after}")
        found.append(f"{line if isinstance(line, Drawn) else ''}\n")
    return "".join(found)


def codes(style: str) -> Span:
    """What is written before and after a text of a style: nothing off a terminal."""
    if not is_terminal():
        return "", ""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout)
    with console.capture() as capture:
        console.print(Text("x", style), end="")
    before, _, after = capture.get().partition("x")
    return before, after


def _page(text: str) -> None:
    content = streams.carried(text)
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
