"""``epoch merge``, ``conflicts``, ``revert`` and ``cherry-pick``: what they print, their hints and their exit codes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.cli.main import run
from epoch_sql.cli.session import Session
from tests.conftest import Epoch

HOSTILE = 'Odd "table". 🎉 select'
QUOTED = HOSTILE.replace('"', '""')


Change = Callable[[str], None]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repositories, made once for all tests, which work on copies.

    ``apart``: main and dev changed different rows; dev is three commits of one row each ahead. ``clashing``: both
    changed one cell, and one removed a row that the other changed, in a table with a hostile name.
    """
    folder = tmp_path_factory.mktemp("templates")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        apart = [("dev", f"INSERT INTO orders VALUES ({i}, {i}, 'new')", f"Order {i}") for i in (4, 5, 6)]
        create = "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR);"
        rows = "INSERT INTO {} VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')"
        _make(
            folder / "apart", create + rows.format("orders"), [*apart, ("main", "DELETE FROM orders WHERE id = 1", "m")]
        )
        table = f'"{QUOTED}"'
        clashing = [
            ("dev", f"UPDATE {table} SET amount = 11 WHERE id = 1; DELETE FROM {table} WHERE id = 2", "d"),
            ("main", f"UPDATE {table} SET amount = amount + 2 WHERE id < 3; UPDATE {table} SET note = 'm'", "m"),
        ]
        _make(folder / "clashing", create.replace("orders", table) + rows.format(table), clashing)
    return folder


def _make(folder: Path, start: str, changes: list[tuple[str, str, str]]) -> None:
    folder.mkdir()
    database = str(folder / "shop.duckdb")
    with duckdb.connect(database) as connection:
        connection.execute(start)
    commands = [["init", database], ["--db", database, "branch", "create", "dev"]]
    assert [run(command) for command in commands] == [0, 0]
    for branch, sql, message in changes:
        assert run(["--db", database, "checkout", branch]) == 0
        with duckdb.connect(database) as connection:
            connection.execute(sql)
        assert run(["--db", database, "commit", "-m", message]) == 0


@pytest.fixture
def apart(epoch: Epoch, templates: Path, tmp_path: Path) -> Epoch:
    shutil.copytree(templates / "apart", tmp_path, dirs_exist_ok=True)
    return epoch


@pytest.fixture
def clashing(epoch: Epoch, templates: Path, tmp_path: Path) -> Epoch:
    shutil.copytree(templates / "clashing", tmp_path, dirs_exist_ok=True)
    return epoch


@pytest.fixture
def stopped(clashing: Epoch) -> Epoch:
    """A merge of dev into main that stopped."""
    clashing("merge", "dev", code=3)
    return clashing


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """Changes the data as any client would: without Epoch."""

    def change_data(sql: str) -> None:
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
            connection.execute(sql)

    return change_data


def ids(epoch: Epoch, table: str = "orders", ref: str = "WORKING") -> list[int]:
    rows = epoch("query", "--json", f"SELECT id FROM epoch_at('{ref}', '{table}') ORDER BY id").json
    return [row["id"] for row in rows]


