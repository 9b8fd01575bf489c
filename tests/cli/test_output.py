"""The two ends of the program: rows on standard output, errors and exit codes on standard error."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest

from epoch_sql import errors
from epoch_sql.advice import Suggestion
from epoch_sql.cli import diagnostics, output, rows
from epoch_sql.cli.difference_table import Differing, difference_lines
from epoch_sql.cli.graph import Graph, topological
from epoch_sql.cli.rows import Rows
from epoch_sql.cli.wording import row_counts, short, summary

HOSTILE = 'we ird."q" 🎉 [bold]x[/bold]\n\x1b[31m'


def written(capsys: pytest.CaptureFixture[str], result: Rows, form: str) -> str:
    output.rows(result, form)
    return capsys.readouterr().out


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


class TestRowsOnStandardOutput:
    def test_a_table_off_a_terminal_is_plain_and_aligned(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = written(capsys, Rows(("name", "n"), [("a", "1"), ("日本", None)]), "table")
        assert found == "name  n\na     1\n日本  NULL\n"

    def test_control_characters_cannot_reach_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = written(capsys, Rows((HOSTILE,), [(HOSTILE,)]), "table")
        assert found == 'we ird."q" 🎉 [bold]x[/bold]\\n\\x1b[31m\n' * 2

    def test_csv_tells_null_from_empty_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = written(capsys, Rows(("a", "b", 'q"'), [(None, "", HOSTILE)]), "csv")
        assert found.startswith('a,b,"q"""\n,"","')
        assert list(csv.reader(io.StringIO(found)))[1] == ["", "", HOSTILE]

    def test_markdown_escapes_what_it_would_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert written(capsys, Rows(("a",), [("x|y*",)]), "markdown") == "| a |\n| --- |\n| x\\|y\\* |\n"

    def test_json_of_no_row_is_an_empty_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert json.loads(written(capsys, Rows(("a",), []), "json")) == []

    def test_the_number_of_rows_is_told(self) -> None:
        assert [output.rows(Rows(("a",), [("1",), ("2",)]), form) for form in output.FORMATS] == [2, 2, 2, 2]

    @pytest.mark.parametrize(
        ("sql", "text", "value"),
        [
            ("170141183460469231731687303715884105727::HUGEINT", None, 170141183460469231731687303715884105727),
            ("12345678901234567890.123456789::DECIMAL(38, 9)", None, Decimal("12345678901234567890.123456789")),
            ("DATE '2026-01-31'", "2026-01-31", "2026-01-31"),
            ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)", "0044-03-15 (BC)"),
            ("TIMESTAMP '2026-01-31 12:00:00.5'", "2026-01-31 12:00:00.5", "2026-01-31T12:00:00.5"),
            (
                "'2026-01-31 12:00:00.123456789'::TIMESTAMP_NS",
                "2026-01-31 12:00:00.123456789",
                "2026-01-31T12:00:00.123456789",
            ),
            ("TIMESTAMP 'infinity'", "infinity", "infinity"),
            ("INTERVAL '1 month 3 microseconds'", "1 month 00:00:00.000003", "1 month 00:00:00.000003"),
            ("'nan'::DOUBLE", "nan", "NaN"),
            ("['-inf'::DOUBLE, 1.5]", "[-inf, 1.5]", ["-Infinity", Decimal("1.5")]),
            ("'NaN and \"Infinity\"'", 'NaN and "Infinity"', 'NaN and "Infinity"'),
            ("""'{"a": 1.10000000000000000000001}'::JSON""", None, {"a": Decimal("1.10000000000000000000001")}),
            ("{'a': [1, NULL]}", "{'a': [1, NULL]}", {"a": [1, None]}),
            ("NULL", "NULL", None),
            ("true", "true", True),
        ],
    )
    def test_values_keep_every_digit(
        self,
        capsys: pytest.CaptureFixture[str],
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        text: str | None,
        value: Any,
    ) -> None:
        query = f"SELECT {sql} AS v"
        found = written(capsys, rows.select(connection, query, [], "json"), "json")
        assert json.loads(found, parse_float=Decimal, parse_constant=pytest.fail) == [{"v": value}]
        if text is not None:
            assert written(capsys, rows.select(connection, query, [], "text"), "table") == f"v\n{text}\n"

    def test_names_of_columns_are_kept_and_told_apart(
        self, capsys: pytest.CaptureFixture[str], connection: duckdb.DuckDBPyConnection
    ) -> None:
        query = 'SELECT 1 AS a, 2 AS a, 3 AS "x ""y"" . 🎉"'
        found = written(capsys, rows.select(connection, query, [], "json"), "json")
        assert json.loads(found) == [{"a": 1, "a_1": 2, 'x "y" . 🎉': 3}]

    def test_a_statement_that_is_no_select_runs_once(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE t (i INTEGER)")
        returned = rows.execute(
            connection, "INSERT INTO t VALUES (1) RETURNING i, true AS b, NULL::VARCHAR AS n", [], "json"
        )
        assert (returned.columns, list(returned.cells)) == (("i", "b", "n"), [("1", "true", None)])
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(1,)]

    def test_a_statement_without_a_result_has_no_columns(self, connection: duckdb.DuckDBPyConnection) -> None:
        assert rows.execute(connection, "CREATE TABLE t (i INTEGER)", [], "text").columns == ()


