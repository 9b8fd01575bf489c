"""A gc of a store removes what nothing reaches, and nothing that somebody needs, whatever else happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from epoch_sql.model.remote import seal
from epoch_sql.remote import collecting, garbage
from epoch_sql.remote.connecting import store_at
from epoch_sql.storage.remote.base import RemoteStore
from tests.conftest import Repo, begun
from tests.remote.conftest import SHOP, Clone, everything, history, sound
from tests.remote.test_kills import run

GC = "SELECT kind, path, status FROM epoch_remote_gc(grace := '1 day') ORDER BY ALL"
_FOLDERS = ("commits", "trees", "versions", "levels", "schemas", "objects")


@begun(SHOP)
def shop(repo: Repo) -> None:
    repo("CALL epoch_branch('side'); CALL epoch_checkout('side')")
    repo("UPDATE orders SET note = 'side' WHERE id < 5; CREATE TABLE aside (x INTEGER); INSERT INTO aside VALUES (1)")
    repo.commit("aside")
    repo("CALL epoch_checkout('main')")


@pytest.fixture
def pushed(shop: Repo, url: str) -> Repo:
    """A store in which nothing reaches what branch side had."""
    shop("CALL epoch_remote_add('origin', ?)", url)
    shop("CALL epoch_push(); CALL epoch_push('origin', 'side')")
    shop("CALL epoch_push(branch := 'side', delete := true)")
    return shop


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Lets days pass, for gc and for the notes of garbage."""
    passed = timedelta()
    real = garbage.now

    def now() -> datetime:
        return real() + passed

    def wait(days: float) -> None:
        nonlocal passed
        passed += timedelta(days=days)

    monkeypatch.setattr(garbage, "now", now)
    monkeypatch.setattr(collecting, "now", now)
    yield wait


def paths(url: str) -> set[str]:
    store = store_at(url)
    return {path for folder in _FOLDERS for path in store.sizes(folder)}


def test_what_nothing_reaches_is_removed_after_a_while(
    pushed: Repo, url: str, clone: Clone, later: Callable[[float], None]
) -> None:
    repo, before = pushed, paths(url)
    rows = everything(repo)
    listed = repo("SELECT kind, status, bytes > 0 FROM epoch_remote_gc(dry_run := true) ORDER BY ALL")
    kinds = ["commit", "file", "file", "level", "schema", "tree", "version", "version"]
    assert {row[1:] for row in listed} == {("noted", True)}
    assert {row[0] for row in listed} == {*kinds}
    noted = repo(GC)
    assert {row[2] for row in noted} == {"noted"}
    assert paths(url) == before
    later(0.5)
    assert repo(GC) == noted
    later(0.6)
    assert {
        row[2] for row in repo("SELECT kind, path, status FROM epoch_remote_gc(dry_run := true, grace := '1 day')")
    } == {"removed"}
    assert paths(url) == before
    assert [row[:2] for row in repo(GC)] == [row[:2] for row in noted]
    assert paths(url) == before - {row[1] for row in noted}
    assert repo(GC) == []
    other = clone(url)
    assert (everything(other), sound(other)) == (rows, True)
    # What was removed is sent again when it is needed again.
    repo("CALL epoch_push('origin', 'side')")
    assert paths(url) == before
    assert everything(clone(url), "side") == everything(repo, "side")


def test_what_was_noted_and_is_needed_again_stays(
    pushed: Repo, url: str, clone: Clone, later: Callable[[float], None]
) -> None:
    repo, before = pushed, paths(url)
    assert {row[2] for row in repo(GC)} == {"noted"}
    assert repo("SELECT objects FROM epoch_push('origin', 'side')") == [(0,)], "it was there, and is not sent again"
    later(2)
    assert repo(GC) == []
    assert paths(url) >= before
    assert everything(clone(url), "side") == everything(repo, "side")


def test_a_tag_and_a_review_keep_what_they_name(
    shop: Repo, url: str, clone: Clone, later: Callable[[float], None]
) -> None:
    shop("CALL epoch_remote_add('origin', ?)", url)
    shop("CALL epoch_push(); CALL epoch_tag('kept', 'side'); CALL epoch_push('origin', 'side', tags := true)")
    shop("CALL epoch_push(branch := 'side', delete := true)")
    shop("CALL epoch_branch('looked', 'main'); CALL epoch_checkout('looked')")
    shop("INSERT INTO log VALUES (77)")
    shop.commit("looked at")
    shop("CALL epoch_review('looked', 'main', 'request')")
    shop("CALL epoch_push('origin', 'looked'); CALL epoch_push(branch := 'looked', delete := true)")
    for _ in range(2):
        assert shop(GC) == []
        later(20)
    assert everything(clone(url), "kept") == everything(shop, "side")


