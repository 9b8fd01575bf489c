"""``epoch conflicts resolve --interactive``: one question for each row, answered by a key on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import click

from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochMergeError, EpochNoTerminal

from . import diagnostics, output
from .in_progress import Target, merge_into
from .output import Line
from .session import Session, call

SIDES = ("base", "ours", "theirs")

_KEYS = {"o": "ours", "t": "theirs", "b": "base", "a": "all", "v": "value", "s": "skip", "q": "quit"}
_BY_CELL = ("ours", "theirs", "base", "value", "skip", "quit")
_BY_SIDE = ("ours", "theirs", "base", "skip", "quit")
_BY_COPIES = ("ours", "theirs", "base", "all", "skip", "quit")
"""``all`` means ``both``, whose letter is that of ``base``: all that both sides added."""


@dataclass(frozen=True)
class Question:
    """One question: the clashing cells of a row, a row that one side removed, a definition, or a violation.

    ``rows`` are rows of ``epoch_conflicts`` that belong together, or one row of ``epoch_violations``.
    """

    table_name: str
    key: str | None
    column_name: str | None
    rows: tuple[dict[str, Any], ...]

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """What distinguishes it from the other questions of a merge."""
        return self.table_name, self.key, self.column_name

    @property
    def violation(self) -> bool:
        """Whether it is about a constraint."""
        return "detail" in self.rows[0]

    @property
    def cells(self) -> bool:
        """Whether it is about cells, which can be given a value."""
        return not self.violation and self.key is not None and self.rows[0]["column_name"] is not None

    @property
    def copies(self) -> bool:
        """Whether it is about the number of copies of a row."""
        return bool(self.rows[0]["kind"] == "copies")

    @property
    def answers(self) -> tuple[str, ...]:
        """The possible answers."""
        return _BY_CELL if self.cells else _BY_COPIES if self.copies else _BY_SIDE

    @property
    def open(self) -> bool:
        """Whether a part of it is not resolved."""
        return self.violation or not all(row["resolved"] for row in self.rows)


def resolve_interactively(session: Session, where: Target, table_name: str | None) -> None:
    """Asks about each open conflict and violation of the merge in progress, of one table or of all.

    Every answer counts at once. Raises EpochNoTerminal without a terminal, and EpochMergeError without a merge.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise EpochNoTerminal(
            "--interactive needs a terminal",
            f"{where.command('conflicts resolve --ours')}, --theirs, or --value for one cell",
        )
    if merge_into(session, where.branch) is None:
        raise EpochMergeError(
            f"no merge into {where.branch} is in progress", Suggestion("merge", "SOURCE"), target=where.branch
        )
    asked: set[tuple[str, str | None, str | None]] = set()
    wanted = {question.identity for question in _questions(session, where, table_name) if question.open}
    while question := _next(_questions(session, where, table_name), wanted, asked):
        asked.add(question.identity)
        if not _answered(session, where, question, len(asked), len(wanted | asked)):
            return


def _next(
    questions: Iterable[Question],
    wanted: set[tuple[str, str | None, str | None]],
    asked: set[tuple[str, str | None, str | None]],
) -> Question | None:
    """The first question not asked yet, even if an answer about a whole table has resolved it since."""
    left = (question for question in questions if question.identity not in asked)
    return next((question for question in left if question.open or question.identity in wanted), None)


def _questions(session: Session, where: Target, table_name: str | None) -> list[Question]:
    """The questions of a merge. Definitions come before rows, because they may change the rows."""
    found: dict[tuple[str, str | None, str | None], list[dict[str, Any]]] = {}
    for row in session.read(call("epoch_conflicts", table_name=table_name, target=where.branch)):
        column = row["column_name"] if row["key"] is None else None
        found.setdefault((row["table_name"], row["key"], column), []).append(row)
    conflicts = [Question(*identity, tuple(rows)) for identity, rows in found.items()]
    rows_in_conflict = {(question.table_name, question.key) for question in conflicts}
    violations = [
        Question(row["table_name"], row["key"], row["constraint_name"], (row,))
        for row in session.read(call("epoch_violations", target=where.branch))
        if table_name is None or row["table_name"].lower() == table_name.lower()
        if (row["table_name"], row["key"]) not in rows_in_conflict
    ]
    return [*sorted(conflicts, key=lambda question: question.key is not None), *violations]


