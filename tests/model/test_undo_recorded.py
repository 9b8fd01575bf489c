"""What an undo records in its commit, and what that means: the rule's three sets, and plans."""

from __future__ import annotations

import pytest

from epoch_sql.model.graph import NO_UNDO, CommitGraph, Undo
from epoch_sql.model.undo import (
    MergePlan,
    brought,
    plan_merge,
    present,
    undo_of_revert,
    undo_of_rollback,
)
from tests.model.promotions import History, absent


def test_a_rollback_lists_every_merge_after_the_commit_that_it_restores() -> None:
    history = History("d", "p")
    merges = []
    for line in "abc":
        history.add("d", line)
        history.merge("d", "p")
        merges.append(history.tip("p"))
        history.add("p", line.upper())
    undo = undo_of_rollback(history.graph, history.tip("p"), merges[0])
    assert undo == Undo(undoes=(merges[2], merges[1]), restores=merges[0])


def test_a_rollback_past_an_undo_makes_it_void(promoted: History) -> None:
    undo = promoted.tip("p")
    merge = promoted.graph.parents(undo)[0]
    rollback = promoted.roll_back("p", merge)
    assert promoted.graph.undo(rollback) == Undo(redoes=(merge,), restores=merge)
    assert promoted["p"] == "a"
    assert promoted.merge("s", "p").up_to_date


def test_a_rollback_past_the_undo_of_an_undo_undoes_again(redone: History) -> None:
    undo = redone.graph.parents(redone.tip("p"))[0]
    redone.roll_back("p", undo)
    assert redone["p"] == ""
    redone.merge("s", "p")
    assert redone["p"] == "a"


def test_a_rollback_past_a_second_promotion_to_an_undone_first(promoted: History) -> None:
    """R restores the state of U, or that of the first M: the last word on each merge holds.

    p  o---M---U---M---R
    """
    undo = promoted.tip("p")
    first = promoted.graph.parents(undo)[0]
    promoted.merge("s", "p")
    promoted.branch("q", "p")
    promoted.roll_back("p", undo)
    assert "a" not in present(promoted.graph, promoted.tip("p"))
    promoted.roll_back("q", first)
    assert "a" in present(promoted.graph, promoted.tip("q"))


def test_undoing_a_rollback_counts_as_merged_again(released: History) -> None:
    rollback = next(c for c in released.graph.first_parents(released.tip("p")) if released.graph.undo(c).undoes)
    released.revert("p", rollback)
    assert released["p"] == "abch"
    released.add("d", "e")
    plan = released.promote("d", "s", "p")
    assert plan.reapplies == ()
    assert released["p"] == "abceh"


def test_a_rollback_to_the_middle_of_what_one_merge_brought() -> None:
    """R restores a, which M brought together with b.

    d  o---a---b
                   \\
    p  o------------M---R
    """
    history = History("d", "p")
    restored = history.add("d", "a")
    history.add("d", "b")
    history.merge("d", "p")
    history.roll_back("p", restored)
    assert present(history.graph, history.tip("p")) & {"a", "b"} == {"a"}
    assert history.merge("d", "p").reapplies[0].changes == ("b",)
    assert history["p"] == "ab"


def test_a_rollback_to_a_state_that_the_branch_never_had() -> None:
    history = History("d", "p", "x")
    history.add("d", "a")
    history.merge("d", "p")
    elsewhere = history.add("x", "x")
    undo = undo_of_rollback(history.graph, history.tip("p"), elsewhere)
    assert undo == Undo(undoes=(history.tip("p"),))


def test_a_revert_of_a_merge_that_never_happened_here_lists_nothing(promoted: History) -> None:
    merge = promoted.graph.parents(promoted.tip("p"))[0]
    assert undo_of_revert(promoted.graph, promoted.tip("d"), merge) == NO_UNDO


def test_present_brought_and_absent(promoted: History) -> None:
    graph, undo, staged = promoted.graph, promoted.tip("p"), promoted.tip("s")
    merge = graph.parents(undo)[0]
    assert brought(graph, merge) == {"a", staged}
    assert present(graph, merge) == {"root", "a", staged, merge}
    assert present(graph, undo) == {"root", merge, undo}
    assert absent(graph, undo, staged) == {"a", staged}
    assert absent(graph, staged, undo) == frozenset()
    assert absent(graph, undo, merge) == frozenset(), "a commit that knows a only through the merge"
    assert brought(graph, "root") == brought(graph, "a") == frozenset()


@pytest.mark.parametrize(
    ("target", "source", "plan"),
    [
        ("a", "a", MergePlan(("a",), up_to_date=True, fast_forward=False)),
        ("b", "a", MergePlan(("a",), up_to_date=True, fast_forward=False)),
        ("a", "b", MergePlan(("a",), up_to_date=False, fast_forward=True)),
        ("b", "c", MergePlan(("a",), up_to_date=False, fast_forward=False)),
        ("b", "z", MergePlan((), up_to_date=False, fast_forward=False)),
    ],
)
def test_plans_without_an_undo(target: str, source: str, plan: MergePlan) -> None:
    graph = CommitGraph()
    for commit, parents in {"a": (), "b": ("a",), "c": ("a",), "z": ()}.items():
        graph.add(commit, parents)
    assert plan_merge(graph, target, source) == plan


def test_without_a_new_undo_only_the_recent_history_is_read() -> None:
    class Counting(CommitGraph):
        visited = 0

        def parents(self, commit: str) -> tuple[str, ...]:
            self.visited += 1
            return super().parents(commit)

    graph = Counting()
    graph.add("s0")
    graph.add("p0", ("s0",))
    graph.add("p1", ("p0", "s0"))
    graph.add("u", ("p1",), undo=Undo(undoes=("p1",)))
    graph.add("s1", ("s0", "u"))
    for n in range(2, 5000):
        graph.add(f"s{n}", (f"s{n - 1}",))
        graph.add(f"p{n}", ("u" if n == 2 else f"p{n - 1}", f"s{n}"))
    graph.add("new", ("s4999",))
    plan = plan_merge(graph, "p4999", "new")
    assert plan.bases == ("s4999",)
    assert graph.visited < 10
