"""Undone promotions: every history of the rule, played on a model where a commit's content is a set of lines.

Letters: d development, s staging, p production, h a hotfix, f a feature. In the pictures time runs to the right, M are
promotions into p, S promotions into s, D merges into d, U an undo. A merge of sets takes, for each line, the side that
changed it against the base, as a three-way merge of rows does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial, reduce
from itertools import pairwise, permutations, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epoch_sql.model.graph import NO_UNDO, CommitGraph, Undo
from epoch_sql.model.undo import (
    MergePlan,
    Undone,
    _undone_between,
    brought,
    plan_merge,
    present,
    undo_kept,
    undo_of_revert,
    undo_of_rollback,
)

Content = frozenset[str]


def three_way(base: Content, ours: Content, theirs: Content) -> Content:
    return (ours & theirs) | (ours - base) | (theirs - base)


class History:
    """Branches of commits whose content is a set of lines, merged against the bases that Epoch chooses."""

    def __init__(self, *branches: str) -> None:
        self.graph = CommitGraph()
        self.content: dict[str, Content] = {}
        self.branches: dict[str, str] = {}
        root = self._commit((), frozenset(), "root")
        self.branches = dict.fromkeys(branches, root)

    def __getitem__(self, branch: str) -> str:
        return "".join(sorted(self.content[self.branches[branch]]))

    def tip(self, branch: str) -> str:
        return self.branches[branch]

    def branch(self, name: str, start: str) -> None:
        self.branches[name] = self.branches.get(start, start)

    def add(self, branch: str, line: str) -> str:
        """Commit one new line; the commit is called like the line, so that expectations can be read."""
        tip = self.tip(branch)
        return self._move(branch, self._commit((tip,), self.content[tip] | {line}, line))

    def remove(self, branch: str, line: str) -> str:
        tip = self.tip(branch)
        return self._move(branch, self._commit((tip,), self.content[tip] - {line}))

    def merge(self, source: str, target: str, *, keep_undone: bool = False) -> MergePlan:
        ours, theirs = self.tip(target), self.branches.get(source, source)
        plan = plan_merge(self.graph, ours, theirs, keep_undone=keep_undone)
        if not plan.up_to_date:
            content = three_way(self._base(plan.bases), self.content[ours], self.content[theirs])
            undo = undo_kept(self.graph, ours, theirs) if keep_undone else NO_UNDO
            self._move(target, self._commit((ours, theirs), content, undo=undo))
        return plan

    def promote(self, *path: str) -> MergePlan:
        """Merge each branch into the next."""
        return [self.merge(source, target) for source, target in pairwise(path)][-1]

    def revert(self, branch: str, commit: str | None = None) -> str:
        tip = self.tip(branch)
        commit = commit or tip
        before = self.graph.parents(commit)[0]
        content = three_way(self.content[commit], self.content[tip], self.content[before])
        undo = undo_of_revert(self.graph, tip, commit)
        return self._move(branch, self._commit((tip,), content, undo=undo, reverts=commit))

    def roll_back(self, branch: str, restored: str) -> str:
        tip = self.tip(branch)
        undo = undo_of_rollback(self.graph, tip, restored)
        return self._move(branch, self._commit((tip,), self.content[restored], undo=undo))

    def _base(self, bases: tuple[str, ...]) -> Content:
        """The virtual base of git's recursive strategy."""
        if not bases:
            return frozenset()

        def merged(ours: tuple[str, Content], theirs: str) -> tuple[str, Content]:
            commit, content = ours
            return theirs, three_way(
                self._base(tuple(self.graph.merge_bases(commit, theirs))), content, self.content[theirs]
            )

        return reduce(merged, bases[1:], (bases[0], self.content[bases[0]]))[1]

    def _commit(
        self,
        parents: tuple[str, ...],
        content: Content,
        name: str = "",
        undo: Undo = NO_UNDO,
        reverts: str | None = None,
    ) -> str:
        commit = name if name and name not in self.graph else f"{len(self.graph):04d}"
        self.graph.add(commit, parents, undo=undo, reverts=reverts)
        self.content[commit] = content
        return commit

    def _move(self, branch: str, commit: str) -> str:
        self.branches[branch] = commit
        return commit