class TestMerge:
    @pytest.mark.slow
    def test_is_one_commit_on_the_target(self, apart: Epoch) -> None:
        told = apart("merge", "dev")
        assert told.out == ""
        assert re.fullmatch(r"\[main [0-9a-f]{7}\] Merge dev into main \(\+3 rows\)\n", told.err)
        assert ids(apart) == [2, 3, 4, 5, 6]
        assert [row["message"] for row in apart("log", "--first-parent", "--json").json] == [
            "Merge dev into main",
            "m",
            "Initial commit",
        ]
        again = apart("merge", "dev")
        assert (again.out, again.err) == ("", "Already up to date\n")

    def test_json_is_the_row_of_the_procedure(self, apart: Epoch) -> None:
        (row,) = apart("merge", "dev", "--json").json
        counts = ["rows_added", "rows_modified", "rows_removed"]
        more = ["reapplied", "kept", "kind", "source", "target", "message", "stale"]
        assert list(row) == ["status", "commit_id", *counts, *more, "warnings"]
        assert (row["status"], row["rows_added"]) == ("merged", 3)
        assert [r["status"] for r in apart("merge", "dev", "--json").json] == ["up-to-date"]

    def test_into_another_branch_leaves_the_working_tables_alone(self, apart: Epoch) -> None:
        apart("checkout", "dev")
        assert "[main " in apart("merge", "dev", "--into", "main", "-m", "Promote").err
        assert ids(apart) == [1, 2, 3, 4, 5, 6]
        assert ids(apart, ref="main") == [2, 3, 4, 5, 6]
        assert apart("log", "main", "-1", "--json").json[0]["message"] == "Promote"

    def test_fast_forward_only_when_asked_for(self, apart: Epoch) -> None:
        apart("branch", "create", "behind", "--from", "dev~2", "--checkout")
        told = apart("merge", "dev", "--ff").err
        assert re.fullmatch(r"Fast-forwarded behind to [0-9a-f]{7} \(\+2 rows\)\n", told)
        assert len(apart("log", "-1", "--json").json[0]["parents"]) == 1

    def test_squash_has_one_parent(self, apart: Epoch) -> None:
        apart("merge", "dev", "--squash", "-m", "All of it")
        (commit,) = apart("log", "-1", "--json").json
        assert (commit["message"], len(commit["parents"])) == ("All of it", 1)

    def test_dry_run_tells_and_changes_nothing(self, apart: Epoch) -> None:
        before = apart("branch", "--json").out
        (row,) = apart("merge", "dev", "--dry-run", "--json").json
        counts = {"rows_added": 3, "rows_modified": 0, "rows_removed": 0}
        obstacles = {"data_conflicts": 0, "schema_conflicts": 0, "violations": 0}
        assert row == {"table_name": "orders", **counts, **obstacles, "stale": False}
        lines = apart("merge", "dev", "--dry-run").out.splitlines()
        assert [line.split() for line in lines] == [list(row)[:-1], [str(value) for value in row.values()][:-1]]
        assert (apart("branch", "--json").out, ids(apart)) == (before, [2, 3])
        apart("merge", "dev")
        assert apart("merge", "dev", "--dry-run").out == "nothing would change\n"

    def test_dry_run_exits_as_the_merge_would(self, clashing: Epoch) -> None:
        (row,) = clashing("merge", "dev", "--dry-run", "--json", code=3).json
        assert (row["table_name"], row["data_conflicts"]) == (f'"{QUOTED}"', 2)
        (row,) = clashing("merge", "dev", "--dry-run", "--strategy", "theirs", "--json").json
        assert (row["data_conflicts"], row["rows_modified"], row["rows_removed"]) == (0, 1, 1)
        assert clashing("conflicts", "--json").json == {"conflicts": [], "violations": []}

    def test_a_strategy_settles_conflicting_cells(self, clashing: Epoch) -> None:
        assert "(~1 -1 rows)" in clashing("merge", "dev", "--strategy", "theirs").err

    def test_what_was_undone_is_said_to_be_brought_back(self, apart: Epoch) -> None:
        apart("merge", "dev")
        undone = apart("revert", "HEAD", "--json").json[0]["commit_id"][:7]
        assert ids(apart) == [2, 3]
        told = apart("merge", "dev").err.splitlines()
        assert told[1:] == [f"re-applies 3 commits that {undone} undid"]
        assert ids(apart) == [2, 3, 4, 5, 6]

    def test_keep_undone_leaves_it_out(self, apart: Epoch, change: Change) -> None:
        apart("merge", "dev")
        apart("revert", "HEAD")
        assert apart("merge", "dev", "--keep-undone").err == "Already up to date\n"
        apart("checkout", "dev")
        assert (
            apart("merge", "main", "-m", "Back\n\nto development")
            .err.splitlines()[-1]
            .startswith("keeps 3 commits that ")
        )
        assert ids(apart) == [2, 3, 4, 5, 6]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nothing"], "unknown reference 'nothing'"),
            (["main"], "branch main cannot be merged into itself"),
            (["dev", "--into", "dev"], "branch dev cannot be merged into itself"),
            (["dev", "--into", "nothing"], "there is no branch nothing"),
            (["--continue"], "no merge into main is in progress"),
            (["--abort"], "no merge into main is in progress"),
        ],
    )
    def test_refused_in_one_line(self, apart: Epoch, words: list[str], message: str) -> None:
        told = apart("merge", *words, code=1)
        error, hint = told.err.splitlines()
        assert error == f"error: {message}"
        assert hint.startswith("hint: ")
        assert told.out == ""

    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["dev", "--continue"],
            ["--continue", "--abort"],
            ["dev", "--strategy", "mine"],
            ["dev", "--ff", "--squash"],
            ["--continue", "--squash"],
            ["--continue", "--dry-run"],
            ["--abort", "-m", "x"],
        ],
    )
    def test_usage(self, apart: Epoch, words: list[str]) -> None:
        assert apart("merge", *words, code=2).err.startswith("error: ")

    def test_uncommitted_changes_in_the_way(self, apart: Epoch, change: Change) -> None:
        change("UPDATE orders SET amount = 0 WHERE id = 2")
        told = apart("merge", "dev", code=1).err
        assert "uncommitted changes in orders" in told
        assert "epoch stash" in told
        assert ids(apart) == [2, 3]