def test_a_layout_that_was_replaced(shop: Repo, url: str, clone: Clone, later: Callable[[float], None]) -> None:
    shop("CALL epoch_remote_add('origin', ?); ", url)
    shop("CALL epoch_push('origin', 'side')")
    old = clone(url)
    shop("CALL epoch_checkout('side'); CALL epoch_compact(); CALL epoch_push(layout := true)")
    noted = shop(GC)
    # What the version before the last one has is still needed, so only what the last one alone had is not.
    assert {row[0] for row in noted} <= {"file", "level"}
    later(2)
    shop(GC)
    for one in (old, clone(url)):
        assert everything(one) == everything(shop)
        assert sound(one)


def test_what_is_not_understood_stays(pushed: Repo, url: str, later: Callable[[float], None]) -> None:
    store = store_at(url)
    for path in ("objects/aa/readme.txt", "commits/note.json", "versions/x.json.bak", "else/what.json"):
        store.put_new(path, b"mine")
    later(3)
    pushed(GC)
    later(3)
    assert pushed(GC)
    for path in ("objects/aa/readme.txt", "commits/note.json", "versions/x.json.bak", "else/what.json"):
        assert store.read(path) == b"mine"


def test_what_is_wrong_changes_nothing(pushed: Repo, url: str) -> None:
    repo, before, store = pushed, paths(url), store_at(url)
    assert "too short" in repo.refused("CALL epoch_remote_gc(grace := '59 minutes')")
    assert "not an interval" in repo.refused("CALL epoch_remote_gc(grace := 'soon')")
    assert "negative" in repo.refused("CALL epoch_remote_gc(grace := '-1 day')")
    assert "there is no remote far" in repo.refused("CALL epoch_remote_gc('far')")
    assert garbage.read_note(store) == garbage.Note()
    assert paths(url) == before


def damage(store: RemoteStore, path: str) -> bytes:
    data = store.read(path)
    assert data
    store.replace(path, data[:-3])
    return data


@pytest.mark.parametrize("kind", ["commits", "trees", "versions", "levels"])
def test_a_damaged_store_is_left_as_it_is(
    shop: Repo, tmp_path: Path, kind: str, later: Callable[[float], None]
) -> None:
    url = str(tmp_path / "store")
    shop("CALL epoch_remote_add('origin', ?)", url)
    shop("CALL epoch_push()")
    reachable = paths(url)
    shop("CALL epoch_push('origin', 'side'); CALL epoch_push(branch := 'side', delete := true)")
    shop(GC)
    later(2)
    before, store = paths(url), store_at(url)
    (path, *_) = (path for path in sorted(reachable) if path.startswith(kind))
    whole = damage(store, path)
    assert "EpochStorageError" in shop.refused("CALL epoch_remote_gc(grace := '1 day')")
    assert paths(url) == before
    store.remove(path)
    assert "is missing" in shop.refused("CALL epoch_remote_gc(grace := '1 day')")
    assert paths(url) == before - {path}
    store.replace(path, whole)
    # The note says that nothing is being removed, so that a push goes on.
    shop("CALL epoch_push('origin', 'side')")
    assert shop(GC) == []


def test_a_note_that_lies_is_not_believed(pushed: Repo, url: str, clone: Clone, later: Callable[[float], None]) -> None:
    store, before = store_at(url), paths(url)
    repo = pushed
    dead = {row[1] for row in repo(GC)}
    note = garbage.read_note(store)
    since = datetime(2020, 1, 1)
    lies = dict.fromkeys((*(before - dead), "epoch.json", "refs/heads/main", "../../elsewhere"), since)
    assert garbage.write_note(store, garbage.Note(note.token, lies))
    assert {row[2] for row in repo(GC)} == {"noted"}
    assert paths(url) == before
    token = garbage.read_note(store).token
    for wrong in ({"paths": {}}, {"paths": [], "removing": None, "run_id": "0" * 32}):
        assert store.swap("garbage", token, seal(wrong))
        assert "garbage at the remote does not say what it should" in repo.refused("CALL epoch_remote_gc()")
        repo("INSERT INTO log VALUES (1); CALL epoch_commit('more')")
        assert "garbage at the remote does not say what it should" in repo.refused("CALL epoch_push()")
        token = store.read_reference("garbage").token  # type: ignore[union-attr]