@pytest.fixture
def promoted() -> History:
    """+a on d, promoted to p, and the promotion reverted there.

    d  o---a
            \\
    s  o-----S
              \\
    p  o-------M---U
    """
    history = History("d", "s", "p")
    history.add("d", "a")
    history.promote("d", "s", "p")
    history.revert("p")
    return history


@pytest.fixture
def released() -> History:
    """Three promotions, tagged; p was rolled back to the first and got a hotfix, which went everywhere.

    d  o---a-------b-------c-----------------D
            \\       \\       \\               /
    s  o-----S-------S-------S-----------S  /
              \\       \\       \\         /  /
    p  o-------v1------v2------v3--U---M  /
                                    \\ / \\/
    h                                h---
    """
    history = History("d", "s", "p")
    for line in "abc":
        history.add("d", line)
        history.promote("d", "s", "p")
    first = next(c for c in history.graph.first_parents(history.tip("p")) if history.content[c] == {"a"})
    history.roll_back("p", first)
    history.branch("h", "p")
    history.add("h", "h")
    for target in "psd":
        history.merge("h", target)
    return history


def test_promoting_again_brings_the_undone_changes_back(promoted: History) -> None:
    undo = promoted.tip("p")
    assert promoted["p"] == ""

    plan = promoted.merge("s", "p")

    assert promoted["p"] == "a"
    assert not plan.up_to_date
    assert [(undone.undoing, undone.changes) for undone in plan.reapplies] == [(undo, ("a",))]
    assert plan.keeps == ()


def test_the_message_of_a_merge_counts_changes_and_names_the_undo() -> None:
    history = History("d", "s", "p")
    for line in "abc":
        history.add("d", line)
    history.promote("d", "s", "p")
    undo = history.revert("p")
    staged = history.tip("s")

    assert history.merge("s", "p").reapplies == (Undone(undo, (staged, "c", "b", "a"), ("c", "b", "a")),)


def test_promoting_again_brings_the_fix_too(promoted: History) -> None:
    promoted.add("d", "f")
    promoted.merge("d", "s")
    promoted.merge("s", "p")
    assert promoted["p"] == "af"


def test_merging_back_keeps_what_was_undone_on_production(promoted: History) -> None:
    """The back-merge D must not take a away from d.

    d  o---a-----------D
               \\         /
    s  o-----S          /
              \\        /
    p  o-------M---U---
    """
    undo = promoted.tip("p")
    plan = promoted.merge("p", "d")

    assert promoted["d"] == "a"
    assert plan.reapplies == ()
    assert [(undone.undoing, undone.changes) for undone in plan.keeps] == [(undo, ("a",))]
    assert not plan.fast_forward, "a fast-forward would take a away from d"


def test_merging_back_and_promoting_again(promoted: History) -> None:
    promoted.merge("p", "d")
    promoted.add("d", "f")
    promoted.merge("d", "s")
    assert promoted["s"] == "af"
    promoted.merge("s", "p")
    assert promoted["p"] == "af"


def test_an_undo_after_the_branches_were_in_sync() -> None:
    """D brings d in sync with p before the undo.

    d  o---a-------D---f
               \\     / \\   \\
    s  o-----S     /       S
              \\   /         \\
    p  o-------M---U---------M
    """
    history = History("d", "s", "p")
    history.add("d", "a")
    history.promote("d", "s", "p", "d")
    history.revert("p")
    history.add("d", "f")
    history.promote("d", "s", "p")
    assert history["p"] == "af"