class TestConflicts:
    def test_are_told_with_what_to_type_next(self, clashing: Epoch) -> None:
        told = clashing("merge", "dev", code=3)
        assert told.out == ""
        name = re.escape(f'"{QUOTED}"')
        *listed, error, hint = told.err.splitlines()
        assert re.fullmatch(rf'CONFLICT \(modify/modify\): {name} {{"id":1}} amount', listed[0])
        assert re.fullmatch(rf'CONFLICT \(modify/delete\): {name} {{"id":2}}', listed[1])
        assert error == "error: the merge of dev into main stopped: 2 conflicts"
        for command in ("epoch conflicts show", "epoch conflicts resolve --theirs", "epoch merge --continue"):
            assert command in hint
        assert clashing("query", "--json", f'SELECT amount FROM "{QUOTED}" WHERE id = 1').json == [{"amount": 12}]

    @pytest.mark.slow
    def test_many_are_cut_short(self, apart: Epoch, change: Change) -> None:
        for branch, value in (("dev", 1), ("main", 2)):
            apart("checkout", branch)
            change(
                f"CREATE TABLE many AS SELECT i, {value} AS v FROM range(50) AS r(i);"
                "ALTER TABLE many ADD PRIMARY KEY (i)"
            )
            apart("commit", "-m", "many")
        told = apart("merge", "dev", code=3).err.splitlines()
        assert sum(line.startswith("CONFLICT") for line in told) <= 10
        assert "error: the merge of dev into main stopped: " in told[-2]

    def test_a_second_merge_is_refused(self, stopped: Epoch) -> None:
        told = stopped("merge", "dev", code=1).err.splitlines()
        assert told == [
            "error: a merge of dev into main is in progress",
            "hint: epoch merge --continue, or epoch merge --abort",
        ]

    def test_show_in_json_has_the_columns_of_the_functions(self, stopped: Epoch) -> None:
        found = stopped("conflicts", "show", "--format", "json").json
        assert list(found) == ["conflicts", "violations"]
        cell, row = found["conflicts"]
        names = ["table_name", "key", "column_name", "kind", "base", "ours", "theirs", "resolved", "side", "value"]
        assert list(cell) == names
        assert [cell[name] for name in names[1:]] == [
            {"id": 1},
            "amount",
            "modify/modify",
            10,
            12,
            11,
            False,
            None,
            None,
        ]
        assert (row["kind"], row["theirs"], row["ours"]["amount"]) == ("modify/delete", None, 22)
        assert stopped("conflicts", cell["table_name"], "--json").json == found
        assert stopped("conflicts", "orders", "--json").json == {"conflicts": [], "violations": []}

    def test_show_as_text(self, stopped: Epoch) -> None:
        told = stopped("conflicts")
        assert told.out.splitlines()[0].split() == [
            "table_name", "key", "column_name", "kind", "base", "ours", "theirs", "resolved", "side", "value",
        ]  # fmt: skip
        assert "The merge of dev into main is in progress: 2 conflicts left to resolve" in told.err

    @pytest.mark.slow
    def test_resolve_a_row_a_cell_and_the_rest(self, stopped: Epoch) -> None:
        table = stopped("conflicts", "--json").json["conflicts"][0]["table_name"]
        told = stopped("conflicts", "resolve", table, "--record", "1", "--field", "amount", "--value", "77").err
        assert told.startswith("Resolved 1 conflict, 1 conflict left\nhint: epoch conflicts show; ")
        (row,) = stopped("conflicts", "resolve", "--theirs", "--json").json
        assert row == {"resolved": 1, "remaining": 0}
        assert "all conflicts are resolved" in stopped("status").out
        assert "[main " in stopped("merge", "--continue", "-m", "Settled").err
        found = stopped("query", "--json", f'SELECT id, amount, note FROM "{QUOTED}" ORDER BY id').json
        assert found == [{"id": 1, "amount": 77, "note": "m"}, {"id": 3, "amount": 30, "note": "m"}]
        assert stopped("log", "-1", "--json").json[0]["message"] == "Settled"

    def test_a_key_as_json(self, stopped: Epoch) -> None:
        table = stopped("conflicts", "--json").json["conflicts"][0]["table_name"]
        assert stopped("conflicts", "resolve", table, "--record", '{"id": 2}', "--ours").err.startswith(
            "Resolved 1 conflict"
        )

    def test_continue_with_open_conflicts(self, stopped: Epoch) -> None:
        told = stopped("merge", "--continue", code=3).err
        assert told.splitlines()[-2] == "error: the merge of dev into main stopped: 2 conflicts"

    def test_abort(self, stopped: Epoch) -> None:
        (row,) = stopped("merge", "--abort", "--json").json
        assert row["status"] == "aborted"
        assert stopped("conflicts").err == "No merge into main is in progress\n"
        stopped("merge", "--abort", code=1)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--record", "99", "--ours"], "is not in conflict"),
            (["--record", "1", "--field", "note", "--ours"], "is not in conflict"),
            (["--record", "1", "--field", "amount", "--value", "much"], "is not a value of column amount INTEGER"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, stopped: Epoch, words: list[str], message: str) -> None:
        table = stopped("conflicts", "--json").json["conflicts"][0]["table_name"]
        told = stopped("conflicts", "resolve", table, *words, code=1).err
        assert message in told.splitlines()[0]
        assert "epoch_" not in told
        assert len(stopped("conflicts", "--json").json["conflicts"]) == 2

    def test_a_table_without_conflicts(self, stopped: Epoch) -> None:
        assert stopped("conflicts", "resolve", "nothing", "--ours", code=1).err.startswith("error: ")

    @pytest.mark.parametrize(
        "words",
        [
            [],
            ["--ours", "--theirs"],
            ["t", "--ours", "--value", "1"],
            ["t", "--value", "1"],
            ["--record", "1", "--ours"],
            ["--interactive", "--ours"],
            ["--interactive", "--json"],
        ],
    )
    def test_usage(self, stopped: Epoch, words: list[str]) -> None:
        assert stopped("conflicts", "resolve", *words, code=2).err.startswith("error: ")

    @pytest.mark.slow
    def test_violations_are_told_shown_and_counted(self, apart: Epoch, change: Change) -> None:
        change("CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id))")
        apart("commit", "-m", "Lines")
        apart("branch", "create", "removing", "--checkout")
        change("DELETE FROM orders WHERE id = 3")
        apart("commit", "-m", "Remove 3")
        apart("checkout", "main")
        change("INSERT INTO lines VALUES (1, 3)")
        apart("commit", "-m", "A line of 3")
        told = apart("merge", "removing", code=3).err.splitlines()
        assert told[0].startswith('VIOLATION (foreign key): lines {"id":1}: ')
        assert told[1] == "error: the merge of removing into main stopped: 1 violation"
        (violation,) = apart("conflicts", "--json").json["violations"]
        assert list(violation) == ["table_name", "constraint_name", "kind", "key", "detail"]
        assert "1 violation" in apart("status").out
        assert "foreign key" in apart("conflicts", "lines").out
        assert apart("conflicts", "orders").out == ""


