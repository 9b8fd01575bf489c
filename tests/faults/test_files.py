"""Missing and damaged files: what needs them names them and the commits concerned, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo, begun

BASE = "kind = 'base' AND level_id = (SELECT DISTINCT level_ids[1] FROM epoch.versions WHERE row_count = 200)"
FIRST_DELTA = (
    "kind = 'delta' AND from_version = "
    "(SELECT version_id FROM epoch.versions WHERE row_count = 200 AND len(level_ids) = 1)"
)
DAMAGES = ("removed", "truncated", "one bit flipped", "emptied")


def path_of(repo: Repo, condition: str) -> Path:
    """The only file of the levels that meet a condition."""
    ((file_id,),) = repo(f"SELECT unnest(file_ids) FROM epoch.levels WHERE {condition}")
    return repo.path.parent / ".epoch" / "objects" / file_id[:2] / f"{file_id}.parquet"


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
        return
    if how == "truncated":
        del content[len(content) // 2 :]
    elif how == "emptied":
        content.clear()
    else:
        content[len(content) // 3] ^= 4
    path.write_bytes(content)


@begun(
    """
        CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR);
        INSERT INTO t SELECT i, 'v' || i FROM range(200) AS r(i);
        CREATE TABLE other AS SELECT i FROM range(10) AS r(i);
        """
)
def two_tables(repo: Repo) -> None:
    """Three commits of ``t`` (two with deltas), and a table ``other`` that never changes."""
    repo("UPDATE t SET v = 'second' WHERE i = 1")
    repo.commit("second")
    repo("UPDATE t SET v = 'third' WHERE i = 2")
    repo.commit("third")


def named(repo: Repo, message: str, path: Path, commits: list[str]) -> None:
    """The error names the file, the table and the commits (by message), in one line."""
    line = message.strip().splitlines()[0]
    assert f"EpochStorageError: file {path} " in line
    assert "table t needs it in " in line
    assert "restore the file" in line
    ids = {row[4]: row[0][:7] for row in repo("FROM epoch_log('main')")}
    assert all(ids[one] in line for one in commits), line


@pytest.mark.parametrize("how", DAMAGES)
class TestBase:
    @pytest.mark.grid(every=4)
    def test_what_needs_it_names_it(self, two_tables: Repo, how: str) -> None:
        repo = two_tables
        repo("CALL epoch_branch('old', 'HEAD~2')")
        path = path_of(repo, BASE)
        damage(path, how)
        for call in ("FROM epoch_at('HEAD', 't')", "FROM epoch_at('HEAD~2', 't')"):
            named(repo, repo.refused(call), path, ["third", "second", "Initial commit"])
        ((kind, table, file, commits, problem),) = repo("CALL epoch_fsck()")
        assert (kind, table, file) == ("file", "t", path.stem)
        assert len(commits) == 3
        assert str(path) in problem
        repo("CREATE OR REPLACE TABLE t AS SELECT 'x' AS nothing_like_it")
        named(repo, repo.refused("CALL epoch_commit('compares with it')"), path, ["third"])

    @pytest.mark.grid(every=4)
    def test_what_does_not_need_it_goes_on(self, two_tables: Repo, how: str) -> None:
        repo = two_tables
        damage(path_of(repo, BASE), how)
        assert repo.status() == []
        assert len(repo.at("HEAD", "other")) == 10
        assert repo("SELECT count(*) FROM epoch_diff('HEAD~2', 'HEAD')") == [(2,)]
        repo("CALL epoch_checkout('HEAD~2')")
        assert repo("SELECT v FROM t WHERE i < 3 ORDER BY i") == [("v0",), ("v1",), ("v2",)]
        repo("CALL epoch_checkout('main')")
        repo("INSERT INTO other VALUES (77)")
        assert repo.commit("another table") == (1, 1, 0, 0)
        repo("CALL epoch_tag('still')")


@pytest.mark.parametrize("how", DAMAGES)
class TestDelta:
    @pytest.mark.grid(every=4)
    def test_what_needs_it_names_it(self, two_tables: Repo, how: str) -> None:
        repo = two_tables
        path = path_of(repo, FIRST_DELTA)
        damage(path, how)
        for call in (
            "FROM epoch_at('HEAD', 't')",
            "FROM epoch_at('HEAD~1', 't')",
            "FROM epoch_diff('HEAD~2', 'HEAD~1')",
            "FROM epoch_diff('HEAD~2', 'HEAD', table_name := 't')",
            "FROM epoch_diff_stat('HEAD~2', 'HEAD')",
            "CALL epoch_checkout('HEAD~2')",
            "CALL epoch_reset('HEAD~2', hard := true)",
            "FROM epoch_history('t')",
        ):
            named(repo, repo.refused(call), path, ["third", "second", "Initial commit"])
        ((kind, table, file, commits, _),) = repo("CALL epoch_fsck()")
        assert (kind, table, file, len(commits)) == ("file", "t", path.stem, 3)

    @pytest.mark.grid(every=4)
    def test_what_does_not_need_it_goes_on(self, two_tables: Repo, how: str) -> None:
        repo = two_tables
        damage(path_of(repo, FIRST_DELTA), how)
        assert repo.status() == []
        assert repo("SELECT v FROM epoch_at('HEAD~2', 't') WHERE i = 1") == [("v1",)]
        assert repo("SELECT to_row->>'v' FROM epoch_diff('HEAD~1', 'HEAD')") == [("third",)]
        repo("CALL epoch_checkout('HEAD~1')")
        assert repo("SELECT v FROM t WHERE i IN (1, 2) ORDER BY i") == [("second",), ("v2",)]
        repo("CALL epoch_checkout('main')")

    @pytest.mark.grid(every=4)
    def test_the_same_content_written_again_mends_it(self, two_tables: Repo, how: str) -> None:
        repo = two_tables
        path = path_of(repo, FIRST_DELTA)
        repo("CALL epoch_checkout('HEAD~2')")
        repo("CALL epoch_checkout('again', new_branch := true)")
        damage(path, how)
        repo("UPDATE t SET v = 'second' WHERE i = 1")
        repo.commit("the same change")
        assert repo("CALL epoch_fsck()") == []


def test_a_large_file_is_hashed_before_it_is_copied(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that fills a table does not bring a flipped bit of it into the database."""
    monkeypatch.setattr("epoch_sql.storage.writing.VERIFY_BYTES", 0)
    repo = make_repo("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS v FROM range(50000) AS r(i)")
    (path,) = (repo.path.parent / ".epoch" / "objects").glob("??/*.parquet")
    repo("DROP TABLE t")
    repo.commit()
    damage(path, "one bit flipped")
    for call in ("CALL epoch_checkout('HEAD~1')", "CALL epoch_reset('HEAD~1', hard := true)"):
        told = repo.refused(call)
        assert str(path) in told
        assert "is corrupted: its content does not match its name" in told
    assert repo("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'") == []
    assert repo.status() == []


def test_a_large_file_is_checked_by_its_size_at_each_read_and_hashed_by_fsck(
    make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files over 32 MiB are not hashed at each read; here the bound is lowered."""
    monkeypatch.setattr("epoch_sql.storage.writing.VERIFY_BYTES", 0)
    repo = make_repo("CREATE TABLE t AS SELECT i, md5(i::VARCHAR) AS v FROM range(50000) AS r(i)")
    (path,) = (repo.path.parent / ".epoch" / "objects").glob("??/*.parquet")
    damage(path, "one bit flipped")
    assert [row[0] for row in repo("CALL epoch_fsck()")] == ["file"]
    damage(path, "truncated")
    assert str(path) in repo.refused("SELECT max(v) FROM epoch_at('HEAD', 't')")
