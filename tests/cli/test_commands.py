"""The commands of ``epoch``, as docs and tutorial promise them: results, messages, exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Epoch

HOSTILE = 'Odd "table". 🎉 select'
QUOTED = '"{}"'.format(HOSTILE.replace('"', '""'))


class TestInit:
    def test_takes_the_one_database_of_the_folder(self, shop: Epoch, folder: Path) -> None:
        assert (folder / ".epoch" / "config.toml").is_file()
        log = shop("log", "--json").json
        assert [row["message"] for row in log] == ["Initial commit"]
        assert [row["table_name"] for row in shop("table", "list", "--json").json] == ["orders"]

    def test_makes_epoch_duckdb_where_there_is_none(self, epoch: Epoch, folder: Path) -> None:
        told = epoch("init", "--branch", "trunk")
        assert re.fullmatch(
            r"Initialized Epoch repository in .*\.epoch \(branch trunk, commit [0-9a-f]{7}\)\n", told.err
        )
        assert (folder / "epoch.duckdb").is_file()
        assert [row["name"] for row in epoch("branch", "--json").json] == ["trunk"]

    def test_asks_which_of_two(self, epoch: Epoch, folder: Path) -> None:
        for name in ("a.duckdb", "b.duckdb"):
            duckdb.connect(str(folder / name)).close()
        told = epoch("init", code=1)
        assert "a.duckdb, b.duckdb" in told.err
        assert "hint: epoch init a.duckdb" in told.err
        assert not (folder / ".epoch").exists()

    def test_refuses_a_second_time(self, shop: Epoch) -> None:
        assert shop("init", code=1).err.startswith("error: ")

    def test_refused_leaves_nothing_behind(self, epoch: Epoch, folder: Path) -> None:
        epoch("init", "--branch", "bad..name", code=1)
        told = epoch("init", "missing/x.duckdb", code=1)
        assert told.err == "error: there is no folder missing\nhint: mkdir -p missing\n"
        assert list(folder.iterdir()) == []

    def test_a_database_that_was_there_stays(self, epoch: Epoch, folder: Path) -> None:
        duckdb.connect(str(folder / "a.duckdb")).close()
        epoch("init", "--branch", "bad..name", code=1)
        assert [path.name for path in folder.iterdir()] == ["a.duckdb"]

    def test_hints_name_commands(self, shop: Epoch) -> None:
        for arguments, hint in (
            (["init"], "epoch status"),
            (["commit", "-m", "x"], "epoch status"),
            (["commit", "-m", " "], "epoch commit -m 'what changed and why'"),
            (["log", "--table", "missing"], "epoch table list"),
            (["table", "ignore", ""], "epoch table ignore 'scratch_*'"),
            (["gc", "--grace", "bogus"], "epoch gc --grace '7 days'"),
        ):
            assert shop(*arguments, code=1).err.splitlines()[1:] == [f"hint: {hint}"], arguments

    def test_a_database_of_another_folder(self, epoch: Epoch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "data").mkdir()
        epoch("init", "data/x.duckdb")
        assert (folder / "data" / ".epoch").is_dir()
        assert epoch("status", code=1).err.endswith("hint: epoch init\n")
        assert epoch("--db", "data/x.duckdb", "status").out
        monkeypatch.setenv("EPOCH_DB", "data/x.duckdb")
        assert epoch("status").out
        monkeypatch.delenv("EPOCH_DB")
        (folder / "data" / "deep").mkdir()
        monkeypatch.chdir(folder / "data" / "deep")
        assert epoch("status").out


class TestStatus:
    def test_clean(self, shop: Epoch) -> None:
        assert shop("status").out == "On branch main\nnothing to commit, working tables clean\n"
        found = shop("status", "--json").json
        assert (found["branch"], found["detached"], found["changes"]) == ("main", False, [])

    def test_counts_and_what_to_type_next(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("INSERT INTO orders VALUES (3, 'Edsger', 1); UPDATE orders SET amount = 0 WHERE id = 1")
        change(f"CREATE TABLE {QUOTED} AS SELECT 1 AS i")
        told = shop("status").out
        assert re.search(r"^  modified: +orders +\+1 ~1$", told, re.MULTILINE)
        assert re.search(rf"^  added: +{re.escape(QUOTED)} +\+1$", told, re.MULTILINE)
        assert "epoch commit -m MESSAGE" in told
        changes = {row["table_name"]: row for row in shop("status", "--json").json["changes"]}
        assert changes["orders"] == {
            "table_name": "orders",
            "change": "modified",
            "rows_added": 1,
            "rows_modified": 1,
            "rows_removed": 0,
        }
        assert changes[QUOTED]["change"] == "added"


class TestCommit:
    def test_tells_branch_commit_and_counts(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("INSERT INTO orders VALUES (3, 'Edsger', 1); UPDATE orders SET amount = 0 WHERE id = 1")
        told = shop("commit", "-m", "Add an order\n\nand more")
        assert re.fullmatch(r"\[main [0-9a-f]{7}\] Add an order \(1 table, \+1 ~1 rows\)\n", told.err)
        assert told.out == ""
        newest = shop("log", "-1", "--json").json[0]
        assert (newest["message"], newest["author"]) == ("Add an order\n\nand more", "Ada <ada@example.com>")

    def test_json_is_the_row_of_the_procedure(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("DELETE FROM orders")
        (row,) = shop("commit", "-m", "Empty", "--json").json
        rows = {"rows_added", "rows_modified", "rows_removed"}
        assert set(row) == {"commit_id", "branch", "tables_changed", *rows, "warnings"}
        assert (row["branch"], row["tables_changed"], row["rows_removed"]) == ("main", 1, 2)

    def test_nothing_to_commit(self, shop: Epoch) -> None:
        assert shop("commit", "-m", "Nothing", code=1).err.startswith("error: nothing to commit")
        shop("commit", "-m", "Nothing, on purpose", "--allow-empty")
        assert len(shop("log", "--json").json) == 2

    @pytest.mark.parametrize(
        "before", [["--author", "Grace <g@x>", "commit"], ["commit", "--author", "Grace <g@x>"]], ids=["global", "own"]
    )
    def test_author(self, shop: Epoch, before: list[str]) -> None:
        shop(*before, "-m", "x", "--allow-empty")
        assert shop("log", "-1", "--json").json[0]["author"] == "Grace <g@x>"

    def test_author_of_the_settings(self, shop: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EPOCH_AUTHOR")
        shop("config", "set", "user.name", "Edsger")
        shop("config", "set", "user.email", "e@x")
        shop("commit", "-m", "x", "--allow-empty")
        assert shop("log", "-1", "--json").json[0]["author"] == "Edsger <e@x>"

    def test_a_message_is_required(self, shop: Epoch) -> None:
        told = shop("commit", code=2)
        assert "error: Missing option '-m'" in told.err
        assert "hint: epoch commit --help" in told.err


class TestLog:
    def test_newest_first_with_references(self, developed: Epoch) -> None:
        told = developed("log").out
        assert re.match(r"commit [0-9a-f]{64} \(.*development.*\)\nAuthor: Ada <ada@example.com>\nDate:   ", told)
        assert told.index("Correct the orders") < told.index("Initial commit")

    def test_oneline_and_counts(self, developed: Epoch) -> None:
        assert len(developed("log", "--oneline").out.splitlines()) == 2
        for count in (("-1",), ("-n", "1"), ("--max-count", "1")):
            (line,) = developed("log", "--oneline", *count).out.splitlines()
            assert re.fullmatch(r"[0-9a-f]{7} \(.*\) Correct the orders", line)

    def test_of_another_reference(self, developed: Epoch) -> None:
        assert [row["message"] for row in developed("log", "main", "--json").json] == ["Initial commit"]

    def test_json_has_the_columns_of_the_function(self, developed: Epoch) -> None:
        rows = developed("log", "--json").json
        assert list(rows[0]) == ["commit_id", "parents", "author", "committed_at", "message", "refs"]
        assert rows[0]["parents"] == [rows[1]["commit_id"]]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", rows[0]["committed_at"])

    def test_of_one_table(self, developed: Epoch, change: Callable[[str], None]) -> None:
        change("CREATE TABLE other AS SELECT 1 AS i")
        developed("commit", "-m", "Other")
        assert [row["message"] for row in developed("log", "--table", "other", "--json").json] == ["Other"]

    def test_graph(self, developed: Epoch) -> None:
        assert [line[:2] for line in developed("log", "--graph", "--oneline").out.splitlines()] == ["* ", "* "]

    def test_unknown_reference(self, shop: Epoch) -> None:
        told = shop("log", "mian", code=1)
        assert "mian" in told.err
        assert "main" in told.err

    def test_show_counts_the_rows(self, developed: Epoch) -> None:
        told = developed("show").out
        assert re.search(r"^  orders +\+1 ~1 -1$", told, re.MULTILINE)
        assert re.search(r"^  orders +\+2$", developed("show", "main").out, re.MULTILINE)
        found = developed("show", "--json").json
        assert (found["message"], found["diff_stat"][0]["rows_added"]) == ("Correct the orders", 1)

    def test_reflog_remembers(self, developed: Epoch) -> None:
        assert len(developed("reflog", "--json").json) >= 2
        assert developed("reflog", "development").out


class TestBranches:
    def test_create_list_rename_delete(self, shop: Epoch) -> None:
        assert re.fullmatch(
            r"Created branch 'staging' at [0-9a-f]{7}\n", shop("branch", "create", "staging", "--from", "main").err
        )
        assert [line[0] for line in shop("branch").out.splitlines()] == ["*", " "]
        shop("branch", "rename", "staging", "test")
        assert {row["name"] for row in shop("branch", "list", "--json").json} == {"main", "test"}
        assert shop("branch", "delete", "test").err.startswith("Deleted branch 'test' (was ")
        assert [row["name"] for row in shop("branch", "--json").json] == ["main"]

    def test_create_and_check_out(self, shop: Epoch) -> None:
        assert shop("branch", "create", "x", "--checkout").err == "Switched to a new branch 'x'\n"
        assert shop("status").out.startswith("On branch x\n")

    def test_a_refused_checkout_leaves_no_branch(self, developed: Epoch, change: Callable[[str], None]) -> None:
        change("DELETE FROM orders WHERE id = 3")
        developed("branch", "create", "x", "--from", "main", "--checkout", code=1)
        assert "x" not in {row["name"] for row in developed("branch", "--json").json}

    def test_a_name_without_create_is_told(self, shop: Epoch) -> None:
        assert "epoch branch create staging" in shop("branch", "staging", code=2).err

    @pytest.mark.parametrize("name", ["a..b", "-x", "a b", "HEAD", "", "x.lock"])
    def test_a_name_that_git_would_refuse(self, shop: Epoch, name: str) -> None:
        assert shop("branch", "create", "--", name, code=1).err.startswith("error: ")

    def test_checkout_puts_the_tables_there(self, developed: Epoch) -> None:
        assert developed("checkout", "main").err == "Switched to branch 'main'\n"
        assert developed("query", "SELECT id FROM orders ORDER BY id", "--json").json == [{"id": 1}, {"id": 2}]

    def test_checkout_refuses_to_lose_changes(self, developed: Epoch, change: Callable[[str], None]) -> None:
        change("INSERT INTO orders VALUES (4, 'Barbara', 4)")
        told = developed("checkout", "main", code=1)
        assert "orders" in told.err
        assert "hint: " in told.err
        developed("checkout", "main", "--force")
        assert developed("query", "SELECT id FROM orders ORDER BY id", "--json").json == [{"id": 1}, {"id": 2}]

    def test_a_detached_checkout_says_so(self, developed: Epoch) -> None:
        developed("tag", "v1", "main")
        told = developed("checkout", "v1")
        assert "detached" in told.err
        assert "hint: epoch branch create" in told.err
        assert developed("status").out.startswith("HEAD detached at ")
        assert "branch create" in developed("commit", "-m", "x", "--allow-empty", code=1).err

    def test_tags(self, developed: Epoch) -> None:
        assert re.fullmatch(
            r"Tagged [0-9a-f]{7} as 'v1.2.0'\n", developed("tag", "v1.2.0", "--message", "Release 1.2.0").err
        )
        developed("tag", "v1.1.0", "main")
        tags = {row["name"]: row for row in developed("tag", "list", "--json").json}
        assert set(tags) == {"v1.1.0", "v1.2.0"}
        assert tags["v1.2.0"]["message"] == "Release 1.2.0"
        assert len(developed("tag").out.splitlines()) == 2
        developed("tag", "v1.2.0", code=1)
        developed("tag", "delete", "v1.2.0")
        assert [row["name"] for row in developed("tag", "--json").json] == ["v1.1.0"]

    def test_reset_soft_keeps_the_tables(self, developed: Epoch) -> None:
        assert re.match(r"HEAD is now at [0-9a-f]{7}", developed("reset", "main").err)
        assert developed("status", "--json").json["changes"][0]["rows_added"] == 1

    def test_reset_hard_takes_the_tables_along(self, developed: Epoch) -> None:
        developed("reset", "--hard", "main")
        assert developed("status", "--json").json["changes"] == []
        assert developed("query", "SELECT count(*) AS n FROM orders", "--json").json == [{"n": 2}]


class TestStash:
    def test_push_and_pop(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("DELETE FROM orders WHERE id = 1")
        assert shop("stash", "-m", "half done").err.startswith("Saved the working changes as stash ")
        assert shop("status", "--json").json["changes"] == []
        assert "half done" in shop("stash", "list").out
        shop("stash", "pop")
        assert shop("status", "--json").json["changes"][0]["rows_removed"] == 1
        assert shop("stash", "list", "--json").json == []

    def test_drop(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("DELETE FROM orders WHERE id = 1")
        shop("stash", "push")
        shop("stash", "drop")
        shop("stash", "pop", code=1)


class TestDataCommands:
    def test_a_declared_key(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("CREATE TABLE visits (page VARCHAR, day DATE); INSERT INTO visits VALUES ('a', '2026-01-31')")
        told = shop("table", "key", "visits", "page", "day")
        assert told.err == "Rows of visits are identified by page, day\n"
        shop("commit", "-m", "Visits")
        keys = {row["table_name"]: row["key_columns"] for row in shop("table", "--json").json}
        assert keys == {"orders": ["id"], "visits": ["page", "day"]}

    def test_an_ignored_table(self, shop: Epoch, change: Callable[[str], None]) -> None:
        shop("table", "ignore", "tmp_*")
        change("CREATE TABLE tmp_x AS SELECT 1 AS i")
        assert shop("status", "--json").json["changes"] == []

    def test_derived_tables(self, shop: Epoch, change: Callable[[str], None]) -> None:
        change("CREATE TABLE mart_t AS SELECT sum(amount) AS total FROM orders")
        assert shop("table", "derived", "mart_*", "--json").json == [{"pattern": "mart_*"}]
        assert shop("table", "derived", "--json").json == [{"pattern": "mart_*"}]
        shop("commit", "-m", "Marts")
        shop("branch", "create", "side")
        for branch, amount in (("main", 1), ("side", 2)):
            shop("checkout", branch)
            change(f"UPDATE orders SET amount = 0 WHERE id = {amount}; UPDATE mart_t SET total = {amount}")
            shop("commit", "-m", branch)
        assert shop("merge", "main", "--dry-run").out.endswith("stale: rebuild mart_t\n")
        told = shop("merge", "main", "--require-fresh", code=4).err.splitlines()
        assert told[0] == "error: the merge would leave mart_t stale on side"
        assert shop("merge", "main", "--json").json[0]["stale"] == ["mart_t"]
        assert {row["table_name"]: row["is_stale"] for row in shop("table", "--json").json} == {
            "mart_t": True, "orders": False
        }  # fmt: skip
        assert shop("table", "rebuilt", "mart_*", "--json").json == [{"table_name": "mart_t"}]
        assert "rebuilt:  mart_t" in shop("status").out
        shop("commit", "-m", "Confirmed")
        assert "stale" not in shop("status").out
        assert "hint: epoch status" in shop("table", "rebuilt", "mart_*", code=1).err
        assert "not derived" in shop("table", "derived", "mart_*", "--remove").err

    def test_query_on_the_working_tables_and_on_any_reference(self, developed: Epoch) -> None:
        sql = "SELECT sum(amount) AS total FROM orders"
        assert developed("query", sql).out == "total\n25.00\n"
        assert developed("query", "--ref", "main", sql).out == "total\n32.50\n"
        assert developed("query", "--ref", "main", "--format", "csv", sql).out == "total\n32.50\n"
        pivot = "SELECT count(*) AS n FROM (PIVOT orders ON id USING sum(amount) GROUP BY id)"
        assert int(developed("query", "--ref", "main", pivot).out.split()[-1]) > 1

    def test_query_fails_in_one_line(self, shop: Epoch) -> None:
        assert len(shop("query", "SELECT nope FROM orders", code=1).err.splitlines()) == 1

    @pytest.mark.parametrize(
        ("sql", "told"),
        [
            ("BEGIN; INSERT INTO orders (id) VALUES (90)", "end inside a transaction"),
            ("BEGIN; INSERT INTO orders (id) VALUES (90); CALL epoch_commit('x'); COMMIT", "COMMIT before the call"),
            ("BEGIN; INSERT INTO orders (id) VALUES (90); FROM epoch_at('no', 'orders'); COMMIT", "unknown reference"),
            ("BEGIN; INSERT INTO orders (id) VALUES (90); FROM nowhere; COMMIT", "nowhere does not exist"),
        ],
    )
    def test_query_tells_of_a_transaction_that_is_lost(self, shop: Epoch, sql: str, told: str) -> None:
        err = shop("query", sql, code=1).err
        assert told in err
        assert "rolled back, and nothing of it is saved" in err
        assert "COMMIT or" not in err
        assert shop("query", "FROM orders WHERE id = 90", "--json").json == []
        shop("query", "BEGIN; INSERT INTO orders (id) VALUES (90); COMMIT")
        assert len(shop("query", "FROM orders WHERE id = 90", "--json").json) == 1

    def test_query_changes_data_once(self, shop: Epoch) -> None:
        assert shop("query", "INSERT INTO orders VALUES (7, 'x', 1) RETURNING id", "--json").json == [{"id": 7}]
        assert shop("query", "SELECT count(*) AS n FROM orders", "--json").json == [{"n": 3}]

    @pytest.mark.parametrize("suffix", ["parquet", "csv"])
    def test_export(self, developed: Epoch, folder: Path, suffix: str) -> None:
        told = developed("export", "main", "orders", f"it's out.{suffix}")
        assert told.err == f"Wrote 2 rows of orders to it's out.{suffix}\n"
        with duckdb.connect() as other:
            found = other.execute(f"SELECT id, customer FROM '{folder}/it''s out.{suffix}' ORDER BY id").fetchall()
        assert found == [(1, "Ada"), (2, "Grace")]

    def test_export_keeps_digits_that_parquet_would_lose(
        self, shop: Epoch, change: Callable[[str], None], folder: Path
    ) -> None:
        change(
            "CREATE TABLE big AS SELECT 170141183460469231731687303715884105727::HUGEINT AS n, INTERVAL 1 SECOND AS i"
        )
        shop("commit", "-m", "Big")
        told = shop("export", "HEAD", "big", "big.parquet")
        assert "warning: column n is written as text" in told.err
        with duckdb.connect() as other:
            found = other.execute(f"FROM '{folder}/big.parquet'").fetchall()
        assert found == [("170141183460469231731687303715884105727", "00:00:01")]

    def test_export_to_another_suffix(self, shop: Epoch, folder: Path) -> None:
        assert "the suffix of x.txt is not one of .parquet" in shop("export", "HEAD", "orders", "x.txt", code=1).err
        assert not (folder / "x.txt").exists()


class TestUpkeep:
    def test_a_sound_repository(self, developed: Epoch) -> None:
        assert developed("fsck").err == "everything is sound\n"
        developed("gc", "--dry-run", "--grace", "0 seconds")
        developed("gc", "--json")
        developed("compact")
        developed("compact", "orders", "--json")
        assert developed("fsck").err == "everything is sound\n"
        assert len(developed("log", "--json").json) == 2

    def test_a_damaged_file_is_found(self, developed: Epoch, folder: Path) -> None:
        victim = max(
            (folder / ".epoch" / "objects").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size
        )
        victim.chmod(0o644)
        victim.write_bytes(victim.read_bytes()[:-1] + b"\0")
        told = developed("fsck", code=1)
        assert told.out
        assert "error: " in told.err

    def test_settings(self, shop: Epoch) -> None:
        shop("config", "set", "user.name", "Ada L")
        assert shop("config", "get", "user.name").out == "Ada L\n"
        assert {"user.name": "Ada L"}.items() <= {
            r["key"]: r["value"] for r in shop("config", "list", "--json").json
        }.items()
        shop("config", "unset", "user.name")
        shop("config", "get", "user.name", code=1)