class TestWhileAMergeIsInProgress:
    def test_status_says_what_to_type_next(self, stopped: Epoch) -> None:
        told = stopped("status").out
        assert "The merge of dev into main is in progress: 2 conflicts" in told
        for command in ("epoch conflicts", "epoch conflicts resolve", "epoch merge --continue", "epoch merge --abort"):
            assert f'"{command}"' in told
        (row,) = stopped("status", "--json").json["merges"]
        assert (row["target"], row["source"], row["conflicts"], row["violations"]) == ("main", "dev", 2, 0)

    @pytest.mark.slow
    def test_another_branch_is_checked_out_and_the_merge_goes_on_there(self, stopped: Epoch) -> None:
        told = stopped("checkout", "dev").err.splitlines()
        assert told == [
            "Switched to branch 'dev'",
            "warning: the merge of dev into main is still in progress",
            "hint: epoch merge --continue --into main, or epoch merge --abort --into main",
        ]
        assert '"epoch merge --continue --into main"' in stopped("status").out
        stopped("merge", "--continue", code=1)
        assert len(stopped("conflicts", "--into", "main", "--json").json["conflicts"]) == 2
        assert "epoch merge --continue --into main" in stopped("merge", "--continue", "--into", "main", code=3).err
        stopped("conflicts", "resolve", "--ours", "--into", "main")
        assert "[main " in stopped("merge", "--continue", "--into", "main").err

    def test_a_commit_is_no_continue(self, stopped: Epoch, change: Change) -> None:
        assert "hint: epoch merge --continue" in stopped("commit", "-m", "x", code=1).err
        change(f"UPDATE \"{QUOTED}\" SET note = 'late' WHERE id = 3")
        assert "warning: the merge of dev into main is still in progress" in stopped("commit", "-m", "x").err
        stopped("conflicts", "resolve", "--ours")
        told = stopped("merge", "--continue", code=1).err
        assert "has moved" in told
        assert "epoch merge --abort" in told

    @pytest.mark.slow
    def test_a_renamed_branch_keeps_its_merge_and_a_deleted_one_does_not(self, stopped: Epoch) -> None:
        stopped("branch", "rename", "main", "trunk")
        assert "The merge of dev into trunk is in progress: 2 conflicts" in stopped("status").out
        stopped("conflicts", "resolve", "--ours")
        stopped("checkout", "dev")
        stopped("branch", "delete", "trunk", "--force")
        assert stopped("status", "--json").json["merges"] == []

    def test_reset_reminds_of_it(self, stopped: Epoch) -> None:
        assert "warning: the merge of dev into main is still in progress" in stopped("reset", "--hard").err


