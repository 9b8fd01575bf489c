"""Epoch in Harlequin, the SQL editor for the terminal: ``harlequin -a epoch shop.duckdb``, or ``epoch shell``."""

from __future__ import annotations

import duckdb
from harlequin.autocomplete.completion import HarlequinCompletion
from harlequin.exception import HarlequinConnectionError
from harlequin_duckdb.adapter import DuckDbAdapter, DuckDbConnection

from epoch_sql import render
from epoch_sql.errors import EpochError
from epoch_sql.extension.install import has_repository, install
from epoch_sql.extension.surface import VERBS

_PRIORITY = 450


class EpochConnection(DuckDbConnection):  # type: ignore[misc]
    """A connection that also completes branches and tags."""

    def get_completions(self) -> list[HarlequinCompletion]:
        """DuckDB's completions without Epoch's own inner functions, and references as texts in SQL."""
        public = {verb.name for verb in VERBS}
        found = [one for one in super().get_completions() if not one.label.startswith("epoch_") or one.label in public]
        if not has_repository(self.conn):
            return found
        with self.conn.cursor() as cursor:
            rows = cursor.execute("SELECT name, 'branch' FROM epoch_branches()").fetchall()
            rows += cursor.execute("SELECT name, 'tag' FROM epoch_tags()").fetchall()
        return found + [
            HarlequinCompletion(
                label=name,
                type_label=kind,
                value=render.literal(name),
                priority=_PRIORITY,
                context=None,
            )
            for name, kind in rows
        ]


class EpochAdapter(DuckDbAdapter):  # type: ignore[misc]
    """Harlequin's DuckDB adapter with Epoch's functions. Its options are the same."""

    ADAPTER_DETAILS = "Git-like versioning for the tables of a DuckDB database."

    def connect(self) -> EpochConnection:
        """The connection to the first database, with the functions. Raises HarlequinConnectionError."""
        found = super().connect()
        try:
            install(found.conn)
        except (EpochError, duckdb.Error) as error:
            raise HarlequinConnectionError(str(error), title="Epoch could not open your database.") from error
        return EpochConnection(conn=found.conn, init_message=found.init_message)
