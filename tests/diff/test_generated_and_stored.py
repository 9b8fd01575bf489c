"""A column that is computed at one time and stored at another: what counts as changed are values, not how they are kept."""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

# Row 4 has another value in the plain table: NULL, which the files of the other table hold for no row.
GENERATED = "CREATE OR REPLACE TABLE t (id INTEGER{key}, c {type} AS (CAST(a * 2 AS {type})), a INTEGER)"
PLAIN = "CREATE OR REPLACE TABLE t (id INTEGER{key}, c {type}, a INTEGER)"
ROWS: dict[str, str] = {
    GENERATED: "INSERT INTO t (id, a) VALUES (1, 10), (2, 20), (3, NULL), (4, 40)",
    PLAIN: "INSERT INTO t (id, c, a) VALUES (1, 20, 10), (2, 999, 20), (3, NULL, NULL), (4, NULL, 40)",
}
VALUES: dict[str, dict[int, str | None]] = {GENERATED: {2: "40", 4: "80"}, PLAIN: {2: "999", 4: None}}


def crossed(make_repo: MakeRepo, key: str, to_plain: bool, type: str = "INTEGER") -> tuple[Repo, str, str]:
    """A repository whose HEAD has one form of the table, and whose working table has the other."""
    first, second = (GENERATED, PLAIN) if to_plain else (PLAIN, GENERATED)
    repo = make_repo(f"{first.format(key=key, type=type)}; {ROWS[first]}")
    repo(f"{second.format(key=key, type=type)}; {ROWS[second]}")
    return repo, first, second


@pytest.mark.grid(every=9)
@pytest.mark.parametrize("type", ["INTEGER", "HUGEINT"])
@pytest.mark.parametrize("to_plain", [True, False])
@pytest.mark.parametrize("key", [" PRIMARY KEY", ""])
def test_status_commits_and_the_changelog_count_values(
    make_repo: MakeRepo, key: str, to_plain: bool, type: str
) -> None:
    repo, first, second = crossed(make_repo, key, to_plain, type)
    counts = (0, 2, 0) if key else (2, 0, 2)
    assert repo("FROM epoch_status()") == [("t", "schema", *counts)]
    assert repo("SELECT rows_added, rows_modified, rows_removed FROM epoch_commit('other')") == [counts]
    assert repo("SELECT rows_added, rows_modified, rows_removed FROM epoch_changelog('main') LIMIT 1") == [counts]
    assert repo("FROM epoch_status()") == []
    # What is stored is right all the same.
    text = "SELECT id, CAST(c AS VARCHAR) FROM {} WHERE id IN (2, 4) ORDER BY id"
    for ref, form in (("HEAD", second), ("HEAD~1", first)):
        assert repo(text.format(f"epoch_at('{ref}', 't')")) == list(VALUES[form].items())
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo(text.format("t")) == list(VALUES[first].items())
    repo("CALL epoch_checkout('main')")
    assert repo(text.format("t")) == list(VALUES[second].items())


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("to_plain", [True, False])
@pytest.mark.parametrize("key", [" PRIMARY KEY", ""])
def test_history_and_blame_have_the_values_that_there_were(make_repo: MakeRepo, key: str, to_plain: bool) -> None:
    repo, first, second = crossed(make_repo, key, to_plain)
    made = repo.head()
    repo.commit()
    other = repo.head()
    repo(f"INSERT INTO t (id, {'c, ' if to_plain else ''}a) VALUES (5, {'7, ' if to_plain else ''}50)")
    repo("UPDATE t SET a = 11 WHERE id = 1")
    repo.commit()
    third = repo.head()
    found = repo("SELECT commit_id, diff_type, id, CAST(c AS VARCHAR), a FROM epoch_history('t')")
    of = {c: sorted((row[1:] for row in found if row[0] == c), key=str) for c in (made, other, third)}
    was, now = VALUES[first], VALUES[second]
    one = "20" if to_plain else "22"
    added = [("added", 1, "20", 10), ("added", 2, was[2], 20), ("added", 3, None, None), ("added", 4, was[4], 40)]
    assert of[made] == sorted(added, key=str)
    if key:
        assert of[other] == [("modified", 2, now[2], 20), ("modified", 4, now[4], 40)]
        assert of[third] == [("added", 5, "7" if to_plain else "100", 50), ("modified", 1, one, 11)]
    else:
        assert of[other] == sorted(
            [(op, i, v[i], 10 * i) for op, v in (("added", now), ("removed", was)) for i in (2, 4)], key=str
        )
        assert of[third] == [
            ("added", 1, one, 11),
            ("added", 5, "7" if to_plain else "100", 50),
            ("removed", 1, "20", 10),
        ]
    assert dict(repo("SELECT id, commit_id FROM epoch_blame('t')")) == {1: third, 2: other, 3: made, 4: other, 5: third}
    if key:
        of_two = repo("""SELECT CAST(c AS VARCHAR) FROM epoch_history('t', key := '{"id": 2}')""")
        assert of_two == [(now[2],), (was[2],)]


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("to_plain", [True, False])
@pytest.mark.parametrize("key", [" PRIMARY KEY", ""])
def test_a_history_in_which_it_was_both_more_than_once(make_repo: MakeRepo, key: str, to_plain: bool) -> None:
    repo, first, second = crossed(make_repo, key, to_plain)
    repo.commit()
    for form in (first, second):
        repo(f"{form.format(key=key, type='INTEGER')}; {ROWS[form]}")
        repo.commit()
    repo("DELETE FROM t WHERE id = 4")
    repo.commit()
    values = repo("SELECT diff_type, CAST(c AS VARCHAR) FROM epoch_history('t') WHERE id = 4")
    was, now = VALUES[first][4], VALUES[second][4]
    if key:
        assert values == [("removed", now), ("modified", now), ("modified", was), ("modified", now), ("added", was)]
    else:
        changes = [("added", was), ("removed", was), ("added", now), ("removed", now)] * 2
        assert sorted(values, key=str) == sorted(changes, key=str)
    assert len(repo("FROM epoch_history('t') WHERE id = 1")) == 1


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("key", [" PRIMARY KEY", ""])
@pytest.mark.parametrize("to_plain", [True, False])
def test_a_merge_counts_values(make_repo: MakeRepo, key: str, to_plain: bool) -> None:
    repo, _, second = crossed(make_repo, key, to_plain)
    repo("CALL epoch_stash()")
    repo("CALL epoch_branch('f')")
    repo("CREATE TABLE other (i INTEGER)")
    repo.commit()
    repo("CALL epoch_checkout('f')")
    repo(f"{second.format(key=key, type='INTEGER')}; {ROWS[second]}")
    repo.commit()
    repo("CALL epoch_checkout('main')")
    counts = (0, 2, 0) if key else (2, 0, 2)
    assert repo("SELECT rows_added, rows_modified, rows_removed FROM epoch_merge('f')") == [counts]
    assert repo("SELECT rows_added, rows_modified, rows_removed FROM epoch_changelog('main') LIMIT 1") == [counts]
    assert repo("SELECT CAST(c AS VARCHAR) FROM t WHERE id = 2") == [(VALUES[second][2],)]