class TestRevert:
    @pytest.mark.slow
    def test_undoes_a_whole_merge(self, apart: Epoch) -> None:
        apart("merge", "dev")
        told = apart("revert", "HEAD")
        assert re.fullmatch(r'\[main [0-9a-f]{7}\] Revert "Merge dev into main" \(-3 rows\)\n', told.err)
        assert ids(apart) == [2, 3]

    def test_several_are_settled_before_the_first(self, apart: Epoch) -> None:
        apart("checkout", "dev")
        rows = apart("revert", "HEAD", "HEAD~1", "--json").json
        assert [list(row) for row in rows] == [
            ["commit_id", "rows_added", "rows_modified", "rows_removed", "branch", "message", "stale", "warnings"]
        ] * 2
        assert ids(apart) == [1, 2, 3, 4]

    def test_an_unknown_one_among_several_changes_nothing(self, apart: Epoch) -> None:
        apart("checkout", "dev")
        assert "unknown reference 'nothing'" in apart("revert", "HEAD", "nothing", code=1).err
        assert ids(apart) == [1, 2, 3, 4, 5, 6]

    def test_the_first_commit(self, apart: Epoch) -> None:
        assert "first commit" in apart("revert", "dev~3", code=1).err

    @pytest.mark.slow
    def test_stops_on_conflicts_and_says_what_is_left(self, apart: Epoch, change: Change) -> None:
        apart("checkout", "dev")
        change("UPDATE orders SET note = 'changed' WHERE id = 5")
        apart("commit", "-m", "Change 5")
        left = apart("log", "HEAD~3", "-1", "--json").json[0]["commit_id"][:7]
        told = apart("revert", "HEAD~1", "HEAD~2", "HEAD~3", code=3).err.splitlines()
        assert 'Revert "Order 6"' in told[0]
        assert told[1] == 'CONFLICT (modify/delete): orders {"id":5}'
        assert told[2] == f"1 commit left, after epoch merge --continue: epoch revert {left}"
        assert re.fullmatch(r"error: the revert of [0-9a-f]{7} on dev stopped: 1 conflict", told[3])
        assert "The revert of " in apart("status").out
        apart("conflicts", "resolve", "--theirs")
        assert 'Revert "Order 5"' in apart("merge", "--continue").err
        apart("revert", left)
        assert ids(apart) == [1, 2, 3]


