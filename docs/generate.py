"""Writes docs/reference: the SQL functions as their registry describes them, the commands as ``--help`` does.

``python -m docs.generate`` writes the pages; a test fails when they are not what this gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from epoch_sql.cli.grammar import SectionedGroup
from epoch_sql.cli.main import program
from epoch_sql.extension.install import SURFACE
from epoch_sql.extension.surface import Parameter, Procedure, Reading

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `make docs` from the source: change the descriptions there. -->"


def pages() -> dict[Path, str]:
    """Each page of the reference, and its text."""
    return {
        FOLDER / "sql.md": "\n".join([NOTE, "", *sql_page()]),
        FOLDER / "cli.md": "\n".join([NOTE, "", *cli_page()]),
    }


def sql_page() -> Iterator[str]:
    """The functions: those that read first, then the procedures."""
    yield from _paragraphs(
        "# SQL functions",
        "They work from any DuckDB connection of a process that ran `epoch_sql.connect('shop.duckdb')` or "
        "`epoch_sql.install(con)`. Optional arguments are named: `name := value`.",
        "A reference is `HEAD`, a branch, a tag, a commit id or its first 4 digits or more, `REF~N`, `REF^N`, "
        "`REF@{2026-01-31 12:00}`, `REMOTE/BRANCH`, or `WORKING`, the uncommitted working tables. Table arguments take "
        "`orders` for schema main and `schema.orders` otherwise.",
        "## Reading",
        "They are table functions: use them in `FROM`, join them, make views of them. Arguments are constants or "
        "prepared parameters.",
    )
    readers = [p for p in SURFACE.procedures.values() if not p.acts]
    for function in sorted((*SURFACE.readings.values(), *readers), key=lambda f: f.name):
        yield from _function(function, "FROM")
    yield from _paragraphs(
        "## Procedures",
        "They act once for each `CALL` (or `FROM`), never from `EXPLAIN`, `PREPARE` or `DESCRIBE`, and in a "
        "transaction of their own: called where uncommitted changes are open, they refuse.",
    )
    for procedure in sorted(SURFACE.procedures.values(), key=lambda f: f.name):
        if procedure.acts:
            yield from _function(procedure, "CALL")


def cli_page() -> Iterator[str]:
    """The commands, by the themes of ``epoch --help``."""
    yield from _paragraphs("# Commands", _text(program.help), "Options before the command:", *_options(program))
    yield from _paragraphs(
        "Results go to standard output, messages to standard error.",
        "| exit code | means |\n| --- | --- |\n| 0 | done |\n| 1 | refused or failed: a line `error: …`, and often a "
        "line `hint: …` with the command to type next |\n| 2 | the command line is wrong |\n| 3 | a merge stopped on "
        "conflicts or violations |\n| 4 | refused by protection, a missing review or a failed check |",
        "`EPOCH_DEBUG=1` shows where an error comes from.",
    )
    assert isinstance(program, SectionedGroup)
    for title, names in program.sections.items():
        yield from _paragraphs(f"## {title}")
        for name in names:
            yield from _command(program.commands[name], ("epoch", name))


def _function(function: Reading | Procedure, verb: str) -> Iterator[str]:
    arguments = ", ".join(p.name if p.default is None else f"{p.name} := {p.default}" for p in function.parameters)
    yield from _paragraphs(
        f"### {function.name}", f"`{verb} {function.name}({arguments})`", _sentence(function.description)
    )
    if function.parameters:
        yield from _table(("argument", "type", "default", ""), (_parameter(p) for p in function.parameters))
    columns = (
        function.columns
        if isinstance(function, Reading)
        else ", ".join(name if kind == "VARCHAR" else f"{name} {kind}" for name, kind in function.returns.items())
    )
    yield from _paragraphs(f"Columns: {columns}.")


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    default = "required" if parameter.default is None else f"`{parameter.default}`"
    return f"`{parameter.name}`", parameter.type, default, parameter.description


def _command(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    name = " ".join(path)
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield from _paragraphs(f"{'#' * (len(path) + 1)} {name}", f"`{usage}`", _text(command.help), *_options(command))
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _command(child, (*path, str(child.name)))


def _options(command: click.Command) -> Iterator[str]:
    """The table of a command's options as one paragraph; nothing where it has none."""
    context = click.Context(command, info_name="")
    records = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
    rows = [(f"`{record[0]}`", record[1]) for record in records if record]
    if rows:
        yield "\n".join(_table(("option", ""), rows)).rstrip()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from (_row(header), _row(["---"] * len(header)))
    yield from (_row(row) for row in rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _paragraphs(*texts: str) -> Iterator[str]:
    for text in texts:
        yield from (text, "")


def _text(help_text: str | None) -> str:
    return inspect.cleandoc(help_text or "")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def main() -> None:
    """Write the pages that differ."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
