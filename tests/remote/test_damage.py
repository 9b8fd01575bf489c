"""Damage at a remote is found by a fetch, named, and changes nothing here; what is no store, or another's, is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from epoch_sql.model.remote import seal
from epoch_sql.storage.remote.folder import FolderStore
from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, everything, sound
from tests.remote.forging import change_base


@pytest.fixture
def shop(make_repo: MakeRepo, tmp_path: Path) -> Repo:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    return repo


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def lost(path: Path) -> None:
    path.unlink()


@pytest.mark.slow
def test_every_kind_of_damage_is_found(shop: Repo, clone: Clone, tmp_path: Path) -> None:
    store = tmp_path / "store"
    other = clone(str(store))
    before = {path for path in store.rglob("*") if path.is_file()}
    shop("ALTER TABLE orders ADD COLUMN paid BOOLEAN; UPDATE orders SET paid = true WHERE id < 9")
    shop.commit("more")
    shop("CALL epoch_push()")
    new = sorted(path for path in store.rglob("*") if path.is_file() and path not in before)
    assert {path.relative_to(store).parts[0] for path in new} == {
        "objects",
        "schemas",
        "trees",
        "versions",
        "commits",
        "refs",
    }
    head, rows = other.head(), everything(other)
    for path in new:
        whole = path.read_bytes()
        reference = path.relative_to(store).parts[0] == "refs"
        named = path.parent.name if reference else path.name
        damages: list[Callable[[Path], None]] = [flipped, truncated] if reference else [flipped, truncated, lost]
        for damage in damages:
            damage(path)
            told = other.refused("CALL epoch_pull()")
            assert "EpochStorageError" in told, (path, damage)
            assert named in told and ("corrupted" in told or "missing" in told), told
            path.write_bytes(whole)
    assert (other.head(), everything(other)) == (head, rows)
    assert other("FROM epoch_status()") == []
    other("CALL epoch_pull()")
    assert everything(other) == everything(shop) and sound(other)


def test_a_damaged_file_of_this_side_is_not_pushed(shop: Repo, tmp_path: Path) -> None:
    shop("UPDATE orders SET amount = 3; CALL epoch_commit('x')")
    (file,) = (
        shop.path.parent / ".epoch" / "objects" / row[0][:2] / f"{row[0]}.parquet"
        for row in shop("SELECT file_id FROM epoch.files ORDER BY bytes DESC LIMIT 1")
    )
    pushed = tmp_path / "store" / "objects" / file.parent.name / file.name
    pushed.unlink(missing_ok=True)
    flipped(file)
    assert "so it cannot be pushed" in shop.refused("CALL epoch_push()")
    assert not pushed.exists()


@pytest.mark.slow
def test_a_truncated_object_is_sent_again(shop: Repo, tmp_path: Path, clone: Clone) -> None:
    """An upload to a share that was cut off by something else than Epoch."""
    shop("UPDATE log SET n = n + 1; CALL epoch_commit('x')")
    shop("CALL epoch_branch('side')")
    store = tmp_path / "store"
    before = set(store.rglob("*.parquet"))
    shop("CALL epoch_push()")
    (fresh, *_) = set(store.rglob("*.parquet")) - before
    truncated(fresh)
    (store / "refs" / "heads" / "main" / "2").unlink()
    levels = [path.stem for path in store.glob("levels/*") if fresh.stem in path.read_text()]
    for path in store.glob("versions/*"):
        if any(named in path.read_text() for named in (fresh.stem, *levels)):
            path.unlink()
    shop("CALL epoch_remote_remove('origin')")
    shop("CALL epoch_remote_add('origin', ?)", str(store))
    shop("CALL epoch_push()")
    assert sound(clone(str(store)))


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(
    "hostile",
    [
        {"file_id": "../../../../escaped"},
        {"schema_id": "../escaped"},
        {"bytes": -1},
        {"file_id": None},
        {"row_count": "many"},
        {"unknown": 1},
    ],
)
def test_what_a_store_says_is_not_believed(
    shop: Repo, tmp_path: Path, clone: Clone, hostile: dict[str, object]
) -> None:
    """Documents whose hashes are right, and whose content is not."""
    (path, *_) = sorted((tmp_path / "store" / "versions").iterdir())
    change_base(path, lambda files: files[0].update(hostile))
    empty = Repo(tmp_path / "empty.duckdb")
    told = empty.refused("CALL epoch_clone(?)", str(tmp_path / "store"))
    assert "EpochStorageError" in told
    assert not list(tmp_path.rglob("escaped*"))
    assert not (tmp_path / ".epoch").exists()
    assert empty("FROM duckdb_tables()") == []
    empty.close()


def test_a_commit_with_another_content_is_refused(shop: Repo, tmp_path: Path, clone: Clone) -> None:
    store = tmp_path / "store"
    shop("UPDATE orders SET amount = 3 WHERE id = 1; CALL epoch_commit('x'); CALL epoch_push()")
    first, second = (store / "commits" / f"{row[0]}.json" for row in shop("SELECT commit_id FROM epoch_log()"))
    one, other = (json.loads(path.read_text())["content"] for path in (first, second))
    first.write_bytes(seal({**one, "subtrees": other["subtrees"]}))
    empty = Repo(tmp_path / "empty.duckdb")
    assert "does not hold the content that it names" in empty.refused("CALL epoch_clone(?)", str(store))
    empty.close()


def test_what_is_no_store_of_this_repository_is_refused_by_name(
    shop: Repo, make_repo: MakeRepo, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    stranger = make_repo("CREATE TABLE t (i INTEGER)", name="bank.duckdb")
    stranger("CALL epoch_remote_add('origin', ?)", str(store))
    files = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    for call in ("epoch_push()", "epoch_push(force := true)", "epoch_fetch()", "epoch_pull()"):
        told = stranger.refused(f"CALL {call}")
        assert "is the store of another repository, shop.duckdb" in told and "this is bank.duckdb" in told
        assert "unrelated" in told
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == files

    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    stranger("CALL epoch_remote_add('full', ?)", str(full))
    assert "is not empty, and no Epoch store" in stranger.refused("CALL epoch_push(remote := 'full')")
    assert "there is no Epoch store at" in stranger.refused("CALL epoch_fetch(remote := 'full')")
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]

    header = store / "epoch.json"
    fields = json.loads(header.read_text())["content"]
    header.write_bytes(seal({**fields, "format": 2}))
    assert "was written by a newer Epoch" in shop.refused("CALL epoch_push()")
    header.unlink()
    assert f"the store that was at {store} is gone" in shop.refused("CALL epoch_push()")


@pytest.mark.slow
def test_a_store_that_was_restored_from_a_backup(shop: Repo, clone: Clone, tmp_path: Path) -> None:
    """It lacks what was pushed since, although this side remembers having pushed it."""
    store, backup = tmp_path / "store", tmp_path / "backup"
    shop("CALL epoch_branch('side')")
    shutil.copytree(store, backup)
    shop("UPDATE orders SET amount = 3; CALL epoch_commit('lost'); CALL epoch_push()")
    shutil.rmtree(store)
    backup.rename(store)
    shop("CALL epoch_checkout('next', new_branch := true); UPDATE log SET n = 8; CALL epoch_commit('next')")
    shop("CALL epoch_push()")
    copy = clone(str(store))
    assert everything(copy, "next") == everything(shop, "next") and sound(copy)
    assert shop("SELECT status FROM epoch_push(branch := 'main')") == [("pushed",)]


def test_a_clone_needs_an_empty_database(shop: Repo, tmp_path: Path) -> None:
    for sql in ("CREATE TABLE mine (i INTEGER)", "DROP TABLE mine; CREATE VIEW mine AS SELECT 1"):
        full = Repo(tmp_path / "full.duckdb")
        full(sql)
        assert "is not empty: it has mine" in full.refused("CALL epoch_clone(?)", str(tmp_path / "store"))
        full.close()
    assert "has an Epoch repository already" in shop.refused("CALL epoch_clone(?)", str(tmp_path / "store"))


def test_a_detached_checkout_names_no_branch_to_push(shop: Repo) -> None:
    shop("CALL epoch_tag('v1'); CALL epoch_checkout('v1')")
    assert "name the branch to push (hint: CALL epoch_push('origin', 'BRANCH'))" in shop.refused("CALL epoch_push()")


def test_a_store_that_ignores_conditions_is_refused(
    make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some servers of the S3 protocol do: a push to one could undo another one's."""
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    put_new = FolderStore.put_new
    monkeypatch.setattr(FolderStore, "put_new", lambda self, path, data: put_new(self, path, data) or True)
    for _ in range(2):
        assert "two pushes at once could lose one" in repo.refused("CALL epoch_push()")


def test_the_same_ids_with_an_unrelated_history_are_refused(shop: Repo, make_repo: MakeRepo, tmp_path: Path) -> None:
    """Two databases that claim to be one repository."""
    stranger = make_repo("CREATE TABLE t (i INTEGER)")
    stranger("UPDATE epoch.state SET repository_id = ?", shop.one("SELECT repository_id FROM epoch.state"))
    stranger.reopen()
    stranger("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    assert "a history that is unrelated" in stranger.refused("CALL epoch_fetch()")
    assert "has commits that are not here" in stranger.refused("CALL epoch_push()")
