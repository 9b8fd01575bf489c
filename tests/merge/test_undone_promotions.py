"""Undone promotions through SQL: every history of the rule, and more, on tables, with the messages that merges leave.

``environments.py`` says what the pictures show.
"""

from __future__ import annotations

import pytest

from tests.merge.environments import NAMES, Environments, begun

Undone = tuple[Environments, str]


def test_promoting_again_with_nothing_new(undone: Undone) -> None:
    """Promoting again with nothing new.

    s  o---a-----------
            \\          \\
    p  o-----M---U-----M
    """
    env, undo = undone
    assert env.merge("s", "p") == f"re-applies 1 commit that {undo} undid"
    env.expect(p="a", s="a", d="a")
    assert env.merge("s", "p") == "up-to-date"
    assert env.log("p") == [
        "Merge staging into production",
        'Revert "Merge staging into production"',
        "Merge staging into production",
        "Initial commit",
    ]


def test_promoting_again_with_a_fix(undone: Undone) -> None:
    """Promoting again with a fix.

    d  o---a-------x
            \\       \\
    s  o-----S-------S
              \\       \\
    p  o-------M---U---M
    """
    env, undo = undone
    env.on("d")
    env.repo("UPDATE letters SET note = 'fixed'")
    env.repo.commit("Fix a")
    env.merge("d", "s")
    assert env.merge("s", "p") == f"re-applies 1 commit that {undo} undid"
    env.expect(p="a", s="a", d="a")
    assert env.repo.at("production", "letters") == [("a", "fixed")]


@pytest.mark.slow
def test_the_message_counts_the_commits_that_come_back(env: Environments) -> None:
    """The message counts the commits that come back.

    d  o---a---b---c
                    \\
    s  o-------------S------
                      \\     \\
    p  o---------------M--U--M
    """
    env.add("d", "abc")
    env.promote("dsp")
    undo = env.revert("p")
    assert env.merge("s", "p") == f"re-applies 3 commits that {undo} undid"
    env.expect(p="abc", s="abc", d="abc")


def test_merging_production_back_keeps_what_was_undone_there(undone: Undone) -> None:
    """Merging production back keeps what was undone there.

    d  o---a-----------D
            \\         /
    s  o-----S       /
              \\     /
    p  o-------M---U
    """
    env, undo = undone
    assert env.merge("p", "d") == f"keeps 1 commit that {undo} undid on production"
    env.expect(p="", s="a", d="a")
    assert env.merge("p", "d") == "up-to-date"


def test_merging_back_does_not_fast_forward_to_the_undo(undone: Undone) -> None:
    """Merging back does not fast forward to the undo.

    s  o-----S-------X     (no fast-forward to U: it would take a away)
              \\     /
    p  o-------M---U
    """
    env, _ = undone
    status = env.repo.one("SELECT status FROM epoch_merge('production', target := 'staging', ff := true)")
    assert status == "merged"
    env.expect(p="", s="a", d="a")


@pytest.mark.slow
def test_a_fix_after_merging_back(undone: Undone) -> None:
    """A fix after merging back.

    d  o---a-----------D---b
            \\         /     \\
    s  o-----S       /       S
              \\     /         \\
    p  o-------M---U-----------M
    """
    env, _ = undone
    env.merge("p", "d")
    env.add("d", "b")
    env.promote("dsp")
    env.expect(p="ab", s="ab", d="ab")


@pytest.mark.slow
def test_an_undo_after_the_branches_were_in_sync(env: Environments) -> None:
    """An undo after the branches were in sync.

    d  o---a-------D---b
            \\     /     \\
    s  o-----S   /       S
              \\ /         \\
    p  o-------M---U-------M
    """
    env.add("d", "a")
    env.promote("dspd")
    env.revert("p")
    env.add("d", "b")
    env.promote("dsp")
    env.expect(p="ab", s="ab", d="ab")


