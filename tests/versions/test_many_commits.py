"""Many small commits: levels are folded and bases rewritten, and every state reads as it was."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conftest import MakeRepo, Row
from tests.support.databases import change

pytestmark = pytest.mark.slow


def test_many_small_commits(make_repo: MakeRepo) -> None:
    """Levels are folded, bases rewritten, columns come and go: every state reads as it was, every difference leads on."""
    tables = {"keyed": "PRIMARY KEY", "bag": ""}
    repo = make_repo(
        "; ".join(
            f"CREATE TABLE {t} (id INTEGER {key}, v INTEGER); INSERT INTO {t} SELECT i, 0 FROM range(400) AS r(i)"
            for t, key in tables.items()
        )
    )
    states: dict[str, list[list[Row]]] = {t: [] for t in tables}
    names: list[list[str]] = []
    commits = 60
    for n in range(commits):
        for t in tables:
            change(repo, t, n)
            states[t].append(repo(f"FROM {t} ORDER BY ALL"))
        names.append([name for name, _ in repo.columns("FROM bag")])
        repo.commit(str(n))
    assert max(len(ids) for (ids,) in repo("SELECT level_ids FROM epoch.versions")) <= 12
    for t in tables:
        for n in range(0, commits, 7):
            assert repo.at(f"main~{commits - 1 - n}", t) == states[t][n]
        for one, other in ((0, 59), (59, 0), (5, 9), (9, 12), (20, 26), (24, 30), (51, 20)):
            shared = [name for name in names[one] if name in names[other]]
            places = [[names[n].index(name) for name in shared] for n in (one, other)]
            before, after = (
                Counter(tuple(row[place] for place in places[end]) for row in states[t][n])
                for end, n in enumerate((one, other))
            )
            diff = f"epoch_diff('main~{commits - 1 - one}', 'main~{commits - 1 - other}', table_name := '{t}')"
            went, came = (
                Counter(
                    repo(f"SELECT {', '.join(f'{side}_{c}' for c in shared)} FROM {diff} WHERE diff_type <> '{kind}'")
                )
                for side, kind in (("from", "added"), ("to", "removed"))
            )
            assert went <= before
            assert before - went + came == after
    for n in (0, 11, 26, 59):
        repo("CALL epoch_checkout(?)", f"main~{commits - 1 - n}")
        for t in tables:
            assert repo(f"FROM {t} ORDER BY ALL") == states[t][n]
