"""Push, fetch, pull and clone: what arrives is what was sent, through a folder and through S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, Serial, everything, history, sound
from tests.support.values import TYPES


@pytest.fixture
def shop(make_repo: MakeRepo, url: str) -> Repo:
    """A repository with a remote, of a few commits, that nothing was pushed from yet."""
    repo = make_repo(SHOP)
    repo("UPDATE orders SET amount = 0 WHERE id < 3; DELETE FROM log WHERE n = 2")
    repo.commit("second")
    repo("CALL epoch_tag('v1', message := 'first release')")
    repo("CALL epoch_remote_add('origin', ?)", url)
    return repo


def pushed(repo: Repo, call: str = "epoch_push()") -> tuple[str, list[str], int]:
    """(status, what moved, files sent)."""
    ((status, moved, objects),) = repo(f"SELECT status, moved, objects FROM {call}")
    return status, moved, objects


@pytest.mark.core
@pytest.mark.parametrize("url", ["folder", "s3"], indirect=True)
def test_a_clone_is_the_same_repository(shop: Repo, clone: Clone, url: str) -> None:
    shop("CREATE VIEW big AS SELECT * FROM orders WHERE amount > 10; CREATE SEQUENCE numbers START 5")
    shop("ALTER TABLE orders ADD COLUMN paid BOOLEAN DEFAULT false")
    shop.commit("columns and a view")
    shop("CALL epoch_branch('Feature/A'); CALL epoch_branch('feature/a', start := 'v1')")
    status, moved, objects = pushed(shop, "epoch_push(tags := true)")
    assert (status, moved) == ("new", ["main", "v1"])
    assert objects == shop.one("SELECT count(*) FROM epoch.files")
    assert pushed(shop) == ("up-to-date", [], 0)
    # Names that differ in case only are two, also where files cannot be.
    assert [pushed(shop, f"epoch_push(branch := '{name}')")[0] for name in ("Feature/A", "feature/a")] == ["new", "new"]

    copy = clone(url)
    assert copy.status() == []
    assert sound(copy)
    for ref in ("main", "Feature/A", "feature/a", "v1", "HEAD~1"):
        assert everything(copy, ref) == everything(shop, ref)
        assert history(copy, ref) == history(shop, ref)
    assert copy("SELECT name, is_current, upstream, ahead, behind FROM epoch_branches() ORDER BY name") == [
        ("Feature/A", False, "origin/Feature/A", 0, 0),
        ("feature/a", False, "origin/feature/a", 0, 0),
        ("main", True, "origin/main", 0, 0),
    ]
    assert copy("FROM epoch_tags()") == shop("FROM epoch_tags()")
    assert copy("FROM orders ORDER BY ALL") == shop("FROM orders ORDER BY ALL")
    assert copy("FROM epoch_history('orders') ORDER BY ALL") == shop("FROM epoch_history('orders') ORDER BY ALL")
    assert copy("FROM epoch_remotes()") == [("origin", url, ["Feature/A", "feature/a", "main"], False, None)]
    shop("CALL epoch_branch('unrelated-move')")
    assert pushed(copy) == ("up-to-date", [], 0)


@pytest.mark.core
def test_work_goes_back_and_forth(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    other("UPDATE orders SET note = 'theirs' WHERE id = 7")
    other.commit("theirs")
    assert other("SELECT ahead, behind FROM epoch_branches()") == [(1, 0)]
    # One delta file, and nothing of what is there.
    assert pushed(other) == ("pushed", ["main"], 1)

    ((remote, branch, status, old, new, moved, objects, _, _),) = shop("CALL epoch_fetch()")
    assert (remote, branch, status, moved, objects) == ("origin", "origin/main", "fetched", ["origin/main"], 1)
    assert (old, new) == (shop.head(), other.head())
    assert shop("SELECT ahead, behind FROM epoch_branches()") == [(0, 1)]
    assert everything(shop, "origin/main") == everything(other)
    assert shop("SELECT status, moved FROM epoch_fetch()") == [("up-to-date", [])]
    assert shop("SELECT status, new_commit_id, moved FROM epoch_pull()") == [("fast-forward", other.head(), ["main"])]
    assert shop.status() == []
    assert shop.one("SELECT note FROM orders WHERE id = 7") == "theirs"

    # Both go on: a merge, with a row of each.
    for repo, key in ((shop, 10), (other, 11)):
        repo("UPDATE orders SET note = 'mine' WHERE id = ?", key)
        repo.commit(f"row {key}")
    pushed(other)
    refused = shop.refused("CALL epoch_push()")
    assert "EpochRemoteError: branch main at origin has commits that are not here" in refused
    assert "fetch first: CALL epoch_pull('origin')" in refused
    ((status, merge),) = shop("SELECT status, new_commit_id FROM epoch_pull()")
    assert status == "merged"
    assert shop("SELECT parents, message FROM epoch_log(max_count := 1)") == [
        ([shop.one("SELECT parents[1] FROM epoch_log(max_count := 1)"), other.head()], "Merge origin/main into main")
    ]
    assert pushed(shop)[0] == "pushed"
    other("CALL epoch_pull()")
    assert (other.head(), everything(other)) == (merge, everything(shop))
    assert shop.one("SELECT count(*) FROM orders WHERE note = 'mine'") == 2
    assert sound(shop) and sound(other)


@pytest.mark.core
def test_a_change_of_a_definition_alone_travels_after_one_of_rows(shop: Repo, clone: Clone, url: str) -> None:
    """Its delta has no file, and begins and ends at the same files."""
    shop("CALL epoch_push()")
    other = clone(url)
    changes = {
        "orders": ("UPDATE orders SET note = '!' WHERE id = 1", "COMMENT ON TABLE orders IS 'sold'"),
        "log": ("INSERT INTO log VALUES (9)", "ALTER TABLE log ALTER n SET DEFAULT 3"),
    }
    for rows, definition in changes.values():
        for change in (rows, definition):
            shop(change)
            shop.commit()
        shop("CALL epoch_push()")
        other("CALL epoch_pull()")
    assert history(other) == history(shop) == history(clone(url))
    assert sound(other)


def test_a_pull_that_conflicts_is_a_merge_in_progress(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    for repo, note in ((shop, "ours"), (other, "theirs")):
        repo("UPDATE orders SET note = ? WHERE id = 1", note)
        repo.commit(note)
    pushed(other)
    before = shop.head()
    assert "EpochConflict: 1 conflict in orders; the merge into main is in progress" in shop.refused(
        "CALL epoch_pull()"
    )
    assert (shop.head(), shop.one("SELECT note FROM orders WHERE id = 1")) == (before, "ours")
    shop("CALL epoch_resolve(side := 'theirs'); CALL epoch_merge_continue()")
    assert pushed(shop)[0] == "pushed"


@pytest.mark.slow
def test_force_and_rewritten_history(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    lost = shop.head()
    shop("CALL epoch_reset('HEAD~1', hard := true); UPDATE orders SET amount = 9; CALL epoch_commit('another second')")
    assert "has commits that this one lacks" in shop.refused("CALL epoch_push()")
    assert pushed(shop, "epoch_push(force := true)")[:2] == ("forced", ["main"])
    other("CALL epoch_fetch()")
    assert other("SELECT ahead, behind FROM epoch_branches()") == [(1, 1)]
    assert other.head() == lost
    # Where the old tip is not known here, force is still needed, and enough.
    other("UPDATE log SET n = 5; CALL epoch_commit('x'); CALL epoch_push(force := true)")
    assert "has commits that are not here" in shop.refused("CALL epoch_push()")


def test_tags_do_not_move(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    assert shop("SELECT moved FROM epoch_push(tags := true)") == [(["v1"],)]
    other = clone(url)
    other("CALL epoch_tag_delete('v1'); CALL epoch_tag('v1', ref := 'HEAD~1'); CALL epoch_tag('v2')")
    refused = other.refused("CALL epoch_push(tags := true)")
    assert "tag v1 is commit" in refused and "tags do not move" in refused
    shop("CALL epoch_fetch()")
    assert [row[0] for row in shop("FROM epoch_tags()")] == ["v1"]
    other("CALL epoch_tag_delete('v1'); CALL epoch_push(tags := true)")
    shop("CALL epoch_fetch()")
    assert shop("SELECT name, commit_id FROM epoch_tags()") == [("v1", shop.head()), ("v2", shop.head())]


@pytest.mark.slow
def test_a_tag_on_no_branch_travels(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    shop("UPDATE log SET n = 4; CALL epoch_commit('tried'); CALL epoch_tag('tried')")
    shop("CALL epoch_reset('HEAD~1', hard := true); CALL epoch_push(tags := true)")
    assert other("SELECT moved FROM epoch_fetch()") == [(["tried", "v1"],)]
    for repo in (other, clone(url)):
        assert everything(repo, "tried") == everything(shop, "tried")
        assert repo("SELECT moved FROM epoch_fetch()") == [([],)]


def test_a_branch_that_appears_later_is_checked_out_by_its_name(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    shop("CALL epoch_checkout('staging', new_branch := true); INSERT INTO log VALUES (9); CALL epoch_commit('s')")
    pushed(shop)
    other("CALL epoch_fetch()")
    assert other("SELECT branch, commit_id FROM epoch_checkout('staging')") == [("staging", shop.head())]
    assert other("SELECT upstream FROM epoch_branches() WHERE is_current") == [("origin/staging",)]
    other("CALL epoch_branch_rename('staging', 'stage')")
    assert other("SELECT upstream FROM epoch_branches() WHERE is_current") == [("origin/staging",)]
    other("CALL epoch_checkout('main'); CALL epoch_branch_delete('stage')")
    assert other("SELECT branches FROM epoch_remotes()") == [(["main"],)]


@pytest.mark.slow
def test_layouts_may_differ_between_clones(shop: Repo, clone: Clone, url: str) -> None:
    for number in range(12):
        shop("UPDATE orders SET amount = ? WHERE id = ?", 1000 + number, number)
        shop.commit(f"change {number}")
    shop("UPDATE orders SET amount = 1; CALL epoch_commit('all'); CALL epoch_revert('HEAD')")
    pushed(shop)
    other = clone(url)
    shop("CALL epoch_compact()")
    assert pushed(shop) == ("up-to-date", [], 0)
    for repo in (shop, other):
        repo("UPDATE orders SET note = 'y' WHERE id = 50; INSERT INTO log VALUES (7)")
        repo.commit("the same")
    other("CALL epoch_checkout('side', new_branch := true)")
    pushed(shop)
    # The contents are there, in another layout: of the two deltas that the history needs only those that are not equal.
    assert pushed(other)[2] <= 2
    shop("CALL epoch_fetch()")
    # Equal contents are one version here, also in a tree that came from there.
    assert shop("FROM epoch_diff_summary('main', 'origin/side')") == []
    assert (
        shop.one("SELECT count(DISTINCT version_id) FROM epoch.trees WHERE object_name = 'log' AND kind = 'table'") == 3
    )
    for ref in ("main~1", "main~2", "main~5", "origin/side"):
        assert everything(shop, ref) == everything(other, ref if ref.startswith("main") else "side")
    assert sound(shop) and sound(other)
    third = clone(url)
    assert history(third) == history(shop) and sound(third)


@pytest.mark.slow
def test_gc_keeps_what_remote_branches_need(shop: Repo, clone: Clone, url: str) -> None:
    pushed(shop)
    other = clone(url)
    other("UPDATE orders SET amount = 77; CALL epoch_commit('theirs'); CALL epoch_push()")
    shop("CALL epoch_fetch(); CALL epoch_gc(grace := INTERVAL 0 SECOND)")
    assert everything(shop, "origin/main") == everything(other)
    shop("CALL epoch_remote_remove('origin'); CALL epoch_gc(grace := INTERVAL 0 SECOND)")
    assert "unknown reference" in shop.refused("FROM epoch_log(ref := 'origin/main')")
    assert sound(shop)


@pytest.mark.slow
def test_undone_promotions_and_squashes_travel(shop: Repo, clone: Clone, url: str) -> None:
    shop("CALL epoch_checkout('staging', new_branch := true); UPDATE orders SET amount = 5 WHERE id = 5")
    shop.commit("feature")
    shop("CALL epoch_checkout('main'); CALL epoch_merge('staging'); CALL epoch_revert('HEAD')")
    shop("CALL epoch_push(); CALL epoch_push(branch := 'staging')")
    other = clone(url)
    assert history(other) == history(shop)
    ((status, _),) = other("SELECT status, commit_id FROM epoch_merge('origin/staging')")
    assert status == "merged"
    assert "re-applies 1 commit" in other.one("SELECT message FROM epoch_log(max_count := 1)")
    assert other.one("SELECT amount FROM orders WHERE id = 5") == 5


@pytest.mark.slow
def test_a_transfer_costs_what_is_missing(
    make_repo: MakeRepo, clone: Clone, s3: str, s3_server: tuple[str, Serial]
) -> None:
    requests = s3_server[1].requests
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", s3)
    costs = []
    other = None
    for commits in (3, 30):
        for number in range(commits):
            repo("UPDATE orders SET amount = ? WHERE id = 1", number)
            repo.commit(str(number))
        repo("CALL epoch_push()")
        other = other or clone(s3)
        other("CALL epoch_pull()")
        repo("UPDATE orders SET note = note || '!' WHERE id = 2")
        repo.commit("one more")
        steps = []
        for call in (lambda: repo("CALL epoch_push()"), lambda: other("CALL epoch_pull()")):  # noqa: B023 - called here
            requests.clear()
            call()
            steps.append(len(requests))
        costs.append(steps)
    (push_early, pull_early), (push_late, pull_late) = costs
    # Levels are folded, so that a version has a number of files that grows with the logarithm of its changes.
    assert push_late <= push_early + 8 and push_late <= 25
    assert pull_late <= pull_early + 4 and pull_late <= 20


def test_others_write_while_files_are_sent(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    from epoch_sql.remote import sending

    sent = []
    send_files = sending._send_files

    def watched(*arguments: object) -> object:
        sent.append(shop.con.cursor().execute("INSERT INTO log VALUES (5); UPDATE epoch.state SET moves = moves + 1"))
        return send_files(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "_send_files", watched)
    assert pushed(shop)[0] == "new"
    assert len(sent) == 1
    assert shop.status() == [("log", "modified", 1, 0, 0)]


@pytest.mark.slow
def test_every_type_survives(make_repo: MakeRepo, clone: Clone, url: str) -> None:
    types = {f"t{number}": type for number, type in enumerate(TYPES)}
    repo = make_repo(init=False)
    for name, type in types.items():
        rows = ", ".join(f"({i}, CAST({value} AS {type}))" for i, value in enumerate([*TYPES[type], "NULL"]))
        repo(f"CREATE TABLE {name} (i INTEGER PRIMARY KEY, v {type}); INSERT INTO {name} VALUES {rows}")
    repo("CALL epoch_init()")
    for name in types:
        repo(f"UPDATE {name} SET v = NULL WHERE i = 0; INSERT INTO {name} SELECT i + 1000, v FROM {name} WHERE i > 0")
    repo.commit("more")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    copy = clone(url)
    # The id of a tree is made of the fingerprints of its rows, and fsck takes those of the rows that are here.
    assert history(copy) == history(repo) and sound(copy)
    assert copy.status() == []
    fingerprints = "SELECT table_id, schema_id, fingerprint, row_count FROM epoch.versions ORDER BY ALL"
    assert copy(fingerprints) == repo(fingerprints)
    assert len(copy(fingerprints)) == 2 * len(types)


def test_the_folder_of_a_store_is_found_from_anywhere(
    make_repo: MakeRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_repo(SHOP)
    monkeypatch.chdir(tmp_path)
    assert repo("CALL epoch_remote_add('origin', './there/../store')") == [("origin", str(tmp_path / "store"))]
    monkeypatch.chdir("/")
    repo("CALL epoch_push()")
    assert (tmp_path / "store" / "epoch.json").is_file()
