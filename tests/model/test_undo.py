"""Undone promotions: every history of the rule, played on a model where a commit's content is a set of lines.

The letters of the pictures are those of conftest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial

from epoch_sql.model.graph import Undo
from epoch_sql.model.undo import Undone, brought, present
from tests.model.promotions import History


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