def test_undoing_the_first_of_two_promotions() -> None:
    """U undoes the first M only.

    d  o---a-------b-----------c
               \\       \\           \\
    s  o-----S-------S-----------S
              \\       \\           \\
    p  o-------M-------M---U-------M
    """
    history = History("d", "s", "p")
    history.add("d", "a")
    history.promote("d", "s", "p")
    first = history.tip("p")
    history.add("d", "b")
    history.promote("d", "s", "p")
    history.revert("p", first)
    assert history["p"] == "b"

    history.add("d", "c")
    history.promote("d", "s", "p")
    assert history["p"] == "abc"


def test_a_hotfix_after_a_rollback_goes_everywhere_without_the_rollback(released: History) -> None:
    assert {branch: released[branch] for branch in "psd"} == {"p": "ah", "s": "abch", "d": "abch"}


def test_promoting_again_after_a_rollback(released: History) -> None:
    plan = released.merge("s", "p")
    assert released["p"] == "abch"
    assert plan.reapplies == (), (
        "s kept b and c when it took the hotfix, and with it the rollback: they are its own change"
    )


def test_promoting_again_after_a_rollback_that_nobody_took_over() -> None:
    """U rolls p back to v1.

    d  o---a-------b-------c
               \\       \\       \\
    p  o-------v1------v2------v3--U---M
    """
    history = History("d", "p")
    for line in "abc":
        history.add("d", line)
        history.merge("d", "p")
    first = history.graph.parents(history.graph.parents(history.tip("p"))[0])[0]
    rollback = history.roll_back("p", first)
    assert history["p"] == "a"
    plan = history.merge("d", "p")
    assert history["p"] == "abc"
    assert plan.reapplies == (Undone(rollback, ("c", "b"), ("c", "b")),)


@pytest.fixture
def feature() -> History:
    """A feature is merged and promoted, then its merge is reverted on d: the undo is promoted like any change.

    f  o---f
            \\
    d  o-----D-------U
              \\       \\
    s  o-------S-------S
    """
    history = History("f", "d", "s")
    history.add("f", "f")
    history.merge("f", "d")
    merge = history.tip("d")
    history.merge("d", "s")
    assert history["s"] == "f"
    history.revert("d", merge)
    return history


def test_the_revert_of_a_feature_is_promoted(feature: History) -> None:
    assert feature.merge("d", "s").keeps == ()
    assert feature["s"] == ""


def test_the_revert_of_a_feature_is_not_brought_back_from_staging(feature: History) -> None:
    assert feature.merge("s", "d").reapplies == ()
    assert feature["d"] == ""


def test_the_feature_itself_can_be_merged_again(feature: History) -> None:
    feature.add("f", "g")
    feature.merge("f", "d")
    feature.merge("d", "s")
    assert (feature["d"], feature["s"]) == ("fg", "fg")


@pytest.fixture
def redone(promoted: History) -> History:
    """V reverts U.

    p  o-------M---U---V
    """
    promoted.revert("p")
    return promoted


def test_undoing_the_undo_brings_the_change_back(redone: History) -> None:
    assert redone["p"] == "a"
    assert "a" in present(redone.graph, redone.tip("p"))
    assert redone.merge("s", "p").up_to_date


def test_undoing_the_undo_is_as_if_nothing_had_happened(redone: History) -> None:
    redone.add("d", "f")
    redone.promote("d", "s")
    plan = redone.merge("s", "p")
    assert redone["p"] == "af"
    assert plan.reapplies == () == plan.keeps
    assert plan.bases == tuple(redone.graph.merge_bases(redone.graph.parents(redone.tip("p"))[0], redone.tip("s")))


def test_undoing_the_undo_of_the_undo_undoes(redone: History) -> None:
    redone.revert("p")
    assert redone["p"] == ""
    assert redone.merge("s", "p").reapplies
    assert redone["p"] == "a"


