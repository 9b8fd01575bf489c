"""Taking branches and tags off a remote, and tags that are called as branches are."""

from __future__ import annotations

import pytest

from tests.conftest import Epoch, MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, sound


@pytest.fixture
def shop(make_repo: MakeRepo, url: str) -> Repo:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_branch('feature'); CALL epoch_tag('v1'); CALL epoch_tag('feature', ref := 'main')")
    repo("CALL epoch_push(tags := true); CALL epoch_push(branch := 'feature')")
    return repo


def delete(repo: Repo, name: str) -> str:
    ((branch, status, old, new, moved),) = repo(
        "SELECT branch, status, old_commit_id, new_commit_id, moved FROM epoch_push(branch := ?, delete := true)", name
    )
    assert (status, new, moved) == ("deleted", None, [branch]) and len(old) == 64
    return str(branch)


@pytest.mark.slow
def test_a_branch_and_a_tag_are_deleted_and_can_come_back(shop: Repo, clone: Clone, url: str) -> None:
    told = shop.refused("CALL epoch_push(branch := 'feature', delete := true)")
    assert "feature is a branch and a tag at origin" in told and "refs/tags/feature" in told
    assert delete(shop, "refs/tags/feature") == "feature"
    assert delete(shop, "feature") == "feature"
    assert delete(shop, "v1") == "v1"
    assert shop("SELECT name FROM epoch_branches() ORDER BY 1") == [("feature",), ("main",)]
    assert [row[0] for row in shop("SELECT name FROM epoch_tags() ORDER BY 1")] == ["feature", "v1"]
    assert shop("SELECT name FROM epoch.refs WHERE kind = 'remote'") == [("origin/main",)]
    for gone in ("feature", "v1", "refs/heads/feature"):
        assert "has no branch and no tag" in shop.refused("CALL epoch_push(branch := ?, delete := true)", gone)
    copy = clone(url)
    assert copy("SELECT name FROM epoch_branches()") == [("main",)] and copy("FROM epoch_tags()") == []
    # They are made again where they were.
    shop("CALL epoch_tag_delete('feature')")
    assert shop("SELECT status, moved FROM epoch_push(branch := 'feature', tags := true)") == [
        ("new", ["feature", "v1"])
    ]
    copy("CALL epoch_fetch()")
    assert copy("SELECT name FROM epoch.refs WHERE kind <> 'branch' ORDER BY 1") == [
        ("origin/feature",),
        ("origin/main",),
        ("v1",),
    ]
    assert sound(copy) and sound(shop)


@pytest.mark.slow
def test_what_is_not_deleted(shop: Repo, clone: Clone, url: str) -> None:
    assert "is what clones of origin check out" in shop.refused(
        "CALL epoch_push(branch := 'refs/heads/main', delete := true)"
    )
    assert "which branch or tag" in shop.refused("CALL epoch_push(delete := true)")
    assert "did you mean v1?" in shop.refused("CALL epoch_push(branch := 'v11', delete := true)")
    for protection in ("require_review", "no_force_push"):
        shop(f"CALL epoch_protect('feature', {protection} := true); CALL epoch_tag_delete('feature')")
        shop("CALL epoch_push(branch := 'feature', protection := true)")
        other = clone(url)
        other("CALL epoch_unprotect('feature')")
        told = other.refused("CALL epoch_push(branch := 'refs/heads/feature', delete := true)")
        assert "EpochRemoteRefused: branch feature is protected at origin" in told
        shop("CALL epoch_tag('feature')")
    shop("CALL epoch_unprotect('feature'); CALL epoch_tag_delete('feature')")
    shop("CALL epoch_push(branch := 'feature', protection := true)")
    assert delete(shop, "refs/heads/feature") == "feature"


def test_of_a_deletion_and_a_push_one_wins(shop: Repo, clone: Clone, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from epoch_sql.remote import pushing

    other = clone(url)
    look = pushing.read_protection

    def meanwhile(store: object, branch: str) -> object:
        monkeypatch.setattr(pushing, "read_protection", look)
        found = look(store, branch)  # type: ignore[arg-type]
        shop(
            "CALL epoch_tag_delete('feature'); CALL epoch_checkout('feature'); DELETE FROM log; CALL epoch_commit('x')"
        )
        shop("CALL epoch_push()")
        return found

    monkeypatch.setattr(pushing, "read_protection", meanwhile)
    told = other.refused("CALL epoch_push(branch := 'refs/heads/feature', delete := true)")
    assert "was moved by another push meanwhile" in told
    other("CALL epoch_fetch()")
    assert other.one("SELECT commit_id FROM epoch.refs WHERE name = 'origin/feature'") == shop.head()


@pytest.mark.slow
def test_a_tag_that_is_called_as_a_branch_stays_away(shop: Repo, clone: Clone, url: str) -> None:
    """Also as a remote branch is, and in longer forms; after each fetch, and in a clone."""
    names = ["main", "heads/main", "origin/main", "remotes/origin/main", "feature", "v1"]
    other = clone(url)
    for name in names[:4]:
        shop("CALL epoch_tag(?, ref := 'refs/heads/main')", name)
    shop("INSERT INTO log VALUES (9)")
    shop("CALL epoch_commit('more')")
    shop("CALL epoch_push(branch := 'main', tags := true)")
    copies = [other, clone(url)]
    for copy in copies:
        for _ in range(2):
            ((warnings,),) = copy("SELECT warnings FROM epoch_fetch()")
            assert [warning.split()[1] for warning in warnings] == sorted(names[:5])
            assert all("of origin is left out" in warning and "; delete refs/tags/" in warning for warning in warnings)
            assert [row[0] for row in copy("SELECT name FROM epoch_tags()")] == ["v1"]
        for name in ("main", "heads/main", "origin/main", "feature"):
            assert copy("SELECT count(*) FROM epoch_log(?)", name)
        copy("CALL epoch_pull()")
        assert sound(copy)
    assert delete(other, "refs/tags/main") == "main"
    ((warnings,),) = other("SELECT warnings FROM epoch_fetch()")
    assert not any(warning.startswith("tag main ") for warning in warnings)


def test_the_command(shop: Repo, epoch: Epoch) -> None:
    shop("CALL epoch_tag_delete('feature')")
    shop.close()
    database = ("--db", str(shop.path))
    told = epoch(*database, "push", "origin", "--delete", "refs/tags/feature")
    assert "origin: deleted feature (it was at " in told.err
    assert epoch(*database, "push", "--delete", "v1", "--json").json[0]["status"] == "deleted"
    assert "hint" in epoch(*database, "push", "--delete", "v1", code=1).err
    assert "--delete goes with a remote only" in epoch(*database, "push", "origin", "main", "--delete", "x", code=2).err
