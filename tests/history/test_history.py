"""``epoch_history`` and ``epoch_blame``: every version of every row once, through renames and merges."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tests.conftest import MakeRepo, Repo, Row, begun

ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, a VARCHAR, b INTEGER)"
BAG = "CREATE TABLE bag (x INTEGER, y VARCHAR)"


def history(repo: Repo, table: str = "orders", key: str | None = None) -> list[Row]:
    """(message, diff_type, columns…), newest first; rows of one commit are in order of the key."""
    return repo(
        f"SELECT string_split(l.message, chr(10))[1], h.* EXCLUDE (commit_id, committed_at, author) FROM epoch_history('{table}', key := ?) AS h "
        "JOIN epoch_log() AS l USING (commit_id)",
        key,
    )


def story(repo: Repo, table: str = "orders", key: str | None = None) -> set[Row]:
    found = history(repo, table, key)
    assert len(found) == len(set(found))
    return set(found)


def blame(repo: Repo, table: str = "orders") -> dict[Any, str]:
    columns = len(repo.columns(f"FROM epoch_blame('{table}')")) - 4
    rows = repo(f"FROM epoch_blame('{table}')")
    keys = [row[:columns] if columns > 1 else row[0] for row in rows]
    assert len(keys) == len(set(keys))
    return {key: row[-1] for key, row in zip(keys, rows, strict=True)}


def cells(repo: Repo, key: str, table: str = "orders") -> dict[str, tuple[str, str]]:
    rows = repo("SELECT column_name, value, message FROM epoch_blame_cells(?, ?)", table, key)
    return {column: (value, message) for column, value, message in rows}


def change(repo: Repo, message: str, *statements: str) -> None:
    for statement in statements:
        repo(statement)
    repo.commit(message)


@begun(f"{ORDERS}; INSERT INTO orders VALUES (1, 'x', 1), (2, 'y', 2)")
def line(repo: Repo) -> None:
    """A history without branches."""
    change(repo, "one", "UPDATE orders SET b = 10 WHERE id = 1")
    change(repo, "two", "DELETE FROM orders WHERE id = 2", "INSERT INTO orders VALUES (3, 'z', 3)")
    change(repo, "three", "ALTER TABLE orders RENAME TO sales")
    change(repo, "four", "ALTER TABLE sales ADD COLUMN c INTEGER DEFAULT 7")
    change(repo, "five", "UPDATE sales SET c = 8 WHERE id = 1", "ALTER TABLE sales RENAME COLUMN b TO amount")


def test_every_version_of_every_row(line: Repo) -> None:
    assert history(line, "sales") == [
        ("five", "modified", 1, "x", 10, 8),
        ("two", "removed", 2, "y", 2, 7),
        ("two", "added", 3, "z", 3, 7),
        ("one", "modified", 1, "x", 10, 7),
        ("Initial commit", "added", 1, "x", 1, 7),
        ("Initial commit", "added", 2, "y", 2, 7),
    ]
    assert [name for name, _ in line.columns("FROM epoch_history('sales')")] == [
        *("commit_id", "committed_at", "author", "diff_type", "id", "a", "amount", "c")
    ]
    assert line.columns("FROM epoch_history('sales')")[1][1] == "TIMESTAMP"


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("key", ["1", '{"id": 1}', '{"ID": "1"}'])
def test_the_versions_of_one_row(line: Repo, key: str) -> None:
    assert [row[0] for row in history(line, "sales", key)] == ["five", "one", "Initial commit"]
    assert history(line, "sales", "99") == []


def test_the_key_may_be_a_number(line: Repo) -> None:
    assert len(line("FROM epoch_history('sales', key := 2)")) == 2


def test_blame(line: Repo) -> None:
    assert blame(line, "sales") == {1: "five", 3: "two"}
    assert [name for name, _ in line.columns("FROM epoch_blame('sales')")] == [
        *("id", "commit_id", "author", "committed_at", "message")
    ]


COMPOSITE = 'CREATE TABLE c ("a b" VARCHAR, d DATE, v INTEGER, PRIMARY KEY ("a b", d))'
KEYS = {
    "c": [
        ('{"a b": "{\\"x\\": 1}", "d": "2020-01-31"}', 1),
        ('{"d": "2020-01-31", "A B": "it\'s"}', 1),
        ('{"d": "2020-02-01", "a b": "it\'s"}', 0),
    ],
    "j": [('{"x": 1}', 1), ('{"k": "{\\"x\\": 1}"}', 1), ("plain", 1), ("missing", 0)],
    "n": [("12345678901234567890.5", 1), ('{"n": 12345678901234567890.5}', 1), ("12345678901234567890.4", 0)],
}


@pytest.mark.parametrize("table", KEYS)
def test_keys_of_many_kinds(table: str, make_repo: MakeRepo) -> None:
    repo = make_repo(
        f"{COMPOSITE}; INSERT INTO c VALUES ('{{\"x\": 1}}', '2020-01-31', 1), ('it''s', '2020-01-31', 2);"
        "CREATE TABLE j (k VARCHAR PRIMARY KEY); INSERT INTO j VALUES ('{\"x\": 1}'), ('plain');"
        "CREATE TABLE n (n DECIMAL(30,1) PRIMARY KEY); INSERT INTO n VALUES (12345678901234567890.5)"
    )
    for key, count in KEYS[table]:
        assert len(history(repo, table, key)) == count


REFUSED = {
    "FROM epoch_history('order')": "EpochTableError: there is no table order in HEAD (hint: did you mean orders",
    "FROM epoch_blame('nope')": "EpochTableError: there is no table nope in HEAD (hint: FROM epoch_tables()",
    "FROM epoch_history('orders', key := 'x')": "EpochTableError: x is not a value of key column id INTEGER of table orders",
    "FROM epoch_history('orders', key := '{\"idd\": 1}')": "EpochTableError: idd is not a key column of table orders (hint: did",
    "FROM epoch_history('orders', key := '{}')": "EpochTableError: key column id of table orders is missing in {}",
    "FROM epoch_history('c', key := 'x')": "EpochTableError: the key of table c has 2 columns, but x is one value",
    "FROM epoch_history('c', key := '{\"d\": \"2020-01-01\"}')": "EpochTableError: key column a b of table c is missing",
    "FROM epoch_history('bag', key := 1)": "EpochTableError: table bag has no key",
    "FROM epoch_history('fresh')": "EpochTableError: there is no table fresh in HEAD",
}


def test_what_cannot_be_meant_is_refused(make_repo: MakeRepo) -> None:
    repo = make_repo(f"{ORDERS}; {BAG}; {COMPOSITE}")
    repo("CREATE TABLE fresh (a INTEGER)")
    for call, message in REFUSED.items():
        found = repo.refused(call)
        assert message in found
        assert "hint: " in found.splitlines()[0]


def test_hostile_names_generated_columns_and_every_row_of_a_bag(make_repo: MakeRepo) -> None:
    table = 'CREATE TABLE "We""ird. 🦆" (op VARCHAR, place INTEGER, copies INTEGER GENERATED ALWAYS AS (place * 2), commit_id INTEGER)'
    repo = make_repo(table)
    change(repo, "rows", "INSERT INTO \"We\"\"ird. 🦆\" VALUES ('added', 1, 2), ('added', 1, 2)")
    found = repo("FROM epoch_history(?)", 'We"ird. 🦆')
    assert [row[3:] for row in found] == [("added", "added", 1, 2, 2)] * 2
    assert [row[:3] for row in repo("FROM epoch_blame(?)", 'We"ird. 🦆')] == [("added", 1, 2)]


@begun(f"{ORDERS}; INSERT INTO orders VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)")
def forked(repo: Repo) -> None:
    """Branch dev changes rows 2 and 3 and adds 5, main changes rows 1 and 2 (other cells) and adds 4."""
    repo("CALL epoch_checkout('dev', new_branch := true)")
    change(repo, "dev", "UPDATE orders SET b = b + 20 WHERE id IN (2, 3)", "INSERT INTO orders VALUES (5, 'dev', 5)")
    repo("CALL epoch_checkout('main')")
    change(repo, "main", "UPDATE orders SET a = 'main' WHERE id IN (1, 2)", "INSERT INTO orders VALUES (4, 'main', 4)")


def test_a_merge_has_only_the_rows_that_it_made(forked: Repo) -> None:
    forked("CALL epoch_merge('dev', message := 'merge')")
    assert story(forked) == {
        ("merge", "modified", 2, "main", 22),
        ("main", "modified", 1, "main", 1),
        ("main", "modified", 2, "main", 2),
        ("main", "added", 4, "main", 4),
        ("dev", "modified", 2, "y", 22),
        ("dev", "modified", 3, "z", 23),
        ("dev", "added", 5, "dev", 5),
        *(("Initial commit", "added", n, a, n) for n, a in ((1, "x"), (2, "y"), (3, "z"))),
    }
    assert blame(forked) == {1: "main", 2: "merge", 3: "dev", 4: "main", 5: "dev"}
    assert {row[0] for row in story(forked, key="3")} == {"dev", "Initial commit"}


def test_each_cell_has_the_commit_that_set_it(forked: Repo) -> None:
    """Also below a merge that made the row of both sides' cells. Only what is decided by hand is the merge's."""
    forked("CALL epoch_merge('dev', message := 'merge')")
    assert cells(forked, "2") == {"id": ("2", "Initial commit"), "a": ("main", "main"), "b": ("22", "dev")}
    assert cells(forked, "3") == {"id": ("3", "Initial commit"), "a": ("z", "Initial commit"), "b": ("23", "dev")}
    assert cells(forked, "5") == {"id": ("5", "dev"), "a": ("dev", "dev"), "b": ("5", "dev")}
    change(forked, "away", "UPDATE orders SET b = 0 WHERE id = 2")
    change(forked, "back", "UPDATE orders SET b = 22 WHERE id = 2")
    forked("CALL epoch_branch('other')")
    change(forked, "left", "UPDATE orders SET a = 'left' WHERE id = 2")
    forked("CALL epoch_checkout('other')")
    change(forked, "right", "UPDATE orders SET a = 'right' WHERE id = 2")
    assert "EpochConflict" in forked.refused("CALL epoch_merge('main', message := 'by hand')")
    forked("CALL epoch_resolve('orders', key := '2', column_name := 'a', value := 'both')")
    forked("CALL epoch_merge_continue(message := 'by hand')")
    assert cells(forked, "2") == {"id": ("2", "Initial commit"), "a": ("both", "by hand"), "b": ("22", "back")}
    at = "SELECT message FROM epoch_blame_cells('orders', '{\"id\": 2}', ref := 'HEAD~3') WHERE column_name = 'b'"
    assert forked(at) == [("away",)]
    change(forked, "gone", "DELETE FROM orders WHERE id = 2")
    assert "there is no row 2 of orders in HEAD" in forked.refused("FROM epoch_blame_cells('orders', '2')")
    change(forked, "again", "INSERT INTO orders VALUES (2, 'both', 22)")
    assert {message for _, message in cells(forked, "2").values()} == {"again"}


def test_the_cells_of_a_renamed_table(line: Repo) -> None:
    found = cells(line, "1", "sales")
    assert found["a"] == ("x", "Initial commit") and found["amount"] == ("10", "one") and found["c"] == ("8", "five")


def test_a_table_that_came_with_a_merge(forked: Repo) -> None:
    forked("CALL epoch_checkout('dev')")
    change(
        forked,
        "made",
        "CREATE TABLE made (id INTEGER PRIMARY KEY, v INTEGER)",
        "INSERT INTO made VALUES (1, 1), (2, 2)",
    )
    change(forked, "later", "UPDATE made SET v = 5 WHERE id = 2")
    forked("CALL epoch_checkout('main')")
    forked("CALL epoch_merge('dev', message := 'merge')")
    change(forked, "after", "INSERT INTO made VALUES (3, 3)")
    assert story(forked, "made") == {
        ("after", "added", 3, 3),
        ("later", "modified", 2, 5),
        ("made", "added", 1, 1),
        ("made", "added", 2, 2),
    }
    assert blame(forked, "made") == {1: "made", 2: "later", 3: "after"}


def test_promotions_leave_the_original_commits(forked: Repo) -> None:
    for n in range(3):
        forked("CALL epoch_checkout('dev')")
        change(forked, f"dev {n}", f"UPDATE orders SET b = {100 + n} WHERE id = 3")
        forked("CALL epoch_checkout('main')")
        forked(f"CALL epoch_merge('dev', message := 'merge {n}')")
    assert blame(forked)[3] == "dev 2"
    assert [row[0] for row in history(forked, key="3")] == ["dev 2", "dev 1", "dev 0", "dev", "Initial commit"]


def test_a_merge_of_a_merge(forked: Repo) -> None:
    forked("CALL epoch_branch('production', start := 'main~1')")
    forked("CALL epoch_merge('dev', message := 'merge')")
    forked("CALL epoch_checkout('production')")
    change(forked, "production", "INSERT INTO orders VALUES (9, 'p', 9)")
    forked("CALL epoch_merge('main', message := 'promotion')")
    assert blame(forked) == {1: "main", 2: "merge", 3: "dev", 4: "main", 5: "dev", 9: "production"}
    assert not {row for row in story(forked) if row[0] == "promotion"}


def test_what_a_merge_brings_back_is_the_merges(forked: Repo) -> None:
    forked("CALL epoch_merge('dev', message := 'merge')")
    forked("CALL epoch_revert('HEAD')")
    undone = forked.one("SELECT string_split(message, chr(10))[1] FROM epoch_log(max_count := 1)")
    forked("CALL epoch_merge('dev', message := 'again')")
    assert [row[:2] for row in history(forked, key="5")] == [("again", "added"), (undone, "removed"), ("dev", "added")]
    assert blame(forked)[5].startswith("again")


def test_copies_of_rows_are_counted_once(make_repo: MakeRepo) -> None:
    repo = make_repo(f"{BAG}; INSERT INTO bag VALUES (1, 'a'), (2, NULL), (2, NULL)")
    repo("CALL epoch_checkout('dev', new_branch := true)")
    change(repo, "dev", "INSERT INTO bag VALUES (1, 'a'), (3, 'c')", "DELETE FROM bag WHERE x = 2")
    repo("CALL epoch_checkout('main')")
    change(
        repo,
        "main",
        "INSERT INTO bag VALUES (1, 'a')",
        "DELETE FROM bag WHERE rowid IN (SELECT rowid FROM bag WHERE x = 2 LIMIT 1)",
    )
    assert "2 conflicts in bag" in repo.refused("CALL epoch_merge('dev', message := 'merge')")
    repo("CALL epoch_resolve(side := 'both')")
    repo("CALL epoch_merge_continue()")
    assert Counter(history(repo, "bag")) == Counter(
        {
            ("main", "added", 1, "a"): 1,
            ("main", "removed", 2, None): 1,
            ("dev", "added", 1, "a"): 1,
            ("dev", "added", 3, "c"): 1,
            ("dev", "removed", 2, None): 2,
            ("Initial commit", "added", 1, "a"): 1,
            ("Initial commit", "added", 2, None): 2,
        }
    )
    assert blame(repo, "bag") == {(1, "a"): "main", (3, "c"): "dev"}


def test_tables_built_anew_keep_their_history(make_repo: MakeRepo) -> None:
    repo = make_repo(f"{ORDERS}; INSERT INTO orders VALUES (1, 'x', 1), (2, 'y', 2)")
    change(repo, "text", "ALTER TABLE orders ALTER COLUMN b TYPE VARCHAR", "UPDATE orders SET b = 'n' WHERE id = 2")
    change(repo, "gone", "DROP TABLE orders")
    change(
        repo,
        "back",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, a VARCHAR, b VARCHAR)",
        "INSERT INTO orders VALUES (1, 'x', '1')",
    )
    found = [row[:3] for row in history(repo) if row[0] != "text"]
    assert found == [
        ("back", "added", 1),
        ("gone", "removed", 1),
        ("gone", "removed", 2),
        ("Initial commit", "added", 1),
        ("Initial commit", "added", 2),
    ]
    assert ("text", "modified", 2, "y", "n") in history(repo)
    assert blame(repo) == {1: "back"}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_history_holds_each_difference_once(seed: int, make_repo: MakeRepo) -> None:
    repo = make_repo(
        f"{ORDERS}; {BAG}; INSERT INTO orders SELECT i, 'x', i FROM range(8) AS r(i); INSERT INTO bag VALUES (1, 'a')"
    )
    wander(repo, random.Random(seed))
    for table, columns in (("orders", "id, a, b"), ("bag", "x, y")):
        listed = Counter(repo(f"SELECT commit_id, diff_type, {columns} FROM epoch_history('{table}')"))
        by_commit = {
            c: Counter({row[1:]: n for row, n in listed.items() if row[0] == c}) for c in {row[0] for row in listed}
        }
        for commit_id, parents in repo("SELECT commit_id, parents FROM epoch_log()"):
            found = by_commit.get(commit_id, Counter())
            expected = differences(repo, parents[0] if parents else None, commit_id, table, columns)
            if len(parents) == 1:
                assert found == expected
            assert found <= expected
    for row in repo("SELECT commit_id, b.id, o.a, o.b FROM epoch_blame('orders') AS b JOIN orders AS o USING (id)"):
        assert repo(
            "SELECT count(*) FROM epoch_history('orders', key := ?) WHERE commit_id = ? AND diff_type <> 'removed' "
            "AND a = ? AND b = ?",
            str(row[1]),
            row[0],
            row[2],
            row[3],
        ) == [(1,)]
    assert {row[0] for row in repo("SELECT id FROM epoch_blame('orders')")} == {
        row[0] for row in repo("SELECT id FROM orders")
    }
    balance = repo(
        "SELECT x, y, sum(CASE diff_type WHEN 'added' THEN 1 ELSE -1 END) AS n FROM epoch_history('bag') GROUP BY ALL HAVING n <> 0"
    )
    assert set(balance) == set(repo("SELECT x, y, count(*) FROM bag GROUP BY ALL"))


def differences(repo: Repo, old: str | None, new: str, table: str, columns: str) -> Counter[Row]:
    if old is None:
        return Counter(("added", *row) for row in repo(f"FROM epoch_at('{new}', '{table}')"))
    names = columns.split(", ")
    value = ", ".join(f"CASE diff_type WHEN 'removed' THEN from_{name} ELSE to_{name} END" for name in names)
    return Counter(repo(f"SELECT diff_type, {value} FROM epoch_diff('{old}', '{new}', table_name := '{table}')"))


def wander(repo: Repo, chance: random.Random) -> None:
    """Commits on two branches that merge each other."""
    repo("CALL epoch_branch('dev')")
    for n in range(10):
        branch = chance.choice(["main", "dev"])
        repo("CALL epoch_checkout(?)", branch)
        if n % 4 == 3:
            other = "dev" if branch == "main" else "main"
            repo(f"CALL epoch_merge('{other}', strategy := '{chance.choice(['ours', 'theirs'])}')")
            continue
        for _ in range(3):
            key, value = chance.randint(0, 11), chance.randint(0, 3)
            repo(
                chance.choice(
                    [
                        f"UPDATE orders SET a = 'a{value}' WHERE id = {key}",
                        f"UPDATE orders SET b = {value} WHERE id = {key}",
                        f"DELETE FROM orders WHERE id = {key}",
                        f"INSERT OR IGNORE INTO orders VALUES ({key}, 'n{value}', {value})",
                        f"INSERT INTO bag VALUES ({value}, NULL)",
                        f"DELETE FROM bag WHERE rowid IN (SELECT rowid FROM bag WHERE x = {value} LIMIT 1)",
                    ]
                )
            )
        repo("CALL epoch_commit('change', allow_empty := true)")
