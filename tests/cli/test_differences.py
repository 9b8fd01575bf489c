"""``epoch diff``: every view of what two states differ in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

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