class TestCherryPick:
    def test_takes_the_changes_of_commits(self, apart: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        records = Session._records

        def recorded(session: Session, statement: str, values: Sequence[Any]) -> list[dict[str, Any]]:
            asked.append(statement)
            return records(session, statement, values)

        monkeypatch.setattr(Session, "_records", recorded)
        told = apart("cherry-pick", "dev~1", "dev").err.splitlines()
        assert [statement.split()[0] for statement in asked] == ["SELECT", "CALL", "CALL"]
        assert [re.sub("[0-9a-f]{7}", "ID", line) for line in told] == [
            "[main ID] Order 5 (+1 rows)",
            "[main ID] Order 6 (+1 rows)",
        ]
        assert ids(apart) == [2, 3, 5, 6]

    def test_a_merge_names_its_parents(self, apart: Epoch) -> None:
        apart("merge", "dev")
        apart("checkout", "dev")
        told = apart("cherry-pick", "main", code=1).err
        assert told.startswith("error: main is a merge of ")
        assert "hint: epoch cherry-pick " in told

    def test_stops_on_conflicts(self, clashing: Epoch) -> None:
        told = clashing("cherry-pick", "dev", code=3).err
        assert re.search(r"^error: the cherry-pick of [0-9a-f]{7} on main stopped: 2 conflicts$", told, re.MULTILINE)
        clashing("conflicts", "resolve", "--ours")
        told = clashing("merge", "--continue", code=1).err
        assert re.search(r"^error: nothing to commit: what [0-9a-f]{7} changed is in main already$", told, re.MULTILINE)
        assert "epoch merge --abort" in told
        clashing("conflicts", "resolve", "--theirs")
        assert clashing("merge", "--continue", "--json").json[0]["status"] == "merged"


class TestCopies:
    """A table without a key in which both sides changed how often a row is there."""

    @pytest.fixture
    def copies(self, apart: Epoch, change: Change) -> Epoch:
        change("CREATE TABLE bag (v VARCHAR, n INTEGER); INSERT INTO bag VALUES ('it''s', 1), ('b', 2)")
        apart("commit", "-m", "A bag")
        apart("branch", "create", "more", "--checkout")
        change("INSERT INTO bag SELECT 'it''s', 1 FROM range(2); INSERT INTO bag SELECT 'b', 2 FROM range(2)")
        apart("commit", "-m", "More")
        apart("checkout", "main")
        change("INSERT INTO bag VALUES ('it''s', 1), ('b', 2)")
        apart("commit", "-m", "One more")
        apart("merge", "more", code=3)
        return apart

    @pytest.mark.grid(every=2)
    @pytest.mark.parametrize(("side", "first"), [("--both", 4), ("--theirs", 3), ("--ours", 2), ("--base", 1)])
    @pytest.mark.slow
    def test_of_one_row_by_its_record_and_of_all(self, copies: Epoch, side: str, first: int) -> None:
        listed = copies("conflicts", "bag", "--json").json["conflicts"]
        assert {row["kind"] for row in listed} == {"copies"}
        record = json.dumps(listed[0]["key"])
        told = copies("conflicts", "resolve", "bag", "--record", record, side).err
        assert told.startswith("Resolved 1 conflict, 1 conflict left")
        assert copies("conflicts", "resolve", "--both").err.startswith("Resolved 1 conflict")
        copies("merge", "--continue")
        rows = copies("query", "--json", "SELECT v, count(*) AS n FROM bag GROUP BY ALL ORDER BY n, v").json
        assert sorted(row["n"] for row in rows) == sorted([4, first])


ODD_KEYS = {
    "VARCHAR": ("'1'", "'null'", "'{\"k\":1}'", "'it''s \"so\" \\\\'", "''", "'--ours'"),
    "DATE": ("'2020-02-29'", "'0044-03-15 (BC)'", "'infinity'"),
    "DECIMAL(38, 10)": ("12.25", "-0.5"),
    "DOUBLE": ("'nan'", "'-infinity'", "0.1"),
    "HUGEINT": ("170141183460469231731687303715884105727",),
    "BLOB": ("'\\x00\\xFF'",),
    "INTERVAL": ("INTERVAL '1 month 40 days'",),
    "INTEGER[]": ("[1, NULL]",),
    'STRUCT(a INTEGER, "b c" VARCHAR)': ("{'a': 1, 'b c': 'x'}",),
    "MAP(VARCHAR, INTEGER)": ("MAP {'it''s': 1}",),
    "UNION(n INTEGER, s VARCHAR)": ("union_value(n := 1)", "union_value(s := '1')"),
}


@pytest.mark.slow
def test_the_record_of_any_key_is_given_back_as_it_is_listed(apart: Epoch, change: Change) -> None:
    names = [f"t{number}" for number in range(len(ODD_KEYS))]
    for name, (type, values) in zip(names, ODD_KEYS.items(), strict=True):
        rows = ", ".join(f"(CAST({value} AS {type}), 'base', 0)" for value in values)
        change(
            f'CREATE TABLE {name} ("a ""key""" {type}, "value" VARCHAR, n INTEGER); INSERT INTO {name} VALUES {rows}'
        )
        apart("table", "key", name, 'a "key"', "value")
    apart("commit", "-m", "Odd keys")
    apart("branch", "create", "theirs")
    for branch, n in (("main", 1), ("theirs", 2)):
        apart("checkout", branch)
        change("; ".join(f"UPDATE {name} SET n = {n}" for name in names))
        apart("commit", "-m", branch)
    apart("checkout", "main")
    apart("merge", "theirs", code=3)
    listed = apart("conflicts", "--json").json["conflicts"]
    assert len(listed) == sum(map(len, ODD_KEYS.values()))
    for row in listed:
        record = json.dumps(row["key"])
        (told,) = apart("conflicts", "resolve", row["table_name"], f"--record={record}", "--theirs", "--json").json
        assert told["resolved"] == 1, record
    apart("merge", "--continue")
    found = " UNION ALL ".join(f"SELECT DISTINCT n FROM {name}" for name in names)
    assert {row["n"] for row in apart("query", "--json", found).json} == {2}


def test_a_branch_that_is_not_checked_out(epoch: Epoch) -> None:
    epoch("init")
    epoch("query", "CREATE TABLE t AS SELECT 1 AS a")
    epoch("commit", "-m", "one")
    epoch("branch", "create", "production")
    epoch("query", "INSERT INTO t VALUES (2)")
    epoch("commit", "-m", "two")
    seen = epoch("log", "-n", "1", "--json").json[0]["commit_id"]
    told = epoch("merge", "main", "--into", "production", "--expected", "0123456", code=1).err
    assert "'main' is at" in told and "hint: epoch log main" in told
    epoch("merge", "main", "--into", "production", "--expected", seen[:9])
    assert "[production " in epoch("revert", "production", "--into", "production").err
    assert epoch("query", "--ref", "production", "SELECT count(*) FROM t").out.split()[1] == "1"
    assert "production is now at" in epoch("reset", "production~1", "--into", "production").err
    assert "--into leaves alone" in epoch("reset", "main", "--into", "production", "--dry-run", code=2).err
    assert "name the commit" in epoch("reset", "--into", "production", code=1).err
    assert len(epoch("log", "--all", "--oneline").out.splitlines()) == 4
    assert epoch("cherry-pick", "main~1", "--into", "nope", code=1).err.startswith("error: there is no branch nope")
