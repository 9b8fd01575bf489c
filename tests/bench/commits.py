"""Noticing what changed: status and commit, against hashing or comparing the table by hand."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from tests.bench.measure import Bar, Measurement, in_turns
from tests.bench.workload import FINGERPRINT, FULL_JOIN, Workload


def unchanged(load: Workload) -> Iterator[Measurement]:
    """A table as committed, against one scan that hashes every row."""
    for operation, action in (
        ("status, nothing changed", lambda: load.run("FROM epoch_status()")),
        ("commit, nothing changed", lambda: _commit_of_nothing(load)),
    ):
        ours, by_hand = in_turns(2 * load.rounds, action, lambda: load.run_by_hand(FINGERPRINT))
        yield Measurement(operation, ours, by_hand, Bar(ratio=1.3))


def commits(load: Workload) -> Iterator[Measurement]:
    """Commits of 1,000 changed rows, on a branch of their own; then one on branch ``feature``, for its bytes."""
    load.run("CALL epoch_checkout('busy', new_branch := true)")
    ours, by_hand = in_turns(
        load.rounds,
        lambda: load.run("CALL epoch_commit('1,000 rows')"),
        lambda: load.run_by_hand(FULL_JOIN),
        lambda number: load.change(number + 1),
    )
    yield Measurement("commit of 1,000 rows", ours, by_hand, Bar(ratio=0.7))
    load.run("CALL epoch_checkout('main')")
    load.run("CALL epoch_checkout('feature', new_branch := true)")
    yield _bytes(load)


def _commit_of_nothing(load: Workload) -> None:
    try:
        load.run("CALL epoch_commit('nothing')")
    except duckdb.Error as error:
        if "EpochNothingToCommit" not in str(error):
            raise
    else:
        raise AssertionError("a commit of nothing was made")


def _bytes(load: Workload) -> Measurement:
    """What a commit adds to the repository's files, against the changed rows as Parquet."""
    load.change(0)
    before = load.stored_bytes()
    load.run("CALL epoch_commit('1,000 rows')")
    added = load.stored_bytes() - before
    path = load.folder / "changed.parquet"
    load.run_by_hand(
        f"COPY (SELECT * FROM orders_branch WHERE id % {load.step} = 0 ORDER BY id) TO '{path}' (COMPRESSION zstd)"
    )
    return Measurement("bytes added by that commit", added, path.stat().st_size, Bar(ratio=4.0), unit="bytes")