@pytest.mark.slow
def test_undoing_the_first_of_two_promotions(env: Environments) -> None:
    """Undoing the first of two promotions.

    d  o---a-------b-----------c
            \\       \\           \\
    s  o-----S-------S-----------S
              \\       \\           \\
    p  o-------M-------M---U-------M
    """
    env.add("d", "a")
    env.promote("dsp")
    first = env.tip("p")
    env.add("d", "b")
    env.promote("dsp")
    undo = env.revert("p", first)
    env.expect(p="b", s="ab", d="ab")

    env.add("d", "c")
    assert env.promote("dsp") == f"re-applies 1 commit that {undo} undid"
    env.expect(p="abc", s="abc", d="abc")


@pytest.mark.slow
def test_undoing_the_second_of_three_promotions(env: Environments) -> None:
    """Undoing the second of three promotions.

    s  o---a-------b-------c-----------
            \\       \\       \\          \\
    p  o-----M-------M-------M----U-----M
    """
    merges = []
    for letter in "abc":
        env.add("s", letter)
        env.merge("s", "p")
        merges.append(env.tip("p"))
    undo = env.revert("p", merges[1])
    env.expect(p="ac", s="abc")
    assert env.merge("p", "s") == f"keeps 1 commit that {undo} undid on production"
    env.expect(p="ac", s="abc")
    env.merge("s", "p")
    env.expect(p="abc", s="abc")


@pytest.mark.slow
def test_a_hotfix_from_before_a_revert_leaves_it_in_force(env: Environments) -> None:
    """A hotfix from before a revert leaves it in force.

    p  o---M---U---M
            \\     /
    h        x---
    """
    env.add("s", "a")
    env.merge("s", "p")
    env.branch("h", "p")
    env.add("h", "x")
    env.revert("p")
    assert env.merge("h", "p") == ""
    env.expect(p="x", s="a", h="ax")


@begun
def feature(env: Environments) -> None:
    """A feature merged and promoted, then its merge reverted where it was merged first.

    f  o---a
            \\
    d  o-----D-------U
              \\
    s  o-------S
    """
    env.branch("f", "d")
    env.add("f", "a")
    env.promote("fds")
    env.revert("d")
    env.expect(d="", s="a", f="a")


def test_the_revert_of_a_feature_is_promoted(feature: Environments) -> None:
    """The revert of a feature is promoted.

    d  o-----D-------U
              \\       \\
    s  o-------S-------S
    """
    assert feature.merge("d", "s") == ""
    feature.expect(d="", s="")


def test_the_revert_of_a_feature_is_not_brought_back(feature: Environments) -> None:
    """The revert of a feature is not brought back.

    d  o-----D-------U---(D)
              \\         /
    s  o-------S-------
    """
    assert feature.merge("s", "d") == "up-to-date"
    feature.expect(d="", s="a")


@pytest.mark.slow
def test_the_feature_can_be_merged_again(feature: Environments) -> None:
    """The feature can be merged again.

    f  o---a-----------b
            \\           \\
    d  o-----D-------U---D
    """
    feature.add("f", "b")
    assert feature.merge("f", "d").startswith("re-applies 1 commit that ")
    feature.merge("d", "s")
    feature.expect(d="ab", s="ab", f="ab")


def test_undoing_the_undo_counts_as_merged_again(undone: Undone) -> None:
    """Undoing the undo counts as merged again.

    d  o---a---------------b
            \\               \\
    s  o-----S---------------S
              \\               \\
    p  o-------M---U---V-------M
    """
    env, _ = undone
    env.revert("p")
    env.expect(p="a", s="a", d="a")
    assert env.merge("s", "p") == "up-to-date"
    env.add("d", "b")
    assert env.promote("dsp") == ""
    env.expect(p="ab", s="ab", d="ab")


@pytest.mark.slow
def test_undoing_the_undo_of_the_undo(undone: Undone) -> None:
    """Undoing the undo of the undo.

    s  o---a-----------------
            \\                \\
    p  o-----M---U---V---U2---M
    """
    env, _ = undone
    env.revert("p")
    again = env.revert("p")
    env.expect(p="", s="a")
    assert env.merge("s", "p") == f"re-applies 1 commit that {again} undid"
    env.expect(p="a", s="a")


@pytest.mark.slow
def test_promoting_again_and_undoing_again(undone: Undone) -> None:
    """Promoting again and undoing again.

    s  o---a-----------------
            \\      \\         \\
    p  o-----M---U---M---U2---M
    """
    env, _ = undone
    env.merge("s", "p")
    second = env.revert("p")
    env.expect(p="", s="a")
    assert env.merge("s", "p") == f"re-applies 1 commit that {second} undid"
    env.expect(p="a", s="a")