def _answered(session: Session, where: Target, question: Question, at: int, of: int) -> bool:
    """Asks one question until there is an answer that fits; False to end."""
    output.lines(["", [(f"{_title(question)}  ({at} of {of})", "bold")], *_sides(question)])
    while True:
        answer = _pressed(question.answers)
        if answer in ("skip", "quit"):
            return answer == "skip"
        try:
            if answer != "value":
                _decide(session, where, question, "both" if answer == "all" else answer)
                return True
            if _typed(session, where, question):
                return True
        except Exception as error:  # noqa: BLE001 - the error is shown, and the question asked again: earlier answers stay
            diagnostics.report(diagnostics.translate(error))


def _pressed(answers: tuple[str, ...]) -> str:
    """The answer with the typed first letter. The end of the input means quit."""
    question = ", ".join(f"[{answer[0]}]{answer[1:]}" for answer in answers)
    while True:
        output.prompt(f"{question}? ")
        try:
            key = click.getchar().lower()
        except EOFError:
            key = "q"
        answer = _KEYS.get(key)
        if answer in answers:
            output.lines([answer])
            return str(answer)
        output.lines([""])


def _typed(session: Session, where: Target, question: Question) -> bool:
    """Asks for the value of each clashing cell; an empty line goes back to the question."""
    for row in question.rows:
        value = click.prompt(
            f"value of {output.shown(row['column_name'])} (nothing: back)", default="", show_default=False
        )
        if value == "":
            return False
        _resolve(session, where, question, column_name=row["column_name"], value=value)
    return True


def _decide(session: Session, where: Target, question: Question, side: str) -> None:
    column = question.column_name if question.key is None else None
    _resolve(session, where, question, column_name=column, side=side)


def _resolve(session: Session, where: Target, question: Question, **chosen: str | None) -> None:
    asked = call("epoch_resolve", table_name=question.table_name, key=question.key, target=where.branch, **chosen)
    left = session.do(asked, "resolving")["remaining"]
    output.lines([f"{left} left"])


def _title(question: Question) -> str:
    what = question.rows[0]["kind"]
    subject = [output.shown(part) for part in (question.table_name, question.key, question.column_name) if part]
    return f"{' '.join(subject)}: {what}"


def _sides(question: Question) -> list[Line]:
    """The three sides next to each other, with a line for each column."""
    if question.violation:
        return [f"  {output.shown(question.rows[0]['detail'])}"]
    fields = _fields(question)
    heads = [[("", "")], *([(side, "bold")] for side in SIDES)]
    return [f"  {output.plain(line)}" for line in output.aligned([heads, *fields])]


def _fields(question: Question) -> Iterator[list[Line]]:
    if question.copies:
        row = question.rows[0]
        yield ["copies", *(_value(row[side]) for side in SIDES)]
        return
    whole_row = question.key is not None and question.rows[0]["column_name"] is None
    if not whole_row:
        for row in question.rows:
            yield [output.shown(row["column_name"] or "definition"), *(_value(row[side]) for side in SIDES)]
        return
    row = question.rows[0]
    sides = [None if row[side] is None else _parsed(row[side]) for side in SIDES]
    names = dict.fromkeys(name for side in sides if side for name in side)
    for name in names:
        yield [output.shown(name), *("(removed)" if side is None else _text(side.get(name)) for side in sides)]


def _value(value: str | None) -> str:
    return "NULL" if value is None else _text(_parsed(value))


def _parsed(value: str) -> Any:
    return json.loads(value, parse_float=Decimal)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return output.shown(value)
    if isinstance(value, Decimal):
        return str(value)
    return output.shown(json.dumps(value, ensure_ascii=False, default=str))
