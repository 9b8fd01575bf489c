"""Many files of a folder at once: one sync for all of them, and nothing has its path before it is on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.remote import RemoteURL
from epoch_sql.storage.remote import folder
from epoch_sql.storage.remote.folder import FolderStore
from tests.conftest import MakeRepo


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setattr(folder, "_MANY", 3)
    made = FolderStore(RemoteURL("file", "", str(tmp_path / "store")))
    made.prepare()
    return made


@pytest.mark.parametrize("number", [2, 5])
def test_what_exists_stays_and_is_told(store: FolderStore, number: int, tmp_path: Path) -> None:
    paths = [f"trees/{n}.json" for n in range(number)]
    assert store.put_new(paths[1], b"first")
    assert store.put_every_new({path: path.encode() for path in paths}) == [paths[1]]
    assert [store.read(path) for path in paths] == [b"first" if n == 1 else p.encode() for n, p in enumerate(paths)]
    sources = {f"objects/{n:02}/{n}": tmp_path / f"{n}" for n in range(number)}
    for path, source in sources.items():
        source.write_text(path)
    sent: list[str] = []
    store.upload_every({path: lambda source=source: source for path, source in sources.items()}, sent.append)  # type: ignore[misc]
    assert sorted(sent) == sorted(sources)
    assert all(store.read(path) == path.encode() for path in sources)
    assert not list((store.folder / "incoming").iterdir())


def test_nothing_has_its_path_before_it_is_on_disk(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "sync_file_system", full)
    with pytest.raises(EpochRemoteError, match="No space left on device"):
        store.put_every_new({f"trees/{n}.json": b"{}" for n in range(5)})
    assert store.paths("trees") == []
    assert not list((store.folder / "incoming").iterdir())


def test_a_push_of_many_files_is_whole(make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_MANY", 3)
    repo = make_repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 1)")
    for number in range(5):
        repo("UPDATE orders SET amount = ?", number + 10)
        repo.commit()
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push('origin')")
    clone = make_repo("", name="clone.duckdb", init=False)
    clone("CALL epoch_clone(?)", str(tmp_path / "store"))
    assert clone("FROM orders") == [(1, 14)]
    assert clone("SELECT count(*) FROM epoch_log()") == repo("SELECT count(*) FROM epoch_log()")
    assert clone("FROM epoch_fsck()") == []
