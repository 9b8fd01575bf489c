"""kill -9 at any moment leaves both worktrees usable, and nothing of either is lost.

What a killed process leaves is what lies on the disk at that moment: so the disk is copied at chosen moments of a call,
and each copy is put in the place of the original.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import epoch_sql
from tests.conftest import MakeRepo, Repo

SHOP = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders SELECT i, i FROM range(50) r(i)"
)
_HERE = ("/epoch_sql/linked/", "exchange.py", "/guard/moves.py", "/extension/performing.py", "/epoch_sql/config.py")


def killed(folder: Path, call: Callable[[], object], wanted: int) -> list[Path]:
    """Copies of a folder at moments of a call, as a kill would leave it there."""
    total = _moments(call, lambda _: None, folder, again=True)
    chosen = {1 + k * (total - 1) // (wanted - 1) for k in range(wanted)}
    copies: list[Path] = []

    def copy(moment: int) -> None:
        if moment in chosen:
            copies.append(folder.with_name(f"{folder.name}-{moment}"))
            shutil.copytree(folder, copies[-1])

    _moments(call, copy, folder, again=False)
    return copies


def _moments(call: Callable[[], object], at: Callable[[int], None], folder: Path, again: bool) -> int:
    """Does something before each step of a call; ``again`` puts the folder back afterwards."""
    kept = folder.with_name("kept")
    if again:
        shutil.copytree(folder, kept)
    moment = 0

    def step(frame: Any, event: str, _: Any) -> None:
        nonlocal moment
        if event in ("call", "c_call") and any(part in frame.f_code.co_filename for part in _HERE):
            moment += 1
            sys.setprofile(None)
            at(moment)
            sys.setprofile(step)

    sys.setprofile(step)
    try:
        call()
    finally:
        sys.setprofile(None)
    if again:
        shutil.rmtree(folder)
        kept.rename(folder)
    return moment


def act(database: Path, verb: str, *arguments: Any, sql: str = "", **options: Any) -> None:
    """A verb in a repository of its own."""
    with epoch_sql.open(database) as repository:
        if sql:
            repository.connection.execute(sql)
        getattr(repository, verb)(*arguments, **options)


CALLS: dict[str, Callable[[Path], object]] = {
    "add": lambda place: act(place / "shop" / "shop.duckdb", "worktree_add", str(place / "second")),
    "commit there": lambda place: act(
        place / "nightly" / "shop.duckdb", "commit", "again", sql="INSERT INTO orders VALUES (3000, 3)"
    ),
    "take in": lambda place: act(place / "shop" / "shop.duckdb", "merge", "nightly"),
    "remove": lambda place: act(place / "shop" / "shop.duckdb", "worktree_remove", str(place / "nightly")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_kill_leaves_both_usable(make_repo: MakeRepo, tmp_path: Path, name: str) -> None:
    place = tmp_path / "place"
    repo = make_repo(SHOP)
    repo.close()
    shutil.copytree(repo.path.parent, place / "shop")
    act(place / "shop" / "shop.duckdb", "worktree_add", str(place / "nightly"))
    act(place / "nightly" / "shop.duckdb", "commit", "night", sql="INSERT INTO orders VALUES (1000, 1)")
    act(place / "shop" / "shop.duckdb", "commit", "day", sql="INSERT INTO orders VALUES (2000, 2)")
    for copy in killed(place, lambda: CALLS[name](place), 5):
        shutil.rmtree(place)
        copy.rename(place)
        works(place)


def works(place: Path) -> None:
    """Both are sound, go on, and have all that was committed; then one is removed, and nothing is lost by that."""
    main, nightly = place / "shop" / "shop.duckdb", place / "nightly" / "shop.duckdb"
    shop = Repo(main)
    known = [row[0] for row in shop("SELECT path FROM epoch_worktrees()")]
    assert not shop("FROM epoch_fsck()")
    if str(nightly) in known:
        there = Repo(nightly)
        assert not there("FROM epoch_fsck()")
        there("INSERT INTO orders VALUES (4000, 4)")
        there.commit("after the kill")
        there.close()
        assert shop.one("SELECT count(*) FROM epoch_at('main', 'orders') WHERE id = 2000") == 1
    for path in known:
        if path != str(main):
            shop("CALL epoch_worktree_remove(?)", path)
    shop("CALL epoch_gc(grace := '0 days')")
    assert not shop("FROM epoch_fsck()")
    shop("CALL epoch_merge('nightly')")
    keys = [key for (key,) in shop("SELECT id FROM orders WHERE id >= 1000 ORDER BY id")]
    assert set(keys) >= {1000, 2000} | ({4000} if str(nightly) in known else set())
    shop.close()
    act(main, "worktree_add", str(place / "third"))
    assert not Repo(place / "third" / "shop.duckdb")("FROM epoch_status()")
