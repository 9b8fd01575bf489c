"""Writes docs/reference: the SQL functions and the library as the verbs declare them, the commands as ``--help`` does;
and what opening a database has to know of the verbs without loading them.

``python -m docs.generate`` writes these; a test fails when they are not what this gives.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import epoch_sql
from epoch_sql import library
from epoch_sql.cli.grammar import SectionedGroup
from epoch_sql.cli.main import program
from epoch_sql.extension.macros import declared
from epoch_sql.extension.registration import DECLARED
from epoch_sql.extension.surface import PROCEDURES, READINGS, VERBS
from epoch_sql.verb import Column, Parameter, Query, Relation, Verb, taken_apart, taken_apart_text

FOLDER = Path(__file__).parent / "reference"
_OPENING = ("init", "open", "clone")
_SPARK = (
    ("__init__.py", "Connect", None),
    ("repository.py", "Read", "SparkRepository"),
    ("writer.py", "Write", "Writer"),
)
NOTE = "<!-- Written by `make docs` from the source: change the descriptions there. -->"


def pages() -> dict[Path, str]:
    """Each page of the reference, and its text."""
    return {
        FOLDER / "sql.md": "\n".join([NOTE, "", *sql_page()]),
        FOLDER / "cli.md": "\n".join([NOTE, "", *cli_page()]),
        FOLDER / "python.md": "\n".join([NOTE, "", *python_page()]),
        FOLDER / "spark.md": "\n".join([NOTE, "", *spark_page()]),
    }


def written() -> dict[Path, str]:
    """Everything that is written, and its text."""
    return {**pages(), DECLARED: declared()}


def sql_page() -> Iterator[str]:
    """The functions: those that read first, then the procedures."""
    yield from _paragraphs(
        "# SQL functions",
        "They work from any DuckDB connection of a process that ran `epoch_sql.connect('shop.duckdb')` or "
        "`epoch_sql.install(con)`. Optional arguments are named: `name := value`.",
        "A reference is `HEAD`, a branch, a tag, a commit id or its first 4 digits or more, `REF~N`, `REF^N`, "
        "`REF@{2026-01-31 12:00}`, `REMOTE/BRANCH`, or `WORKING`, the uncommitted working tables. Table arguments take "
        "`orders` for schema main and `schema.orders` otherwise. Times are in UTC.",
        "## Reading",
        "They are table functions: use them in `FROM`, join them, create views of them. Arguments are constants or "
        "prepared parameters.",
    )
    readers = [p for p in PROCEDURES.values() if not p.has_effects]
    for verb in sorted((*READINGS.values(), *readers), key=lambda verb: verb.name):
        yield from _function(verb, "FROM")
    yield from _paragraphs(
        "## Procedures",
        "They act once for each `CALL` (or `FROM`), and never from `EXPLAIN`, `PREPARE` or `DESCRIBE`. Each acts in a "
        "transaction of its own, and refuses if its caller has a transaction with uncommitted changes.",
    )
    for procedure in sorted(PROCEDURES.values(), key=lambda verb: verb.name):
        if procedure.has_effects:
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
    commands = program.every()
    for title, names in program.sections.items():
        yield from _paragraphs(f"## {title}")
        for name in names:
            yield from _command(commands[name], ("epoch", name))


def python_page() -> Iterator[str]:
    """The library: under each heading of the template that names a verb, its signature, arguments and result."""
    methods = {verb.name.removeprefix("epoch_"): verb for verb in VERBS}
    methods |= {"import_arrow": library.Repository.import_arrow, "arrow": methods["at"]}
    for line in (Path(__file__).parent / "python.md.in").read_text(encoding="utf-8").splitlines():
        yield line
        name = line.removeprefix("### ")
        if name != line:
            yield ""
            yield from _opening(getattr(library, name)) if name in _OPENING else _method(name, methods[name])
    yield ""


def spark_page() -> Iterator[str]:
    """The library on Spark. It is read as text, because pyspark need not be installed."""
    yield from _paragraphs(
        "# Python on Spark",
        "`epoch_sql.spark` reads and writes a store with a session of Spark ([how](../how-to/spark.md)).",
    )
    room = Path(epoch_sql.__file__).parent / "spark"
    for module, title, owner in _SPARK:
        tree = ast.parse((room / module).read_text(encoding="utf-8"))
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner]
        yield from _paragraphs(f"## {title}")
        for found in (classes[0] if classes else tree).body:
            if isinstance(found, ast.FunctionDef) and not found.name.startswith("_"):
                yield from _written(found, "repo" if classes else "epoch_sql.spark")


def _written(function: ast.FunctionDef, owner: str) -> Iterator[str]:
    """A function as its source says."""
    name = f"{owner}.{function.name}"
    own = [argument for argument in function.args.args if argument.arg == "self"]
    function.args.args = function.args.args[len(own) :]
    arguments = ast.unparse(function.args)
    line = f"{name}({arguments}) -> {ast.unparse(function.returns) if function.returns else None}"
    line = line.replace("-> Any", "-> DataFrame")
    if len(line) > 100:
        line = line.replace(f"({arguments})", "(\n    " + arguments.replace(", ", ",\n    ") + ",\n)", 1)
    text, sentences = taken_apart_text(ast.get_docstring(function) or "")
    yield from _paragraphs(f"### {function.name}", f"```python\n{line}\n```", *text)
    if sentences:
        yield from _paragraphs("\n".join(f"- `{name}`: {told}" for name, told in sentences.items()))


def _function(verb: Verb[..., Any], how: str) -> Iterator[str]:
    arguments = ", ".join(p.name if p.default is None else f"{p.name} := {p.default}" for p in verb.parameters)
    yield from _paragraphs(f"### {verb.name}", f"`{how} {verb.name}({arguments})`", _sentence(verb.description))
    if verb.parameters:
        yield from _table(("argument", "type", "default", ""), (_parameter(p) for p in verb.parameters))
    also = [verb.also] if isinstance(verb, Relation) and verb.also else []
    yield from _paragraphs(f"Columns: {'; '.join([*_listed(verb.columns), *also])}.")


def _listed(columns: Sequence[Column]) -> list[str]:
    """Columns with their types, but for VARCHAR, and their values, as one text; nothing where there are none."""
    shown = []
    for column in columns:
        kind = "" if column.type == "VARCHAR" else f" {column.type}"
        values = f" ({' '.join(f'`{value}`' for value in column.values)})" if column.values else ""
        shown.append(f"{column.name}{kind}{values}")
    return [", ".join(shown)] if shown else []


def _opening(function: Callable[..., Any]) -> Iterator[str]:
    """One of the functions that give a repository."""
    yield from _described(f"epoch_sql.{function.__name__}", inspect.signature(function), "Repository", function)


def _method(name: str, verb: Verb[..., Any]) -> Iterator[str]:
    """A method of a repository, and what it returns."""
    if name == "arrow":
        function = library.Repository.arrow
        signature = inspect.signature(function)
        own = signature.replace(parameters=[*signature.parameters.values()][1:])
        yield from _described("repo.arrow", own, str(signature.return_annotation), function)
        return
    if name == "at":
        yield from _described("repo.at", verb.signature, "DuckDBPyRelation", verb.function)
        yield from _described("repo.at", inspect.Signature([verb.signature.parameters["ref"]]), "State", library.State)
        return
    result = inspect.signature(verb.function).return_annotation
    if isinstance(verb, Query):
        result = f"list[{verb.record.__name__}]" if verb.record else ""
    if isinstance(verb, Relation):
        result = "DuckDBPyRelation"
    yield from _described(f"repo.{name}", verb.signature, result, verb.function)
    if verb.record and not isinstance(verb, Relation):
        told = inspect.cleandoc(verb.record.__doc__ or "").replace("\n\n", "\n").replace("\n", " ")
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(verb.record))
        yield from _paragraphs(f"`{verb.record.__name__}`: {told} Fields: {fields}.")


def _described(name: str, signature: inspect.Signature, result: str, function: Callable[..., Any]) -> Iterator[str]:
    parts, keywords = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            parts.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{stars}{parameter.name}: {parameter.annotation}{default}")
    line = f"{name}({', '.join(parts)}) -> {result}"
    if len(line) > 100:
        line = f"{name}(\n    {', '.join(parts)},\n) -> {result}".replace(", ", ",\n    ") if parts else line
    text, sentences = taken_apart(function)
    yield from _paragraphs(f"```python\n{line}\n```", *text)
    if sentences:
        yield from _paragraphs("\n".join(f"- `{name}`: {told}" for name, told in sentences.items()))


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
    """Write what differs."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in written().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