def test_a_revert_of_an_ordinary_commit_is_a_change_like_any_other() -> None:
    """U reverts a on d, so s loses it too.

    d  o---a---U---
    """
    history = History("d", "s")
    history.add("d", "a")
    history.merge("d", "s")
    history.revert("d")
    assert not history.graph.undo(history.tip("d")).commits
    history.merge("d", "s")
    assert history["s"] == ""


def test_keep_undone_asks_for_the_ordinary_base(promoted: History) -> None:
    plan = promoted.merge("s", "p", keep_undone=True)
    assert plan.up_to_date
    assert plan.reapplies == ()
    assert promoted["p"] == ""

    promoted.add("d", "f")
    promoted.merge("d", "s")
    promoted.merge("s", "p", keep_undone=True)
    assert promoted["p"] == "f"


def test_what_was_kept_undone_is_still_undone(promoted: History) -> None:
    """K keeps undone what U undid: a stays where it is, and can still be promoted again.

    d  o---a-------f-----------D
            \\       \\         /
    s  o-----S-------S-------/---
              \\       \\     /    \\
    p  o-------M---U---K---------M
    """
    undo = promoted.tip("p")
    merge = promoted.graph.parents(undo)[0]
    promoted.add("d", "f")
    promoted.merge("d", "s")
    promoted.merge("s", "p", keep_undone=True)
    assert promoted.graph.undo(promoted.tip("p")) == Undo(undoes=(merge,))

    promoted.merge("p", "d")
    assert promoted["d"] == "af"
    plan = promoted.merge("s", "p")
    assert promoted["p"] == "af"
    assert [(undone.undoing, undone.changes) for undone in plan.reapplies] == [(undo, ("a",))]


def test_undoing_a_merge_that_kept_something_undone(promoted: History) -> None:
    promoted.add("d", "f")
    promoted.merge("d", "s")
    promoted.merge("s", "p", keep_undone=True)
    kept = promoted.tip("p")
    first = promoted.graph.first_parents(kept)
    promoted.revert("p")
    assert promoted["p"] == ""
    assert promoted.graph.undo(promoted.tip("p")) == Undo(undoes=(kept,))
    promoted.merge("s", "p")
    assert promoted["p"] == "af"
    assert next(first) == kept


def test_an_undo_that_both_sides_have_changes_nothing(promoted: History) -> None:
    promoted.branch("h", "p")
    promoted.add("h", "h")
    promoted.add("p", "x")
    plan = promoted.merge("h", "p")
    assert plan.reapplies == () == plan.keeps
    assert promoted["p"] == "hx"


def test_a_hotfix_from_before_the_undo_does_not_bring_it_back() -> None:
    """The hotfix knows a only through the merge that was undone.

    p  o---M---U---M
                \\     /
    h             h--
    """
    history = History("d", "s", "p")
    history.add("d", "a")
    history.promote("d", "s", "p")
    history.branch("h", "p")
    history.add("h", "h")
    history.revert("p")
    assert history.merge("h", "p").reapplies == ()
    assert history["p"] == "h"


def test_a_hotfix_from_before_a_rollback_does_not_bring_part_of_it_back() -> None:
    """The hotfix knows b and c only through v2 and v3: also v3 is production's own line, though it reaches b past v2.

    d  o---a-------b-------c
            \\       \\       \\
    p  o-----v1------v2------v3--U---M
                              \\     /
    h                           h---
    """
    history = History("d", "p")
    for line in "abc":
        history.add("d", line)
        history.merge("d", "p")
    first = history.graph.parents(history.graph.parents(history.tip("p"))[0])[0]
    history.branch("h", "p")
    history.add("h", "h")
    history.roll_back("p", first)
    assert history.merge("h", "p").reapplies == ()
    assert history["p"] == "ah"
    assert history.merge("d", "p").reapplies[0].changes == ("c", "b")
    assert history["p"] == "abch"