class TestErrors:
    def test_an_error_is_one_line_and_a_hint(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert (
            diagnostics.report(
                errors.EpochDirtyError("orders has changes\x1b[2J", Suggestion("stash"), tables=("orders",))
            )
            == 1
        )
        assert capsys.readouterr().err == "error: orders has changes\\x1b[2J\nhint: epoch stash\n"

    def test_an_error_of_duckdb_is_told_by_its_first_line(self, connection: duckdb.DuckDBPyConnection) -> None:
        with pytest.raises(duckdb.Error) as caught:
            connection.execute("SELEC 1")
        assert diagnostics.translate(caught.value).message == 'Parser Error: syntax error at or near "SELEC"'

    def test_a_locked_database_names_who_holds_it(self) -> None:
        text = (
            'IO Error: Could not set lock on file "/x/shop.duckdb": Conflicting lock is held in /usr/bin/duckdb '
            "(PID 4194399). See also https://duckdb.org/docs/stable/connect/concurrency"
        )
        found = diagnostics.translate(duckdb.IOException(text))
        assert found.message == "the database is locked by /usr/bin/duckdb (PID 4194399)"
        assert found.exit_code == 1

    @pytest.mark.parametrize(
        ("raised", "code", "told"),
        [
            (click.UsageError("no such thing"), 2, "error: no such thing\n"),
            (KeyboardInterrupt(), 130, "interrupted\n"),
            (errors.EpochConflict("3 conflicts in orders"), 3, "error: 3 conflicts in orders\n"),
            (ValueError("odd"), 1, "error: ValueError: odd\nhint: set EPOCH_DEBUG=1 to see where\n"),
            (click.exceptions.Exit(1), 1, ""),
        ],
    )
    def test_exit_codes(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        raised: BaseException,
        code: int,
        told: str,
    ) -> None:
        monkeypatch.delenv("EPOCH_DEBUG", raising=False)

        def fail() -> None:
            raise raised

        assert diagnostics.run(fail) == code
        assert capsys.readouterr().err == told

    def test_the_traceback_is_shown_when_asked_for(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EPOCH_DEBUG", "1")
        assert diagnostics.run(lambda: 1 // 0) == 1
        assert "Traceback" in capsys.readouterr().err


class TestWording:
    def test_zero_counts_are_left_out(self) -> None:
        counts = {"rows_added": 1500, "rows_modified": 0, "rows_removed": 1}
        assert output.plain(row_counts(counts)) == "+1,500 -1"
        assert summary({"tables_changed": 2, **counts}) == "2 tables, +1,500 -1 rows"
        assert summary({"tables_changed": 1}) == "1 table"

    def test_commit_ids_that_begin_alike_are_told_apart(self) -> None:
        first, second = "1234567a" + "0" * 56, "1234567b" + "0" * 56
        assert short(first) == "1234567"
        assert short(first, [first, second]) == "1234567a"


class TestGraph:
    """The pictures in graphs.txt are git's own, of histories that were made at random."""

    HISTORIES = (Path(__file__).parent / "graphs.txt").read_text().rstrip("\n").split("\n\n")

    @staticmethod
    def drawn(rows: list[dict[str, Any]]) -> list[str]:
        graph = Graph()
        return [
            output.plain(line).rstrip()
            for row in rows
            for line in graph.commit(row["commit_id"], row["drawn"], [row["commit_id"]])
        ]

    @staticmethod
    def commits(history: str) -> list[dict[str, Any]]:
        """Newest first."""
        found = [entry.rstrip(")").split("(") for entry in history.split()]
        return [{"commit_id": name, "parents": parents.split(",") if parents else []} for name, parents in found[::-1]]

    @pytest.mark.parametrize("history", HISTORIES, ids=str)
    def test_as_git_draws(self, history: str) -> None:
        first, _, picture = history.partition("\n")
        commits = self.commits(first)
        assert self.drawn(topological(commits, commits)) == picture.splitlines()

    def test_text_stands_beside_the_lines(self) -> None:
        graph = Graph()
        found = [*graph.commit("c", ["b", "a"], ["c", "", "of two", ""]), *graph.commit("b", ["a"], ["b"])]
        assert [output.plain(line).rstrip() for line in found] == ["*   c", "|\\", "| | of two", "| |", "* | b", "|/"]

    def test_commits_that_are_not_shown(self) -> None:
        """A commit stands below the nearest that is shown of its first-parent line."""
        everything = self.commits("a() b(a) c(b) d(b) e(c,d) f(e)")
        shown = [row for row in everything if row["commit_id"] in "adf"]
        assert self.drawn(topological(shown, everything)) == ["* f", "| * d", "|/", "* a"]

    def test_a_first_parent_line_is_straight(self) -> None:
        everything = self.commits("a() b(a) c(a) d(b,c)")
        shown = [row for row in everything if row["commit_id"] in "abd"]
        assert self.drawn(topological(shown, shown, first_parent=True)) == ["* d", "* b", "* a"]


class TestDifferences:
    def test_old_and_new_values_stand_side_by_side(self) -> None:
        stat = [{"table_name": "orders", "rows_added": 1, "rows_modified": 1, "rows_removed": 1}]
        definitions = [
            {
                "table_name": "orders",
                "object": "column",
                "name": "note",
                "diff_type": "added",
                "from_definition": None,
                "to_definition": "note VARCHAR",
            }
        ]
        texts = [("+", "3", "c", "n"), ("~", "1", "a → NULL", None), ("-", "2", "b", None)]
        sides = [
            ("+", "3", None, "c", None, "n", None),
            ("~", "1", None, "a", "NULL", None, None),
            ("-", "2", None, "b", None, None, None),
        ]
        names = ("id", "to_x", "note")
        for differing in (Differing(names, texts), Differing(names, sides, apart=True)):
            found = [output.plain(line) for line in difference_lines(stat, definitions, lambda _, d=differing: d)]
            assert found == [
                "orders  +1 ~1 -1",
                "  + column note: note VARCHAR",
                "     id  to_x      note",
                "  +  3   c         n",
                "  ~  1   a → NULL  NULL",
                "  -  2   b         NULL",
            ]
