"""``epoch diff``: chooses the two states to compare, and the form of the output."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochReferenceError, ReferenceAmbiguous, TableNotFound

from . import diagnostics, output
from .difference_table import Differing, difference_lines
from .explaining import pattern_lines
from .grammar import SeparatedCommand, row_options
from .session import Call, Session, call, pass_to_read

_VIEWS = {
    "stat": "epoch_diff_stat",
    "schema": "epoch_schema_diff",
    "summary": "epoch_diff_summary",
    "patch": "epoch_patch",
    "explain": "epoch_diff_changes",
}
_ROWS_SHOWN = 100

Keys = Sequence[dict[str, list[str]]]
"""For the older and the newer side, the columns of the key of each table."""


@dataclass(frozen=True)
class Comparison:
    """Two references and the tables to compare; no tables means all."""

    old: str
    new: str
    tables: tuple[str, ...]


@click.command(cls=SeparatedCommand)
@click.argument("words", nargs=-1, metavar="[A..B | A...B | A [B]] [--] [TABLE]...")
@click.option("--stat", is_flag=True, help="Count rows added, modified and removed.")
@click.option("--schema", is_flag=True, help="Show what changed in definitions.")
@click.option("--summary", is_flag=True, help="Show which tables changed, in data or in schema.")
@click.option("--patch", is_flag=True, help="Write the SQL that turns A into B.")
@click.option("--explain", is_flag=True, help="Say what the changes of each column have in common.")
@row_options
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Show at most N rows of a table; 0: all.")
@click.option("--all-columns", is_flag=True, help="On a terminal, show all columns of wide tables, too.")
@click.option("--exit-code", is_flag=True, help="Exit 1 if there are differences.")
@pass_to_read
@click.pass_context
def diff(
    ctx: click.Context,
    session: Session,
    /,
    words: tuple[str, ...],
    form: str,
    limit: int | None,
    exit_code: bool,
    all_columns: bool,
    **views: bool,
) -> None:
    """Show what differs between two states.

    Without a range, compares the last commit with the working tables. A compares A with the working tables. A..B or A B
    compares A with B. A...B compares their merge base with B. TABLEs limit the diff to these tables. Put -- before them
    if a table has the name of a reference.
    """
    chosen = [view for view, asked in views.items() if asked]
    if len(chosen) > 1:
        raise click.UsageError(f"choose one of {' and '.join(f'--{view}' for view in chosen)}", ctx)
    compared = _comparison(session, words, ctx.meta["after"])
    if chosen:
        found = _shown_view(session, compared, chosen[0], form, limit)
    elif form == "table":
        found = _shown_tables(session, compared, _ROWS_SHOWN if limit is None else limit, all_columns)
    else:
        found = _shown_rows(session, compared, form, limit)
    if exit_code and found:
        ctx.exit(diagnostics.FAILED)


COMMANDS = (diff,)


def _comparison(session: Session, words: tuple[str, ...], after: tuple[str, ...] | None) -> Comparison:
    if words and ".." in words[0] and (after is not None or not _is_table(session, words[0])):
        old, new = _range(session, words[0])
        rest = words[1:]
    else:
        references = _references(session, words)
        old, new = [*references, *("HEAD", "WORKING")[len(references) :]]
        rest = words[len(references) :]
    compared = Comparison(old, new, (*rest, *(after or ())))
    _require_tables(session, compared)
    return compared


def _range(session: Session, word: str) -> tuple[str, str]:
    dots = "..." if "..." in word else ".."
    old, new = (side or "HEAD" for side in word.split(dots, 1))
    if dots == "...":
        old = session.read(call("epoch_merge_base", old, new))[0]["commit_id"]
    return old, new


def _references(session: Session, words: tuple[str, ...]) -> list[str]:
    """The words, at most two, that come before the tables."""
    found: list[str] = []
    for word in words[:2]:
        if not _is_reference(session, word):
            break
        if _is_table(session, word):
            quoted = shlex.quote(word)
            raise ReferenceAmbiguous(
                f"'{word}' is a reference and a table",
                f"epoch diff -- {quoted}, or epoch diff {quoted}..WORKING",
                name=word,
                meanings=(f"-- {word}", f"{word}..WORKING"),
            )
        found.append(word)
    return found


def _is_reference(session: Session, word: str) -> bool:
    if word == "WORKING":
        return True
    try:
        session.read(call("epoch_log", ref=word, max_count=1))
    except EpochReferenceError:
        return False
    return True


def _is_table(session: Session, word: str) -> bool:
    bare = session.read(call("epoch_head"))[0]["is_bare"]
    return word in _tables(session, "HEAD", *(() if bare else ("WORKING",)))


def _tables(session: Session, *references: str) -> set[str]:
    return {row["table_name"] for ref in references for row in session.read(call("epoch_tables", ref=ref))}


def _views(session: Session, compared: Comparison) -> list[str]:
    """The views among the named tables. A diff compares views only if they are named."""
    if not compared.tables:
        return []
    kinds = {
        row["table_name"]: row["kind"]
        for ref in (compared.old, compared.new)
        for row in session.read(call("epoch_tables", ref=ref))
    }
    return [name for name in compared.tables if kinds.get(name) == "view"]


def _require_tables(session: Session, compared: Comparison) -> None:
    known = _tables(session, compared.old, compared.new) if compared.tables else set()
    for table in compared.tables:
        if table not in known:
            problem = f"'{table}' is neither a reference nor a table of {compared.old} or {compared.new}"
            raise TableNotFound(problem, Suggestion("tables"), table=table)


def _shown_view(session: Session, compared: Comparison, view: str, form: str, limit: int | None) -> int:
    """Writes one of the other views; gives the number of its rows."""
    asked = call(_VIEWS[view], compared.old, compared.new)
    condition, values = _condition(compared, limit)
    if view == "stat" and len(compared.tables) == 1 and _views(session, compared):
        asked = call(_VIEWS[view], compared.old, compared.new, table_name=compared.tables[0])
        condition = condition.replace("WHERE", "WHERE rows_added + rows_removed > 0 AND", 1)
    if view == "explain" and form == "table":
        found = _records(session, asked, compared)
        output.lines(pattern_lines(found[: limit or None]))
        return len(found)
    if view == "patch" and form == "table":
        query = f"SELECT statement FROM {asked.text} {condition}"
        statements = [row[0] or "" for row in session.query(query, "text", [*asked.values, *values]).cells]
        for statement in statements:
            output.text(f"{statement.rstrip().rstrip(';')};")
        return len(statements)
    return output.rows(session.rows(asked, form, condition, values), form)


def _shown_rows(session: Session, compared: Comparison, form: str, limit: int | None) -> int:
    """Writes the rows that differ: one table in its own columns, several as JSON rows."""
    if len(compared.tables) == 1:
        asked = call("epoch_diff", compared.old, compared.new, table_name=compared.tables[0])
        order = _key_order([_keys(session, ref) for ref in (compared.old, compared.new)], compared.tables[0])
        condition, values = _limit(limit, order)
    else:
        asked = call("epoch_diff", compared.old, compared.new)
        condition, values = _condition(compared, limit, "ORDER BY table_name, key, diff_type")
    return output.rows(session.rows(asked, form, condition, values), form)


def _shown_tables(session: Session, compared: Comparison, limit: int, all_columns: bool) -> int:
    """Writes a table of differing rows for each table; gives the number of tables and definitions that differ."""
    stat = _records(session, call("epoch_diff_stat", compared.old, compared.new), compared)
    for view in _views(session, compared):
        stat += session.read(call("epoch_diff_stat", compared.old, compared.new, table_name=view))
    changed = [row for row in stat if row["rows_added"] or row["rows_modified"] or row["rows_removed"]]
    definitions = _records(session, call("epoch_schema_diff", compared.old, compared.new), compared)
    width = None if all_columns or not output.is_terminal() else output.width()
    keys = [_keys(session, ref) for ref in (compared.old, compared.new)] if changed else []
    output.lines(
        difference_lines(changed, definitions, lambda name: _rows_of(session, compared, name, keys, limit), width)
    )
    for row in changed:
        total = row["rows_added"] + row["rows_modified"] + row["rows_removed"]
        if limit and total > limit:
            diagnostics.hint(f"{limit:,} of {total:,} changed rows of {row['table_name']} are shown; --limit 0: all")
    return len(changed) + len(definitions)


def _rows_of(session: Session, compared: Comparison, table: str, keys: Keys, limit: int) -> Differing:
    condition, values = _limit(limit, _key_order(keys, table))
    asked = call("epoch_diff", compared.old, compared.new, table_name=table)
    apart = output.is_terminal()
    names, found = session.differing(asked, condition, values, apart)
    return Differing(names, found, frozenset(name for side in keys for name in side.get(table, ())), apart)


def _keys(session: Session, reference: str) -> dict[str, list[str]]:
    """The columns of the key of each table at a reference; none for views and tables without a key."""
    return {row["table_name"]: row["key_columns"] for row in session.read(call("epoch_tables", ref=reference))}


def _key_order(keys: Keys, table: str) -> str:
    """ORDER BY for the typed rows of a table: by its key, or else by all columns, so that each run prints the same."""
    from epoch_sql.render import column, fill

    sides = [(prefix, side[table]) for prefix, side in zip(("from_", "to_"), keys, strict=True) if side.get(table)]
    if not sides or len({len(columns) for _, columns in sides}) > 1:
        return "ORDER BY ALL"
    values = [[column(f"{prefix}{name}") for name in columns] for prefix, columns in sides]
    parts = [fill("coalesce({{sides}})", sides=list(pair)) for pair in zip(*values, strict=True)]
    return fill("ORDER BY {{parts}}, diff_type", parts=parts)


def _records(session: Session, function: Call, compared: Comparison) -> list[dict[str, Any]]:
    return [row for row in session.read(function) if not compared.tables or row["table_name"] in compared.tables]


def _condition(compared: Comparison, limit: int | None, order: str = "") -> tuple[str, list[Any]]:
    text, values = _limit(limit, order)
    if not compared.tables:
        return text, values
    return f"WHERE list_contains(?, table_name) {text}", [list(compared.tables), *values]


def _limit(limit: int | None, order: str = "") -> tuple[str, list[Any]]:
    return (f"{order} LIMIT ?", [limit]) if limit else (order, [])
