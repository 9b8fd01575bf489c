"""A store is somebody else's folder: no link in it leads a push, fetch or clone out of it, and what is no file ends none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, sound

OLD = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def shop(make_repo: MakeRepo, store: Path) -> Repo:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", str(store))
    repo("CALL epoch_push()")
    return repo


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.grid(every=4)
@pytest.mark.parametrize(
    "place",
    [
        "incoming",
        "objects",
        "objects/??",
        "versions",
        "trees",
        "schemas",
        "commits",
        "refs",
        "refs/heads",
        "refs/heads/main",
    ],
)
def test_no_link_leads_out_of_the_store(shop: Repo, store: Path, tmp_path: Path, place: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("thesis.txt", "0" * 32, "1", f"{'ab' * 32}.json"):
        (home / name).write_text("years of work")
        os.utime(home / name, OLD)
    before = everything_in(home)
    shop("UPDATE orders SET note = 'new'; CALL epoch_commit('x')")
    # The folders of the files that a push writes are not all there yet.
    places = [store / f"objects/{n:02x}" for n in range(256)] if "?" in place else [store / place]
    for folder in places:
        shutil.rmtree(folder, ignore_errors=True)
        folder.symlink_to(home)
    told = shop.refused("CALL epoch_push()")
    assert "EpochRemoteError" in told and "is a link" in told, told
    assert str(places[0])[:-2] in told
    assert everything_in(home) == before


@pytest.mark.grid(every=5)
@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "endless"])
@pytest.mark.parametrize("what", ["epoch.json", "commits", "trees", "schemas", "versions", "objects", "refs"])
def test_what_is_no_file_is_refused_by_name(shop: Repo, store: Path, tmp_path: Path, what: str, kind: str) -> None:
    found = store / what
    path = found if found.is_file() else next(p for p in sorted(found.rglob("*")) if p.is_file())
    elsewhere = path.rename(tmp_path / "elsewhere")
    {
        "link": lambda: path.symlink_to(elsewhere),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "endless": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    empty = Repo(tmp_path / "empty.duckdb")
    told = empty.refused("CALL epoch_clone(?)", str(store))
    empty.close()
    assert "EpochRemoteError" in told or "EpochStorageError" in told, told
    assert path.name in told or str(path.parent) in told or str(store) in told
    assert not (tmp_path / ".epoch").exists()


def test_a_document_that_is_too_large_is_not_read(shop: Repo, store: Path, tmp_path: Path) -> None:
    path = next((store / "commits").iterdir())
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)
    empty = Repo(tmp_path / "empty.duckdb")
    assert f"{path} at the remote is too large" in empty.refused("CALL epoch_clone(?)", str(store))
    empty.close()


def test_the_store_itself_may_be_reached_by_a_link(shop: Repo, store: Path, tmp_path: Path, clone: Clone) -> None:
    (tmp_path / "mounted").symlink_to(store)
    assert sound(clone(str(tmp_path / "mounted")))


def test_only_what_pushes_left_is_removed_from_incoming(shop: Repo, store: Path) -> None:
    left, other = store / "incoming" / ("a" * 32), store / "incoming" / "notes.txt"
    for path in (left, other):
        path.write_text("x")
        os.utime(path, OLD)
    shop("UPDATE orders SET note = 'new'; CALL epoch_commit('x'); CALL epoch_push()")
    assert not left.exists() and other.exists()
