"""How a store has its tables: base levels that versions share, and layouts that a push replaces while others read."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from epoch_sql.model.remote import seal
from epoch_sql.remote.connecting import store_at
from epoch_sql.storage import writing
from tests.conftest import MakeRepo, Repo, begun
from tests.remote.conftest import Clone, everything, history, sound
from tests.remote.forging import change_base
from tests.remote.test_kills import run

TABLES = """
CREATE TABLE keyed (id INTEGER PRIMARY KEY, v INTEGER, w DOUBLE);
INSERT INTO keyed SELECT i, i, i / 3 FROM range(1000) AS r(i);
CREATE TABLE composite (a VARCHAR, b DATE, v STRUCT(x INTEGER, y VARCHAR[]), PRIMARY KEY (a, b));
INSERT INTO composite SELECT 'k' || i % 7, DATE '2020-01-01' + CAST(i AS INTEGER), {x: i, y: ['a', NULL]} FROM range(500) AS r(i);
CREATE TABLE texts (name VARCHAR PRIMARY KEY, n HUGEINT); INSERT INTO texts SELECT 'name ' || i, i FROM range(300) AS r(i);
CREATE TABLE bag (line VARCHAR, n INTEGER); INSERT INTO bag SELECT 'line ' || i % 50, i % 3 FROM range(400) AS r(i)
"""
CHANGES = (
    "UPDATE keyed SET v = v + 1 WHERE id % 100 = {n}",
    "UPDATE composite SET v = {{x: {n}, y: []}} WHERE a = 'k{n}' AND b < '2020-03-01'",
    "UPDATE texts SET n = n - 1 WHERE name = 'name {n}'",
    "DELETE FROM bag WHERE line = 'line {n}'",
    "INSERT INTO bag VALUES ('new {n}', {n}), ('new {n}', {n})",
)


def change(repo: Repo, n: int) -> None:
    repo("; ".join(CHANGES).format(n=n))
    repo.commit(f"change {n}")


@begun(TABLES)
def changed(repo: Repo) -> None:
    for n in range(3):
        change(repo, n)


def levels(repo: Repo) -> dict[str, int]:
    """The number of levels of each table at HEAD."""
    return dict(
        repo(
            """SELECT t.object_name, len(v.level_ids) FROM epoch.commits AS c JOIN epoch.roots AS r USING (root_id)
            JOIN epoch.trees AS t ON list_contains(r.subtree_ids, t.subtree_id) JOIN epoch.versions AS v USING (version_id)
            WHERE c.commit_id = ?""",
            repo.head(),
        )
    )


@pytest.mark.slow
def test_a_compacted_layout_is_pushed(changed: Repo, clone: Clone, url: str) -> None:
    repo = changed
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    before = clone(url)
    wanted, rows, ids = history(repo), everything(repo), repo.tree()
    many = dict.fromkeys(levels(repo), 4)
    assert levels(repo) == levels(before) == many
    repo("CALL epoch_compact()")
    assert repo("SELECT objects FROM epoch_push()") == [(0,)]
    assert levels(clone(url)) == many, "a push says nothing of layouts unless it is asked to"
    sent = repo("SELECT status, objects FROM epoch_push(layout := true)")
    assert sent == [("up-to-date", 4)]
    assert repo("SELECT objects FROM epoch_push(layout := true)") == [(0,)]
    after = clone(url)
    assert levels(after) == dict.fromkeys(many, 1)
    # Whoever has a layout keeps it, and reads and goes on from it.
    before("CALL epoch_fetch()")
    assert levels(before) == many
    assert before("SELECT objects FROM epoch_push(layout := true)") == [(0,)], "more levels do not replace fewer"
    for one in (before, after):
        assert (history(one), everything(one), one.tree()) == (wanted, rows, ids)
    for n, one in enumerate((before, after, repo)):
        one("CALL epoch_pull()")
        change(one, 10 + n)
        one("CALL epoch_push()")
    for one in (before, after, repo):
        one("CALL epoch_pull()")
        assert sound(one)
    last = clone(url)
    for one in (before, after, last):
        assert (history(one), everything(one)) == (history(repo), everything(repo))
        assert one("SELECT count(*) FROM epoch_diff('HEAD~6', 'HEAD', 'keyed')") == [(60,)]
    assert sound(last)


def test_of_two_layouts_one_wins(url: str) -> None:
    store = store_at(url)
    store.prepare()
    assert store.read_current("versions/v.json") is None
    assert store.put_new("versions/v.json", b"1")
    first = store.read_current("versions/v.json")
    assert first and first.data == b"1"
    assert store.swap_current("versions/v.json", first.token, b"2")
    assert not store.swap_current("versions/v.json", first.token, b"3")
    assert store.swap_current("versions/v.json", first.token, b"2"), "an answer that was lost"
    second = store_at(url).read_current("versions/v.json")
    assert second and (second.data, store.put_new("versions/v.json", b"4")) == (b"2", False)
    assert store.swap_current("versions/v.json", second.token, b"3")
    last = store.read_current("versions/v.json")
    assert last and last.data == b"3"
    store.replace("versions/v.json", b"5")


def test_versions_share_the_list_of_files(
    make_repo: MakeRepo, tmp_path: Path, clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FILE_ROWS", 100)
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, i FROM range(2000) AS r(i)",
        fresh=True,
    )
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    for n in range(3):
        repo(f"UPDATE t SET v = v + 1 WHERE id = {n}")
        repo.commit()
        repo("CALL epoch_push()")
    store = tmp_path / "store"
    (base,) = (store / "levels").iterdir()
    assert len(json.loads(base.read_bytes())["files"]) == 20
    sizes = sorted(path.stat().st_size for path in (store / "versions").iterdir())
    assert len(sizes) == 4
    assert sizes[-1] < 2400
    assert everything(clone(str(store))) == everything(repo)
    # A linked worktree is told in the same way.
    repo("CALL epoch_worktree_add(?)", str(tmp_path / "linked"))
    repo("UPDATE t SET v = 0 WHERE id = 7")
    repo.commit()
    (there,) = (repo.path.parent / ".epoch/exchange/levels").iterdir()
    assert there.name == base.name
    (told,) = (repo.path.parent / ".epoch/exchange/versions").iterdir()
    assert told.stat().st_size < 2400


LIES = {
    "a file less": lambda files: files.pop(),
    "another number of rows": lambda files: files[0].update(row_count=files[0]["row_count"] - 1),
    "a file twice": lambda files: files.append(files[0]),
    "a field more": lambda files: files[0].update(more=1),
}


@pytest.mark.grid(every=3)
@pytest.mark.parametrize("lie", [*LIES, "another table's", "none", "damaged", "links out"])
def test_a_layout_that_lies_is_refused(changed: Repo, clone: Clone, tmp_path: Path, lie: str) -> None:
    repo, store = changed, tmp_path / "store"
    repo("CALL epoch_remote_add('origin', ?)", str(store))
    repo("CALL epoch_push()")
    repo("CALL epoch_compact()")
    repo("CALL epoch_push(layout := true)")
    replaced = sorted((store / "versions").glob("*.json.2"))
    assert len(replaced) == 4
    if lie in LIES:
        for path in replaced:
            change_base(path, LIES[lie])
    elif lie == "another table's":
        one, other = (json.loads(path.read_bytes())["content"] for path in replaced[:2])
        replaced[0].write_bytes(seal({**one, "base": other["base"]}))
    else:
        (level, *_) = [store / "levels" / f"{json.loads(p.read_bytes())['content']['base']}.json" for p in replaced]
        data = level.read_bytes()
        level.unlink()
        if lie == "damaged":
            level.write_bytes(data.replace(b'"row_count":', b'"row_count":1'))
        if lie == "links out":
            (tmp_path / "elsewhere").write_bytes(data)
            level.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(duckdb.Error, match=r"EpochStorageError|EpochRemoteError"):
        clone(str(store))


@pytest.mark.slow
def test_a_killed_push_of_a_layout_changes_nothing(changed: Repo, clone: Clone, tmp_path: Path) -> None:
    repo, url = changed, str(tmp_path / "store")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    wanted, rows = history(repo), everything(repo)
    repo("CALL epoch_compact()")
    repo.close()
    for last in (4, 9, 13, 15, 30):
        done, _ = run(repo.path, "CALL epoch_push(layout := true)", last)
        one = clone(url)
        assert (history(one), everything(one)) == (wanted, rows)
        if done:
            break
    else:
        raise AssertionError("it was always killed")
    assert last > 9
    assert levels(one) == dict.fromkeys(levels(one), 1)
    assert sound(one)
