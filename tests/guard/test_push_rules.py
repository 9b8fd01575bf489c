"""What a remote's protection makes of a push, decided from commits and reviews alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from epoch_sql.errors import EpochProtectionError
from epoch_sql.guard.rules import Evidence, check_push
from epoch_sql.model.commit import Commit, Origin, Resolution
from epoch_sql.model.graph import CommitGraph, Undo
from epoch_sql.model.protection import APPROVE, REJECT, Protection, Review, new_review

START = datetime(2026, 1, 1)
REVIEWED = Protection("production", require_review=True)
GROWS = Protection("production", no_force_push=True)


class History:
    """Commits made by name: each has content of its own, unless it goes back to that of another."""

    def __init__(self) -> None:
        self.graph = CommitGraph()
        self.made: dict[str, Commit] = {}
        self.reviews: list[Review] = []
        self.forged: set[str] = set()

    def __getitem__(self, name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()

    def commit(self, name: str, *parents: str, author: str = "Ada <a@x>", like: str = "", message: str = "") -> str:
        at = START + timedelta(minutes=len(self.made))
        ids = tuple(self[parent] for parent in parents)
        tree_id = self.made[self[like]].tree_id if like else f"tree of {name}"
        commit = Commit(self[name], tree_id, "root", ids, author, at, message or name)
        self.made[self[name]] = commit
        self.graph.add(self[name], ids, at)
        return self[name]

    def undo(self, name: str, parent: str, undone: str) -> str:
        """A revert of a merge whose content nobody had before."""
        made = self.commit(name, parent)
        self.record(name, Origin(reverts=self[undone], undoes=(self[undone],)))
        return made

    def record(self, name: str, origin: Origin) -> None:
        """Let a commit say how it came about."""
        self.made[self[name]] = replace(self.made[self[name]], origin=origin)
        self.graph = CommitGraph()
        for commit in self.made.values():
            o = commit.origin
            undo = Undo(o.undoes, o.redoes, o.restores)
            self.graph.add(commit.commit_id, commit.parents, commit.committed_at, undo, o.reverts)

    def review(self, name: str, reviewer: str = "Bo <b@x>", verdict: str = APPROVE, target: str = "production") -> None:
        at = START + timedelta(days=1, minutes=len(self.reviews))
        self.reviews.append(new_review(name, self[name], target, verdict, reviewer, None, at))

    def commits(self, ids: Iterable[str]) -> Mapping[str, Commit]:
        return {commit_id: self.made[commit_id] for commit_id in ids if commit_id in self.made}

    def genuine(self, commit: Commit) -> bool:
        return commit.commit_id not in self.forged

    def push(self, old: str | None, new: str | None, protection: Protection = REVIEWED) -> str | None:
        """Why the push is refused; None if it is not."""
        evidence = Evidence(self.graph, self.commits, self.reviews, self.genuine, lambda _: ())
        try:
            check_push(protection, evidence, self[old] if old else None, self[new] if new else None)
        except EpochProtectionError as error:
            assert error.hint and error.branch == "production"
            return error.message
        return None


@pytest.fixture
def history() -> History:
    """a is what the remote has; s1 and s2 by Ada lie on staging; m merges s2 into production."""
    made = History()
    made.commit("a")
    made.commit("s1", "a")
    made.commit("s2", "s1")
    made.commit("m", "a", "s2", like="s2")
    return made


def test_a_merge_of_an_approved_commit_may_be_pushed(history: History) -> None:
    assert "requires a review of what" in str(history.push("a", "m"))
    history.review("s1")
    assert "nobody has approved" in str(history.push("a", "m"))
    history.review("s2", "Ada <A@X>")
    assert "is an author of what it brings in" in str(history.push("a", "m"))
    assert history.push("a", "m", replace(REVIEWED, allow_self_review=True)) is None
    history.review("s2", target="staging")
    assert history.push("a", "m") is not None
    history.review("s2")
    assert history.push("a", "m") is None
    history.review("s2", "Cy <c@x>", REJECT)
    assert "Cy <c@x> rejected" in str(history.push("a", "m"))


def test_each_commit_of_the_line_is_judged(history: History) -> None:
    history.review("s2")
    history.commit("direct", "m")
    assert "it takes no direct commit" in str(history.push("a", "direct"))
    history.commit("s3", "s2", author="Di <d@x>")
    history.commit("m2", "direct", "s3")
    history.review("s3")
    assert "it takes no direct commit" in str(history.push("a", "m2"))
    assert history.push("direct", "m2") is None, "what is there already is not judged"


def test_a_squash_is_judged_by_what_it_was_made_of(history: History) -> None:
    history.commit("squash", "a")
    assert "direct commit" in str(history.push("a", "squash"))
    history.record("squash", Origin(squashes=history["s2"]))
    assert "requires a review of what" in str(history.push("a", "squash"))
    history.review("s2")
    assert history.push("a", "squash") is None


def test_a_fast_forward_of_an_approved_commit_may_be_pushed(history: History) -> None:
    history.review("s1")
    assert "direct commit" in str(history.push("a", "s2"))
    assert history.push("a", "s1") is None
    history.review("s2")
    assert history.push("a", "s2") is None
    history.commit("after", "s2")
    assert "direct commit" in str(history.push("a", "after"))


def test_undoing_needs_no_review(history: History) -> None:
    history.review("s2")
    history.commit("rollback", "m", like="a")
    history.commit("redo", "rollback", like="m")
    assert history.push("a", "redo") is None
    assert history.push("m", "rollback") is None
    history.commit("s3", "s2", author="Di <d@x>")
    history.commit("m2", "m", "s3")
    history.review("s3")
    history.undo("partial", "m2", "m")
    assert history.push("m", "partial") is None
    history.undo("elsewhere", "m2", "s2")
    assert "direct commit" in str(history.push("m", "elsewhere"))


def test_what_is_promoted_again_is_judged_by_its_authors(history: History) -> None:
    history.review("s2")
    history.undo("revert", "m", "m")
    history.commit("s3", "s2", author="Di <d@x>")
    history.commit("again", "revert", "s3")
    history.review("s3", "Ada <a@x>")
    assert "is an author of what it brings in" in str(history.push("revert", "again"))
    history.review("s3")
    assert history.push("revert", "again") is None


def test_history_only_grows(history: History) -> None:
    history.commit("b", "a")
    assert "protected from being rewritten" in str(history.push("m", "a", GROWS))
    assert "protected from being rewritten" in str(history.push("m", "b", GROWS))
    assert history.push("a", "b", GROWS) is None
    assert "it cannot be deleted" in str(history.push("m", None, GROWS))
    assert "it cannot be deleted" in str(history.push("m", None))


def test_a_forced_push_under_review_leads_to_a_state_that_the_branch_had(history: History) -> None:
    history.review("s2")
    history.commit("b", "a")
    assert history.push("m", "a") is None
    assert "state that it never had" in str(history.push("m", "b"))


def test_nothing_protects_what_is_not_there_or_not_protected(history: History) -> None:
    assert history.push(None, "m") is None
    assert history.push("a", "m", Protection("production")) is None
    assert history.push("m", None, Protection("production")) is None
    assert history.push("m", "m") is None


def test_a_commit_counts_as_a_merge_or_an_undo_only_with_the_content_that_this_gives(history: History) -> None:
    history.review("s2")
    history.forged = {history["m"]}
    assert "its content is not what merging" in str(history.push("a", "m"))
    history.forged = set()
    history.record("m", Origin(resolutions=(Resolution("t", "1", "v", "value", "9"),)))
    assert "values that nobody has reviewed" in str(history.push("a", "m"))
    history.record("m", Origin(resolutions=(Resolution("t", "1", "v", "ours"),)))
    assert history.push("a", "m") is None
    history.commit("s3", "s2", author="Di <d@x>")
    history.commit("m2", "m", "s3")
    history.review("s3")
    made = history.undo("revert", "m2", "m")
    assert history.push("a", "revert") is None
    history.forged = {made}
    assert "direct commit" in str(history.push("a", "revert"))


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(
    ("message", "origin"),
    [
        ("Raise\n\nThis reverts commit {m}.", {}),
        ("Roll back to a", {}),
        ('Revert "Raise"', {"squashes": None}),
        ("A rollback to what the branch never had", {"rolls_back_to": "s1"}),
        ("A revert of what is not on the line", {"reverts": "s1"}),
    ],
)
def test_messages_and_names_of_routes_are_not_believed(
    history: History, message: str, origin: dict[str, str | None]
) -> None:
    history.review("s2")
    history.commit("lie", "m", message=message.format(m=history["m"]))
    history.record("lie", Origin(**{name: value and history[value] for name, value in origin.items()}))
    assert "direct commit" in str(history.push("m", "lie"))


@pytest.mark.grid(every=4)
@pytest.mark.parametrize(
    ("like", "origin", "passes"),
    [
        ("a", {"rolls_back_to": "a", "undoes": ("m",), "restores": "a"}, True),
        ("a", {"rolls_back_to": "a"}, False),
        ("a", {"undoes": ("m",)}, False),
        ("a", {"reverts": "m", "undoes": ("m",)}, True),
        ("a", {"reverts": "m", "undoes": ("m",), "redoes": ("m",)}, False),
        ("a", {"reverts": "m", "rolls_back_to": "a", "undoes": ("m",)}, False),
        ("a", {"reverts": "nobody", "undoes": ()}, False),
        ("a", {}, True),
    ],
)
def test_an_undo_records_what_it_undoes(
    history: History, like: str, origin: dict[str, str | tuple[str, ...]], passes: bool
) -> None:
    history.commit("undo", "m", like=like)
    named = {
        name: history[value] if isinstance(value, str) else tuple(history[one] for one in value)
        for name, value in origin.items()
    }
    history.record("undo", Origin(**named))  # type: ignore[arg-type]
    assert (history.push("m", "undo") is None) is passes