def test_keep_undone_leaves_it_out(undone: Undone) -> None:
    """K is a promotion with keep_undone.

    d  o---a-------b-----------D
            \\       \\         /
    s  o-----S-------S------------
              \\       \\     /     \\
    p  o-------M---U---K----------M
    """
    env, undo = undone
    assert env.merge("s", "p", keep_undone=True) == "up-to-date"
    env.add("d", "b")
    env.merge("d", "s")
    env.merge("s", "p", keep_undone=True)
    env.expect(p="b", s="ab", d="ab")
    assert env.merge("p", "d") == f"keeps 1 commit that {undo} undid on production"
    env.expect(p="b", s="ab", d="ab")
    assert env.merge("s", "p") == f"re-applies 1 commit that {undo} undid"
    env.expect(p="ab", s="ab", d="ab")


@pytest.mark.slow
def test_a_conflict_does_not_forget_keep_undone(undone: Undone) -> None:
    """K, with keep_undone, stops on x, which both sides added.

    d  o---a-------x
            \\       \\
    s  o-----S-------S-----------S---
              \\       \\         /     \\
    p  o-------M---U-x-K-------------M
    """
    env, _ = undone
    env.add("p", "x")
    env.on("d")
    env.repo("INSERT INTO letters VALUES ('x', 'otherwise')")
    env.repo.commit("Add x otherwise")
    env.merge("d", "s")
    env.repo.refused("CALL epoch_merge('staging', target := 'production', keep_undone := true)")
    env.repo("CALL epoch_resolve(side := 'theirs', target := 'production')")
    env.repo("CALL epoch_merge_continue(target := 'production')")
    env.on("p")
    env.expect(p="x", s="ax", d="ax")
    env.merge("p", "s")
    env.expect(p="x", s="ax", d="ax")
    env.merge("s", "p")
    env.expect(p="ax", s="ax", d="ax")


@pytest.mark.slow
def test_cherry_picking_what_was_undone(env: Environments) -> None:
    """Picks b (as b') out of the undone promotion of a and b.

    d  o---a---b----------------
                \\               \\
    p  o---------M---U---b'------M
    """
    env.add("d", "ab")
    env.merge("d", "p")
    undo = env.revert("p")
    env.on("p")
    env.repo("CALL epoch_cherry_pick('development')")
    env.expect(p="b", d="ab")
    assert env.merge("p", "d") == f"keeps 2 commits that {undo} undid on production"
    env.expect(p="b", d="ab")
    env.merge("d", "p")
    env.expect(p="ab", d="ab")


def test_an_undo_taken_over_and_the_change_brought_from_where_it_was_made(env: Environments) -> None:
    """An undo taken over and the change brought from where it was made.

    h  o---a-------------------
            \\                  \\
    p  o-----M-----U            \\
              \\     \\            \\
    s  o-------S-----S-----------S
    """
    env.branch("h", "p")
    env.add("h", "a")
    env.promote("hps")
    undo = env.revert("p")
    assert env.merge("p", "s") == ""
    env.expect(p="", s="", h="a")
    assert env.merge("h", "s") == f"re-applies 1 commit that {undo} undid"
    env.expect(p="", s="a", h="a")


def test_a_revert_of_an_ordinary_commit_is_promoted_like_any_change(env: Environments) -> None:
    """A revert of an ordinary commit is promoted like any change.

    d  o---a---U
            \\   \\
    s  o-----S---S
    """
    env.add("d", "a")
    env.merge("d", "s")
    env.revert("d")
    assert env.merge("d", "s") == ""
    env.expect(d="", s="")