def test_a_branch_that_took_over_an_undo_can_have_the_change_from_where_it_came() -> None:
    """Here s knew a only from p and so loses it with U; h, where a was made, can still bring it.

    h  o---a-------------------
            \\                  \\
    p  o-----M-----U            \\
              \\     \\            \\
    s  o-------S-----S-----------S
    """
    history = History("h", "p", "s")
    history.add("h", "a")
    history.merge("h", "p")
    history.merge("p", "s")
    undo = history.revert("p")
    history.merge("p", "s")
    assert history["s"] == ""
    assert "a" not in present(history.graph, history.tip("s"))

    plan = history.merge("h", "s")
    assert history["s"] == "a"
    assert [(undone.undoing, undone.changes) for undone in plan.reapplies] == [(undo, ("a",))]


def test_an_undo_that_both_sides_know_is_news_again_below_it() -> None:
    """V undoes the second M, which brought nothing; the base falls below U, which s has known and not taken over.

    s  o---a---S-----------S---
            \\ / \\         /    \\
    p  o-----M---M---U----V-----M
    """
    history = History("s", "p")
    history.add("s", "a")
    history.merge("s", "p")
    first = history.tip("p")
    history.merge("p", "s")
    history.merge("s", "p")
    second = history.tip("p")
    history.revert("p", first)
    history.merge("p", "s")
    history.revert("p", second)
    assert (history["s"], history["p"]) == ("a", "")
    history.merge("s", "p")
    assert history["p"] == "a"


def test_undoing_a_promotion_of_nothing_brings_nothing_back_when_it_is_redone() -> None:
    """E promotes only what U undid, from a branch that has it from p: it brings nothing, nor does W, which redoes it.

    h  o---a-----------------------
            \\                      \\
    p  o-----M---U---E---V---W-----M
              \\     /
    s  o-------S---
    """
    history = History("h", "p", "s")
    history.add("h", "a")
    history.merge("h", "p")
    history.merge("p", "s")
    history.revert("p")
    history.merge("s", "p")
    assert brought(history.graph, history.tip("p")) == {history.tip("s")}
    history.revert("p")
    history.revert("p")
    assert history["p"] == ""
    history.merge("h", "p")
    assert history["p"] == "a"


def test_promoting_again_and_undoing_again(promoted: History) -> None:
    promoted.merge("s", "p")
    second = promoted.revert("p")
    assert promoted["p"] == ""
    plan = promoted.merge("s", "p")
    assert [undone.undoing for undone in plan.reapplies] == [second]
    assert promoted["p"] == "a"


def test_a_second_merge_after_it_came_back_is_up_to_date(promoted: History) -> None:
    promoted.merge("s", "p")
    assert promoted.merge("s", "p").up_to_date


def test_undoing_an_undo_does_not_count_what_another_undo_took_away(promoted: History) -> None:
    """Both M bring a. V redoes the second, W undoes the first, X undoes V, and Y undoes X: nothing changes after W.

    p  o---M---U---M---U---V---W---X---Y---M
    """
    first = promoted.graph.parents(promoted.tip("p"))[0]
    promoted.merge("s", "p")
    promoted.revert("p")
    redo = promoted.revert("p")
    assert promoted["p"] == "a"
    promoted.revert("p", first)
    promoted.revert("p", redo)
    promoted.revert("p")
    assert promoted["p"] == ""
    assert "a" not in present(promoted.graph, promoted.tip("p"))
    promoted.merge("s", "p")
    assert promoted["p"] == "a"


def test_undoing_a_rollback_to_what_an_undone_merge_brought(promoted: History) -> None:
    """Both M bring a. R restores the second after W undid the first, and X undoes R.

    p  o---M---U---M---W---R---X---M
    """
    first = promoted.graph.parents(promoted.tip("p"))[0]
    promoted.merge("s", "p")
    second = promoted.tip("p")
    promoted.revert("p", first)
    promoted.roll_back("p", second)
    assert promoted["p"] == "a"
    promoted.revert("p")
    assert promoted["p"] == ""
    assert "a" not in present(promoted.graph, promoted.tip("p"))
    promoted.merge("s", "p")
    assert promoted["p"] == "a"