def between(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, then: Callable[[], object], nth: int = 1) -> list[int]:
    """Do something before a function is called for the nth time. Gives the number of calls."""
    real, calls = getattr(of, name), [0]

    def called(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth:
            then()
        return real(*arguments, **more)

    monkeypatch.setattr(of, name, called)
    return calls


@pytest.mark.slow
def test_a_push_that_runs_at_the_same_time(
    pushed: Repo, url: str, clone: Clone, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    """gc at each moment of a push that needs what is noted: before it takes that off the note, and after."""
    from epoch_sql.remote import pushing, sending

    repo, other = pushed, clone(url)
    repo(GC)
    later(2)
    wanted = everything(repo, "side")
    for of, name in ((sending, "keep"), (sending, "_send_files"), (pushing, "write_reference")):
        with monkeypatch.context() as at:
            calls = between(at, of, name, lambda: other(GC))
            try:
                repo("CALL epoch_push('origin', 'side')")
            except duckdb.Error as error:
                # gc was first. The note has changed, and nothing of the branch is there: it is sent.
                assert "push again later" in str(error)
                repo("CALL epoch_push('origin', 'side')")
            assert calls[0]
        one = clone(url)
        assert everything(one, "side") == wanted
        assert sound(one)
        one.close()
        repo("CALL epoch_push(branch := 'side', delete := true)")
        repo(GC)
        later(2)


def test_a_push_while_garbage_is_removed(
    pushed: Repo, url: str, clone: Clone, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    repo, other = pushed, clone(url)
    repo(GC)
    later(2)
    told: list[str] = []
    with monkeypatch.context() as at:
        between(at, collecting, "_remove", lambda: told.append(repo.refused("CALL epoch_push('origin', 'side')")))
        assert {row[2] for row in other(GC)} == {"removed"}
    assert "push again later" in told[0]
    # A push that needs nothing of it is not held up.
    repo("INSERT INTO log VALUES (5); CALL epoch_commit('more'); CALL epoch_push()")
    repo("CALL epoch_push('origin', 'side')")
    assert everything(clone(url), "side") == everything(repo, "side")


@pytest.mark.slow
def test_of_two_that_collect_one_does(
    pushed: Repo, url: str, clone: Clone, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    repo, other = pushed, clone(url)
    repo(GC)
    later(2)
    told: list[str] = []
    between(monkeypatch, collecting, "_remove", lambda: told.append(repo.refused("CALL epoch_remote_gc()")))
    assert {row[2] for row in other(GC)} == {"removed"}
    assert "another gc is removing garbage" in told[0]
    assert repo(GC) == []


@pytest.mark.slow
def test_a_killed_gc_is_gone_on_with(shop: Repo, clone: Clone, tmp_path: Path) -> None:
    repo, url = shop, str(tmp_path / "store")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push(); CALL epoch_push('origin', 'side'); CALL epoch_push(branch := 'side', delete := true)")
    rows = everything(repo)
    repo(GC)
    store = store_at(url)
    note = garbage.read_note(store)
    old = dict.fromkeys(note.paths, datetime(2020, 1, 1))
    assert garbage.write_note(store, garbage.Note(note.token, old))
    repo.close()
    before, removed = paths(url), 0
    for last in (2, 5):
        done, _ = run(repo.path, "CALL epoch_remote_gc(grace := '1 day')", last)
        assert not done
        removed = len(before) - len(paths(url))
        one = clone(url)
        assert (everything(one), sound(one)) == (rows, True)
        one.close()
        note = garbage.read_note(store)
        assert garbage.write_note(store, garbage.Note(note.token, note.paths, datetime(2020, 1, 1)))
    assert removed
    again = Repo(repo.path)
    # A push after a killed gc takes what it needs off the note, and sends what is gone.
    again("CALL epoch_push('origin', 'side')")
    assert everything(clone(url), "side") == everything(again, "side")
    assert again(GC) == []
    again("CALL epoch_push(branch := 'side', delete := true)")
    assert history(clone(url)) == history(again)
    again.close()