def test_undoing_and_promoting_changes_of_a_row(env: Environments) -> None:
    """a1 and a2 change the note of a; only the second promotion is undone, and a hotfix h is made in between.

    d  o---a---a1------a2------------------D
                \\       \\                 /
    p  o---------M-------M---U---M-------
                              \\ / \\
    h                          h
    """
    env.add("d", "a")
    for note in ("one", "two"):
        env.on("d")
        env.repo("UPDATE letters SET note = ?", note)
        env.repo.commit(note)
        env.merge("d", "p")
    undo = env.revert("p")
    assert env.repo.at("production", "letters") == [("a", "one")]
    env.branch("h", "p")
    env.add("h", "h")
    env.merge("h", "p")
    assert env.merge("p", "d") == f"keeps 1 commit that {undo} undid on production"
    assert env.repo.at("development", "letters") == [("a", "two"), ("h", "from h")]
    env.merge("d", "p")
    assert env.repo.at("production", "letters") == [("a", "two"), ("h", "from h")]


def test_back_merges_alone_are_no_promotion(env: Environments) -> None:
    """D merges p back: d has nothing to promote, so nothing is added to p's promotion log.

    d  o---a-----D
            \\   /
    p  o-----M-------(M)
    """
    env.add("d", "a")
    env.merge("d", "p")
    env.merge("p", "d")
    log = env.log("p")
    assert env.merge("d", "p") == "up-to-date"
    assert env.log("p") == log
    env.add("d", "b")
    assert env.merge("d", "p") == ""
    env.expect(p="ab", d="ab")


def test_a_back_merge_that_was_resolved_is_promoted(env: Environments) -> None:
    """D decides a conflict: that is a change of d, which p gets."""
    env.add("d", "a")
    env.add("p", "a")
    env.repo.refused("CALL epoch_merge('production', target := 'development')")
    env.repo("CALL epoch_resolve(side := 'ours', target := 'development')")
    env.repo("CALL epoch_merge_continue(target := 'development')")
    assert env.merge("d", "p") == ""
    assert env.repo.at("production", "letters") == [("a", "from d")]


def test_a_commit_that_changes_nothing_is_merged_all_the_same(env: Environments) -> None:
    """A commit of its own is promoted, and logged, also when the content is there already."""
    env.on("d")
    env.repo("CALL epoch_commit('Nothing', allow_empty := true)")
    assert env.merge("d", "p") == ""
    assert env.log("p") == ["Merge development into production", "Initial commit"]


@begun
def bag(env: Environments) -> None:
    """A second table, without a key, on all branches."""
    env.on("p")
    env.repo("CREATE TABLE bag (letter VARCHAR)")
    env.repo.commit("bag")
    for target in "sd":
        env.merge("p", target)


def put(env: Environments, branch: str, letter: str) -> None:
    env.on(branch)
    env.repo("INSERT INTO bag VALUES (?)", letter)
    env.repo.commit(letter)


def in_bag(env: Environments, branch: str) -> str:
    return "".join(row[0] for row in env.repo.at(NAMES[branch], "bag"))


@pytest.mark.slow
def test_rows_without_a_key_are_not_doubled(bag: Environments) -> None:
    """A bag is merged by multiplicity: what both sides have from before the undo must not count as added by both.

    d  o---a-------b-----------c
            \\       \\           \\
    p  o-----M-------M---U-------M
    """
    put(bag, "d", "a")
    bag.merge("d", "p")
    put(bag, "d", "b")
    bag.merge("d", "p")
    undo = bag.revert("p", "HEAD~1")
    assert in_bag(bag, "p") == "b"
    put(bag, "d", "c")
    assert bag.merge("d", "p") == f"re-applies 1 commit that {undo} undid"
    assert in_bag(bag, "p") == "abc"
    bag.merge("p", "d")
    assert in_bag(bag, "d") == "abc"


@pytest.mark.slow
def test_merging_back_does_not_double_rows_without_a_key(bag: Environments) -> None:
    """The row x is on both sides when the base falls before a.

    d  o---a---------D-------D
            \\       /       /
    p  o-----M---x-------U---
    """
    put(bag, "d", "a")
    bag.merge("d", "p")
    merge = bag.tip("p")
    put(bag, "p", "x")
    bag.merge("p", "d")
    undo = bag.revert("p", merge)
    assert in_bag(bag, "p") == "x"
    assert bag.merge("p", "d") == f"keeps 1 commit that {undo} undid on production"
    assert in_bag(bag, "d") == "ax"
    bag.merge("d", "p")
    assert in_bag(bag, "p") == "ax"
