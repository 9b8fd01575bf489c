"""``epoch diff``: every view of what two states differ in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from time import process_time

import pytest

from epoch_sql.characters import visible
from epoch_sql.cli import output
from epoch_sql.cli.output import cell_width
from tests.conftest import Epoch


class TestDiff:
    def test_table_shows_old_and_new(self, developed: Epoch) -> None:
        told = developed("diff", "main..development").out
        assert told.splitlines()[0] == "orders  +1 ~1 -1"
        assert re.search(r"^  \+ +3 +Edsger +NULL$", told, re.MULTILINE)
        assert re.search(r"^  ~ +2 +Grace +20.00 → 25.00$", told, re.MULTILINE)
        assert re.search(r"^  - +1 +Ada +12.50$", told, re.MULTILINE)

    @pytest.mark.grid(every=3)
    @pytest.mark.parametrize(
        "words",
        [
            ["main..development"],
            ["main", "development"],
            ["main.."],
            ["main...development"],
            ["main"],
            ["main..development", "orders"],
            ["main", "development", "orders"],
            ["main..development", "--", "orders"],
            ["main", "--", "orders"],
        ],
    )
    def test_ways_to_name_the_two_sides(self, developed: Epoch, words: list[str]) -> None:
        found = developed("diff", "--json", *words).json
        assert sorted(row["diff_type"] for row in found) == ["added", "modified", "removed"]

    def test_without_a_range_it_is_head_against_the_working_tables(
        self, developed: Epoch, change: Callable[[str], None]
    ) -> None:
        assert developed("diff").out == ""
        change("DELETE FROM orders WHERE id = 3")
        for words in ([], ["orders"], ["--", "orders"], ["HEAD"]):
            assert [row["diff_type"] for row in developed("diff", "--json", *words).json] == ["removed"]

    def test_three_dots_start_at_the_merge_base(self, developed: Epoch, change: Callable[[str], None]) -> None:
        developed("checkout", "main")
        change("INSERT INTO orders VALUES (9, 'Barbara', 9)")
        developed("commit", "-m", "On main")
        two = {row["key"]["id"] for row in developed("diff", "--json", "main..development").json}
        three = {row["key"]["id"] for row in developed("diff", "--json", "main...development").json}
        assert (two, three) == ({1, 2, 3, 9}, {1, 2, 3})

    def test_json_of_all_tables_and_of_one(self, developed: Epoch) -> None:
        (row,) = [row for row in developed("diff", "--json", "main..").json if row["diff_type"] == "modified"]
        assert row["table_name"] == "orders"
        assert row["key"] == {"id": 2}
        assert row["changed_columns"] == ["amount"]
        assert (row["from_row"]["customer"], row["to_row"]["customer"]) == ("Grace", "Grace")
        typed = developed("diff", "--json", "main..", "orders").json
        assert {"diff_type", "changed_columns", "from_id", "to_id", "from_amount", "to_amount"} <= set(typed[0])

    def test_csv_and_markdown(self, developed: Epoch) -> None:
        table = list(csv.DictReader(io.StringIO(developed("diff", "--format", "csv", "main..", "orders").out)))
        assert [row["to_amount"] for row in table if row["diff_type"] == "modified"] == ["25.00"]
        assert developed("diff", "--format", "markdown", "main..").out.splitlines()[1].startswith("| --- |")

    def test_stat_summary_schema(self, developed: Epoch, change: Callable[[str], None]) -> None:
        (stat,) = developed("diff", "--stat", "--json", "main..").json
        assert (stat["rows_added"], stat["rows_modified"], stat["rows_removed"]) == (1, 1, 1)
        (summary,) = developed("diff", "--summary", "--json", "main..").json
        assert (summary["diff_type"], summary["data_change"], summary["schema_change"]) == ("modified", True, False)
        assert developed("diff", "--schema", "--json", "main..").json == []
        change("ALTER TABLE orders ADD COLUMN note VARCHAR")
        (schema,) = developed("diff", "--schema", "--json").json
        assert (schema["table_name"], schema["object"], schema["name"]) == ("orders", "column", "note")
        assert "+ column note" in developed("diff").out

    def test_a_patch_turns_one_into_the_other(self, developed: Epoch, change: Callable[[str], None]) -> None:
        patch = developed("diff", "--patch", "main..development").out
        developed("checkout", "main")
        change(patch)
        assert developed("diff", "development", "--json").json == []

    def test_limit(self, developed: Epoch) -> None:
        assert len(developed("diff", "--limit", "2", "--json", "main..").json) == 2
        told = developed("diff", "--limit", "1", "main..")
        assert "1 of 3 changed rows of orders" in told.err

    @pytest.mark.parametrize("view", [[], ["--stat"], ["--summary"], ["--json"], ["--patch"]])
    def test_exit_code(self, developed: Epoch, view: list[str]) -> None:
        developed("diff", "--exit-code", *view, "main..", code=1)
        developed("diff", "--exit-code", *view)

    def test_a_word_that_is_nothing(self, developed: Epoch) -> None:
        assert "'odrers' is neither a reference nor a table" in developed("diff", "odrers", code=1).err
        assert "odrers" in developed("diff", "main..", "odrers", code=1).err

    def test_a_word_that_is_both(self, developed: Epoch) -> None:
        developed("branch", "create", "orders")
        told = developed("diff", "orders", code=1)
        assert "'orders' is a reference and a table" in told.err
        assert "hint: epoch diff -- orders" in told.err

    def test_two_views_are_a_usage_error(self, shop: Epoch) -> None:
        shop("diff", "--stat", "--patch", code=2)


HOSTILE = ["\x1b[2Jx", "日本語🦆", "a\tb\nc", "\u202eevil", "NULL", "", " ", "e\u0301", "x" * 70, "→", "A"]


class TestTexts:
    """What people see of values: no character steers their terminal, and columns are aligned whatever is in them."""

    @pytest.fixture
    def told(self, epoch: Epoch, change: Callable[[str], None]) -> Epoch:
        epoch("init", "shop.duckdb")
        change('CREATE TABLE t (id INTEGER PRIMARY KEY, "to_\x1b[1mv" VARCHAR COLLATE NOCASE, w VARCHAR)')
        values = ", ".join(f"({n}, '{text}', NULL)" for n, text in enumerate(HOSTILE))
        change(f"INSERT INTO t VALUES {values}, (50, NULL, 'gone')")
        epoch("commit", "-m", "first")
        change("UPDATE t SET \"to_\x1b[1mv\" = lower(\"to_\x1b[1mv\") || '.', w = '\x07' WHERE id < 10")
        change(
            "UPDATE t SET \"to_\x1b[1mv\" = 'a' WHERE id = 10; DELETE FROM t WHERE id = 50; INSERT INTO t VALUES (60, NULL, 'new')"
        )
        return epoch

    def test_off_a_terminal(self, told: Epoch) -> None:
        title, heading, *lines = told("diff").out.splitlines()
        assert title == "t  +1 ~11 -1"
        assert heading.split() == ["id", "to_\\x1b[1mv", "w"]
        place = heading.index("to_")
        for text, line in zip(HOSTILE, lines, strict=False):
            sides = [visible(text), visible(f"{text.lower()}." if text != "A" else "a")]
            cell = " → ".join(sides)
            start = line[place:]
            assert start.startswith(cell) and line.startswith("  ~  ")
            if text != "A":
                assert cell_width(start[: start.index("NULL → \\x07", len(cell))]) == len(heading) - place - 1
        assert lines[-2].split() == ["-", "50", "NULL", "gone"] and lines[-1].split() == ["+", "60", "NULL", "new"]

    def test_on_a_terminal(self, told: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = told("diff").out
        monkeypatch.setattr(output, "is_terminal", lambda: True)
        for columns in ("200", "60"):
            monkeypatch.setenv("COLUMNS", columns)
            shown = told("diff").out
            bare = re.sub(r"\x1b\[[0-9;]*m", "", shown)
            assert bare.replace("\n", "").isprintable()
            assert "日本語🦆 → 日本語🦆." in bare and "A → a" in bare and "x…" in bare
            assert columns == "60" or max(map(cell_width, bare.splitlines())) <= 200
        assert told("diff", "--all-columns").out.count("\n") == plain.count("\n")

    @pytest.mark.slow
    def test_many_rows_cost_as_texts_little_more_than_as_csv(self, told: Epoch, change: Callable[[str], None]) -> None:
        change("CREATE TABLE many AS SELECT i AS id, i AS x, 'text ' || i AS y, i / 3 AS z FROM range(40000) AS r(i)")
        told("table", "key", "many", "id")
        told("commit", "-m", "second")
        change("UPDATE many SET x = x + 1, y = y || '!' WHERE true")
        spent = {}
        for form in ([], ["--format", "csv"]):
            start = process_time()
            told("diff", "--limit", "0", *form, "many")
            spent[len(form)] = process_time() - start
        assert spent[0] < 4 * spent[2]