def test_a_rollback_redoes_only_what_was_there() -> None:
    """The second M brings a again, and b. W undoes the first, X undoes the second, and R goes back to W, with only b.

    p  o---M---U---M---W---X---R---M
    """
    history = History("s", "p")
    history.add("s", "a")
    history.merge("s", "p")
    first = history.tip("p")
    history.revert("p")
    history.add("s", "b")
    history.merge("s", "p")
    second = history.tip("p")
    restored = history.revert("p", first)
    history.revert("p", second)
    history.roll_back("p", restored)
    assert history["p"] == "b"
    assert present(history.graph, history.tip("p")) & {"a", "b"} == {"b"}
    history.merge("s", "p")
    assert history["p"] == "ab"


def _steps(history: History) -> Iterator[Callable[[History], object]]:
    """Everything that can be done next on production: promote again or something new, undo or go back to a commit."""
    yield lambda played: played.merge("s", "p")
    yield lambda played: (played.add("s", f"+{len(played.graph)}"), played.merge("s", "p"))
    line = list(history.graph.first_parents(history.tip("p")))[:-1]
    for commit in line:
        if len(history.graph.parents(commit)) > 1 or commit in history.graph.undoing(commit):
            yield partial(History.revert, branch="p", commit=commit)
    for commit in line[1:]:
        yield partial(History.roll_back, branch="p", restored=commit)


def test_on_one_line_every_sequence_of_undos_keeps_account_of_what_is_there() -> None:
    """Grid: all sequences of four steps after the first promotion."""
    start = History("s", "p")
    start.add("s", "a")
    start.merge("s", "p")
    histories = [start]
    for _ in range(4):
        histories = [_after(history, step) for history in histories for step in _steps(history)]
        for history in histories:
            made = history.content[history.tip("s")]
            assert present(history.graph, history.tip("p")) & made == history.content[history.tip("p")]
    assert len(histories) > 500
    for history in histories:
        history.merge("s", "p")
        assert history.content[history.tip("p")] == history.content[history.tip("s")]


def _after(history: History, step: Callable[[History], object]) -> History:
    played = deepcopy(history)
    step(played)
    return played


# What is recorded.


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


# The rule's three sets, by name.


def _absent(graph: CommitGraph, commit: str, other: str) -> frozenset[str]:
    """The commits that were undone in a commit and that another one, about to be merged with it, carries by itself."""
    return frozenset[str]().union(*_undone_between(graph, commit, other)[0].values())


def test_present_brought_and_absent(promoted: History) -> None:
    graph, undo, staged = promoted.graph, promoted.tip("p"), promoted.tip("s")
    merge = graph.parents(undo)[0]
    assert brought(graph, merge) == {"a", staged}
    assert present(graph, merge) == {"root", "a", staged, merge}
    assert present(graph, undo) == {"root", merge, undo}
    assert _absent(graph, undo, staged) == {"a", staged}
    assert _absent(graph, staged, undo) == frozenset()
    assert _absent(graph, undo, merge) == frozenset(), "a commit that knows a only through the merge"
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


# The rule against its own definition, and against ordinary merges, on random histories.


class Definition:
    """The rule as it is written down (docs/architecture.md), without any care for its cost."""

    def __init__(self, graph: CommitGraph) -> None:
        self.graph = graph
        self.known: dict[str, frozenset[str]] = {}

    def present(self, commit: str) -> frozenset[str]:
        if commit not in self.known:
            self.known[commit] = self._present(commit)
        return self.known[commit]

    def _present(self, commit: str) -> frozenset[str]:
        parents, undo = self.graph.parents(commit), self.graph.undo(commit)
        found = frozenset[str]().union(*map(self.present, parents))
        for side, other in permutations(parents, 2):
            for undoing in self.undoing(side) - self.undoing(other):
                for merge in self.graph.undo(undoing).undoes:
                    if not self.by_itself(other, undoing, merge):
                        found -= self.brought(merge) & self.present(other) - self.present(side)
        reverted = self.graph.reverted_undo(commit)
        if reverted:
            before, after = self.present(self.graph.parents(reverted)[0]), self.present(reverted) - {reverted}
            return found - (after - before) | (before - after) | {commit}
        for merge in undo.undoes:
            found -= self.brought(merge)
        if undo.restores:
            return found | self.present(undo.restores) | {commit}
        for merge in undo.redoes:
            found |= self.brought(merge)
        return found | {commit}

    def brought(self, merge: str) -> frozenset[str]:
        return self.present(merge) - {merge} - self.present(self.graph.parents(merge)[0])

    def undoing(self, commit: str) -> set[str]:
        return {c for c in self.graph.ancestors(commit) if self.graph.undo(c).commits}

    def by_itself(self, commit: str, undoing: str, merge: str) -> bool:
        """Whether the commit reaches what the merge brought, other than through the line that undid it."""
        line = [merge, *takewhile(lambda c: c != merge, self.graph.first_parents(undoing))]
        pending, seen = [commit], set(line)
        while pending:
            current = pending.pop()
            if current not in seen and current in self.brought(merge):
                return True
            pending += () if current in seen else self.graph.parents(current)
            seen.add(current)
        return False

    def absent(self, commit: str, other: str, settled: set[str]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for undoing in self.undoing(commit) - settled:
            for merge in self.graph.undo(undoing).undoes:
                if self.by_itself(other, undoing, merge):
                    gone = self.brought(merge) - self.present(commit)
                    found |= gone & self.present(other) if undoing in self.undoing(other) else gone
        return found

    def plan(self, ours: str, theirs: str) -> tuple[frozenset[str], frozenset[str], set[str]]:
        """What is absent from ours, from theirs, and the bases."""
        graph = self.graph
        settled = self.undoing(ours) & self.undoing(theirs)
        while True:
            gone = self.absent(ours, theirs, settled), self.absent(theirs, ours, settled)
            absent = gone[0] | gone[1]
            common = {c for c in graph.ancestors(ours) & graph.ancestors(theirs) if not graph.ancestors(c) & absent}
            bases = {c for c in common if not any(c != other and graph.is_ancestor(c, other) for other in common)}
            below = {undoing for undoing in settled if not any(graph.is_ancestor(undoing, base) for base in bases)}
            if not below:
                return *gone, bases
            settled -= below


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["add", "merge", "merge", "merge", "undo", "undo", "roll back"]),
        st.sampled_from("dsp"),
        st.integers(0, 5),
    ),
    min_size=4,
    max_size=16,
)


def played(moves: list[tuple[str, str, int]]) -> History:
    history = History("d", "s", "p")
    history.add("d", "+")
    for verb, branch, number in moves:
        graph = history.graph
        line = list(graph.first_parents(history.tip(branch)))[:-1]
        undoable = [c for c in line if len(graph.parents(c)) > 1 or graph.undo(c).commits]
        if verb == "add":
            history.add(branch, f"+{len(graph)}")
        elif verb == "merge":
            history.merge([other for other in "dsp" if other != branch][number % 2], branch)
        elif verb == "undo" and undoable:
            history.revert(branch, undoable[number % len(undoable)])
        elif verb == "roll back" and line:
            history.roll_back(branch, line[number % len(line)])
    return history


@settings(max_examples=300, deadline=None)
@given(MOVES)
def test_the_sets_are_those_of_the_definition(moves: list[tuple[str, str, int]]) -> None:
    history = played(moves)
    graph = history.graph
    defined = Definition(graph)
    for branch in "dsp":
        tip = history.tip(branch)
        assert present(graph, tip) == defined.present(tip)
        for other in "dsp":
            assert _absent(graph, tip, history.tip(other)) == defined.plan(tip, history.tip(other))[0]
        for merge in graph.ancestors(tip):
            assert brought(graph, merge) == (defined.brought(merge) if len(graph.parents(merge)) > 1 else frozenset())


@settings(max_examples=300, deadline=None)
@given(MOVES)
def test_the_bases_are_those_of_the_definition(moves: list[tuple[str, str, int]]) -> None:
    history = played(moves)
    graph = history.graph
    for ours, theirs in [(history.tip(a), history.tip(b)) for a in "dsp" for b in "dsp"]:
        defined = Definition(graph)
        here, there, bases = defined.plan(ours, theirs)
        plan = plan_merge(graph, ours, theirs)
        assert set(plan.bases) >= bases
        shared = defined.present(ours) & defined.present(theirs)
        if all(shared & graph.ancestors(base) <= defined.present(base) for base in bases):
            assert set(plan.bases) == bases
        assert plan.up_to_date == (graph.is_ancestor(theirs, ours) and not here | there)
        ordinary = plan_merge(graph, ours, theirs, keep_undone=True)
        assert list(ordinary.bases) == graph.merge_bases(ours, theirs)


@settings(max_examples=200, deadline=None)
@given(MOVES)
def test_a_merge_never_brings_a_line_that_neither_side_has_nor_loses_one_that_both_have(
    moves: list[tuple[str, str, int]],
) -> None:
    history = played(moves)
    ours, theirs = history.content[history.tip("p")], history.content[history.tip("s")]
    history.merge("s", "p")
    merged = history.content[history.tip("p")]
    assert ours & theirs <= merged <= ours | theirs


# What the rule is for, on random histories of environments: undone on production only, nothing is ever lost.

ENVIRONMENT_MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["add d", "add h", "d s", "s p", "p d", "p s", "s d", "h p", "h s", "h d", "undo", "undo last", "roll back"]
        ),
        st.integers(0, 5),
    ),
    min_size=4,
    max_size=18,
)


@settings(max_examples=1500, deadline=None)
@given(ENVIRONMENT_MOVES)
def test_what_is_undone_on_production_is_lost_nowhere(moves: list[tuple[str, int]]) -> None:
    history = History("d", "s", "p", "h")
    kept: dict[str, set[str]] = {"d": set(), "h": set()}
    for verb, number in moves:
        graph = history.graph
        line = list(graph.first_parents(history.tip("p")))[:-1]
        undoable = [c for c in line if len(graph.parents(c)) > 1 or graph.undo(c).commits]
        if verb.startswith("add"):
            branch = verb[-1]
            name = f"{branch}{len(graph)}"
            history.add(branch, name)
            kept[branch].add(name)
        elif verb == "undo last" and undoable[:1] == line[:1] and line:
            history.revert("p")
        elif verb == "undo" and undoable:
            history.revert("p", undoable[number % len(undoable)])
        elif verb == "roll back" and line:
            history.roll_back("p", line[number % len(line)])
        elif " " in verb and verb[0] in "dsph" and verb[2] in "dsp":
            source, target = verb.split()
            plan = history.merge(source, target)
            if source in kept:
                assert kept[source] <= history.content[history.tip(target)], "a branch brings all that it made"
            if verb == "h d" and not plan.up_to_date:
                kept["d"] |= kept["h"]
            if verb == "s p":
                made = {name for name in history.content[history.tip("s")] if name[0] == "d"}
                assert made <= history.content[history.tip("p")]
        assert kept["d"] <= history.content[history.tip("d")], "development loses nothing"
    history.promote("d", "s", "p")
    assert kept["d"] <= history.content[history.tip("p")], "a promotion brings everything"
