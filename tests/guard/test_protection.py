"""Protection over every route by which a branch can move: a table of routes and protections, and what goes around it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql.catalog.history import Refs
from epoch_sql.errors import EpochProtectionError
from epoch_sql.extension.surface import PROCEDURES
from epoch_sql.guard.moves import (
    FRESHNESS,
    GROWTH,
    REVIEW,
    Move,
    move_branch,
)
from epoch_sql.model.commit import Route
from tests.conftest import MakeRepo, Repo, opened

FREE: dict[str, bool] = {}
SELF = {"require_review": True, "allow_self_review": True}
REVIEWED = {"require_review": True}
GROWS = {"no_force_push": True}
BOTH = {"require_review": True, "no_force_push": True}
PROTECTIONS = {"nothing": FREE, "review": REVIEWED, "growth": GROWS, "review and growth": BOTH}

ALLOWED = ""
ADDS = "adds"
"""Allowed, and what was there stays in the branch's history."""


@dataclass
class Case:
    """A branch at a promotion, and a source branch with one commit that it lacks."""

    repo: Repo
    branch: str
    source: str

    def tip(self, name: str | None = None) -> str | None:
        found = "SELECT commit_id FROM epoch.refs WHERE kind = 'branch' AND name = ?"
        rows = self.repo(found, name or self.branch)
        return str(rows[0][0]) if rows else None

    def on(self, branch: str) -> None:
        self.repo("CALL epoch_checkout(?, force := true)", branch)

    def change(self) -> None:
        self.repo("UPDATE orders SET amount = amount + 1 WHERE id = 2")

    def approve(self, reviewer: str = "Grace <grace@x>") -> None:
        self.repo("CALL epoch_review(?, ?, reviewer := ?)", self.source, self.branch, reviewer)

    def merge(self, **options: object) -> None:
        given = "".join(f", {name} := {value}" for name, value in options.items())
        self.repo(f"CALL epoch_merge(?, target := ?{given})", self.source, self.branch)

    def merge_checked_out(self) -> None:
        self.on(self.branch)
        self.repo("CALL epoch_merge(?)", self.source)

    def merge_conflicting(self, approve: bool) -> None:
        """A merge that has a conflict: resolved, then continued."""
        if approve:
            self.approve()
        with pytest.raises(duckdb.Error, match="EpochConflict"):
            self.repo("CALL epoch_merge(?, target := ?)", self.source, self.branch)
        self.repo("CALL epoch_resolve(side := 'theirs', target := ?)", self.branch)
        self.repo("CALL epoch_merge_continue(target := ?)", self.branch)

    def commit(self) -> None:
        self.on(self.branch)
        self.change()
        self.repo("CALL epoch_commit('direct')")

    def load(self) -> None:
        file = self.repo.path.with_name("loaded.csv")
        file.write_text("n\n1\n")
        self.run("CALL epoch_import_files([?])", str(file))

    def empty_commit(self) -> None:
        self.on(self.branch)
        self.repo("CALL epoch_commit('direct', allow_empty := true)")

    def run(self, sql: str, *parameters: str) -> None:
        self.on(self.branch)
        self.repo(sql, *parameters)

    def pull(self) -> None:
        """What a pull does that leads on to the source, as the remote has it."""
        with opened(self.repo) as call, call.moving():
            move = Move(self.branch, Route.PULL, self.tip(), self.tip(self.source))
            move_branch(call, move, f"pull: {self.source}", "Ada <ada@example.com>")

    def stash_pop(self) -> None:
        self.on(self.branch)
        self.change()
        self.repo("CALL epoch_stash()")
        self.repo("CALL epoch_stash_pop()")


Act = Callable[[Case], None]

REFUSED_REVIEW = "requires a review"
REFUSED_GROWTH = "protected from being rewritten"
REFUSED_GONE = "is protected: it cannot be"


def outcome(review: str = ALLOWED, growth: str = ALLOWED, free: str = ALLOWED) -> dict[str, str]:
    """What each protection makes of a move."""
    return {
        "nothing": free,
        "review": review,
        "growth": growth,
        "review and growth": review or growth,
    }


DIRECT = outcome(review=REFUSED_REVIEW)
REWRITES = outcome(growth=REFUSED_GROWTH)
GONE = outcome(review=REFUSED_GONE, growth=REFUSED_GONE)

ROWS: list[tuple[str, Route, Act, dict[str, str]]] = [
    ("commit", Route.COMMIT, Case.commit, DIRECT),
    ("import of a file", Route.COMMIT, Case.load, DIRECT),
    ("commit without a change", Route.COMMIT, Case.empty_commit, DIRECT),
    ("merge into the branch", Route.MERGE, lambda c: c.merge(), DIRECT),
    ("merge into the branch checked out", Route.MERGE, Case.merge_checked_out, DIRECT),
    ("merge, approved", Route.MERGE, lambda c: (c.approve(), c.merge())[1], outcome()),
    ("merge with strategy theirs", Route.MERGE, lambda c: c.merge(strategy="'theirs'"), DIRECT),
    ("merge that keeps undone", Route.MERGE, lambda c: c.merge(keep_undone=True), DIRECT),
    ("squash", Route.SQUASH, lambda c: c.merge(squash=True), DIRECT),
    ("squash, approved", Route.SQUASH, lambda c: (c.approve(), c.merge(squash=True))[1], outcome()),
    ("fast-forward", Route.FAST_FORWARD, lambda c: c.merge(ff=True), DIRECT),
    ("fast-forward, approved", Route.FAST_FORWARD, lambda c: (c.approve(), c.merge(ff=True))[1], outcome()),
    ("cherry-pick", Route.CHERRY_PICK, lambda c: c.run("CALL epoch_cherry_pick(?)", c.source), DIRECT),
    ("cherry-pick, approved", Route.CHERRY_PICK, lambda c: (c.approve(), c.run("CALL epoch_cherry_pick(?)", c.source))[1], DIRECT),
    ("revert of the last promotion", Route.REVERT, lambda c: c.run("CALL epoch_revert('HEAD')"), outcome()),
    ("revert of what a promotion brought", Route.REVERT, lambda c: c.run("CALL epoch_revert('HEAD^2')"), DIRECT),
    ("revert of what is elsewhere", Route.REVERT, lambda c: c.run("CALL epoch_revert(?)", c.source), DIRECT),
    ("reset to what it was", Route.RESET, lambda c: c.run("CALL epoch_reset('HEAD~1')"), REWRITES),
    ("hard reset to what it was", Route.ROLL_BACK, lambda c: c.run("CALL epoch_reset('HEAD~1', hard := true)"), outcome(growth=ADDS)),
    ("hard reset to what was merged", Route.ROLL_BACK, lambda c: c.run("CALL epoch_reset('HEAD^2~1', hard := true)"), outcome(REFUSED_REVIEW, ADDS)),
    ("reset to what is elsewhere", Route.RESET, lambda c: c.run("CALL epoch_reset(?)", "elsewhere"), outcome(REFUSED_REVIEW, REFUSED_GROWTH)),
    ("hard reset to what is elsewhere", Route.ROLL_BACK, lambda c: c.run("CALL epoch_reset(?, hard := true)", "elsewhere"), outcome(REFUSED_REVIEW, ADDS)),
    ("reset to the source", Route.RESET, lambda c: c.run("CALL epoch_reset(?)", c.source), outcome(REFUSED_REVIEW, ADDS)),
    ("hard reset to the source", Route.RESET, lambda c: c.run("CALL epoch_reset(?, hard := true)", c.source), outcome(REFUSED_REVIEW, ADDS)),
    ("delete", Route.DELETE, lambda c: c.repo("CALL epoch_branch_delete(?, force := true)", c.branch) and None, GONE),
    ("rename", Route.RENAME, lambda c: c.repo("CALL epoch_branch_rename(?, ?)", c.branch, f"{c.branch}-old") and None, GONE),
    ("pull", Route.PULL, Case.pull, DIRECT),
    ("pull, approved", Route.PULL, lambda c: (c.approve(), c.pull())[1], outcome()),
]  # fmt: skip

MOVES_NOTHING = {
    "epoch_stash",
    "epoch_stash_pop",
    "epoch_stash_drop",
    "epoch_checkout",
    "epoch_merge_abort",
    "epoch_resolve",
    "epoch_tag",
    "epoch_tag_delete",
    "epoch_key",
    "epoch_ignore",
    "epoch_derived",
    "epoch_rebuilt",
    "epoch_gc",
    "epoch_compact",
    "epoch_publish",
    "epoch_export_iceberg",
    "epoch_remote_gc",
    "epoch_protect",
    "epoch_unprotect",
    "epoch_review",
    "epoch_check_add",
    "epoch_check_remove",
}
MOVES = {
    "epoch_import_files",
    "epoch_init",
    "epoch_commit",
    "epoch_branch",
    "epoch_branch_delete",
    "epoch_branch_rename",
    "epoch_merge",
    "epoch_merge_continue",
    "epoch_revert",
    "epoch_cherry_pick",
    "epoch_reset",
    "epoch_worktree_add",
    "epoch_worktree_remove",
}
REMOTE = {
    "epoch_push",
    "epoch_pull",
    "epoch_fetch",
    "epoch_clone",
    "epoch_remote_add",
    "epoch_remote_remove",
    "epoch_remote_trust",
}
"""Tested in tests/remote: they move branches there, or remote branches here; a pull is in the table as a route."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository whose branches `elsewhere` and `promoted` every case starts from."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        repo = Repo(tmp_path_factory.mktemp("protection") / "shop.duckdb")
        repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20)")
        repo("CALL epoch_init()")
        for branch, change in {
            "elsewhere": "INSERT INTO orders VALUES (9, 90)",
            "work": "UPDATE orders SET amount = 11 WHERE id = 1",
            "work again": "INSERT INTO orders VALUES (3, 30)",
        }.items():
            repo("CALL epoch_checkout('main')")
            name = branch.split()[0]
            if name == branch:
                repo("CALL epoch_branch(?)", name)
            repo("CALL epoch_checkout(?)", name)
            repo(change)
            repo.commit(branch)
        repo("CALL epoch_branch('promoted', start := 'main')")
        repo("CALL epoch_merge('work', target := 'promoted')")
        repo("CALL epoch_branch('next', start := 'promoted')")
        repo("CALL epoch_checkout('next')")
        repo("INSERT INTO orders VALUES (4, 40)")
        repo.commit("next")
        yield repo
        repo.close()


_numbers = count(1)


@pytest.fixture
def case(shared: Repo) -> Case:
    """Branches of its own for each test: one at a promotion, and one that is a commit ahead of it."""
    number = next(_numbers)
    shared("CALL epoch_checkout('main', force := true)")
    made = Case(shared, f"production{number}", f"staging{number}")
    shared("CALL epoch_branch(?, start := 'promoted')", made.branch)
    shared("CALL epoch_branch(?, start := 'next')", made.source)
    return made


def protect(case: Case, protection: str) -> None:
    flags = SELF if protection == "self-review" else PROTECTIONS[protection]
    if flags:
        given = ", ".join(f"{name} := {value}" for name, value in flags.items())
        case.repo(f"CALL epoch_protect(?, {given})", case.branch)


@pytest.mark.grid(every=8)
@pytest.mark.parametrize("protection", PROTECTIONS)
@pytest.mark.parametrize(("name", "route", "act", "outcomes"), ROWS, ids=[row[0] for row in ROWS])
def test_every_route_and_every_protection(
    case: Case, name: str, route: Route, act: Act, outcomes: dict[str, str], protection: str
) -> None:
    protect(case, protection)
    before, audit = case.tip(), case.repo.one("SELECT count(*) FROM epoch_audit() WHERE action = 'refuse'")
    expected = outcomes[protection]
    if expected in (ALLOWED, ADDS):
        act(case)
        assert case.tip() != before
        if expected == ADDS:
            assert before in {row[0] for row in case.repo("SELECT commit_id FROM epoch_log(?)", case.branch)}
        return
    merges = case.repo("FROM epoch_merges()")
    with pytest.raises((duckdb.Error, EpochProtectionError), match=expected) as refused:
        act(case)
    told = str(refused.value)
    assert "EpochProtectionError: " in told or isinstance(refused.value, EpochProtectionError)
    assert "(hint: " in told
    assert case.branch in told
    assert case.tip() == before
    assert case.repo("FROM epoch_merges()") == merges
    assert case.repo.one("SELECT count(*) FROM epoch_audit() WHERE action = 'refuse'") == audit + 1
    assert case.repo("SELECT ref FROM epoch_audit() LIMIT 1") == [(case.branch,)]


def test_every_route_is_in_the_table() -> None:
    made_new = {Route.INIT, Route.CREATE}
    assert {row[1] for row in ROWS} | made_new == set(Route)
    assert set(REVIEW) == set(GROWTH) == set(FRESHNESS) == set(Route)
    assert all(set(row[3]) == set(PROTECTIONS) for row in ROWS)


def test_every_procedure_is_known_to_move_branches_or_not_to() -> None:
    acting = {name for name, procedure in PROCEDURES.items() if procedure.acts}
    assert acting - REMOTE == MOVES | MOVES_NOTHING, "say in tests/guard/test_protection.py whether it moves branches"


def test_nothing_else_moves_a_branch() -> None:
    """Calls of ``Refs.put`` and ``Refs.remove`` outside of ``guard.moves`` are for tags and remote branches."""
    assert callable(Refs.put) and callable(Refs.remove)
    sources = Path(epoch_sql.__file__).parent
    moves = sources / "guard" / "moves.py"
    found = 0
    for file in sources.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.name != "history.py":
            assert "INTO {{epoch}}.refs" not in text and "UPDATE {{epoch}}.refs" not in text, file
        for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
            if file == moves or not any(moves_a_ref(node) for node in ast.walk(function)):
                continue
            found += 1
            words = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant)}
            assert "branch" not in words and words & {"tag", "remote"}, f"{file}: {function.name} moves a branch"
    assert found >= 2


def moves_a_ref(node: ast.AST) -> bool:
    """Whether it is ``….refs.put(…)`` or ``Refs(…).remove(…)`` of anything but a tag or a remote branch."""
    if not (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("put", "remove")
    ):
        return False
    return ast.unparse(node.func.value).endswith("refs") or ast.unparse(node.func.value).startswith("Refs(")


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("protection", PROTECTIONS)
def test_a_stash_comes_back_to_a_protected_branch_and_moves_nothing(case: Case, protection: str) -> None:
    protect(case, protection)
    before = case.tip()
    case.stash_pop()
    assert case.tip() == before
    assert [row[0] for row in case.repo.status()] == ["orders"]


@pytest.mark.grid(every=2)
@pytest.mark.parametrize("protection", PROTECTIONS)
def test_uncommitted_changes_of_a_protected_branch_can_be_discarded(case: Case, protection: str) -> None:
    protect(case, protection)
    case.on(case.branch)
    before = case.tip()
    case.change()
    case.repo("CALL epoch_reset(hard := true)")
    assert (case.tip(), case.repo.status()) == (before, [])


def test_allowing_self_review_allows_nothing_else(case: Case) -> None:
    protect(case, "self-review")
    rows = {row[0]: row[2] for row in ROWS}
    for name in (
        "commit",
        "cherry-pick",
        "merge into the branch",
        "fast-forward",
        "reset to the source",
        "pull",
        "rename",
    ):
        with pytest.raises((duckdb.Error, EpochProtectionError), match=f"{REFUSED_REVIEW}|{REFUSED_GONE}"):
            rows[name](case)
    case.approve("Ada <ada@example.com>")
    case.merge()


def test_a_branch_made_from_a_protected_one_is_free(case: Case) -> None:
    protect(case, "review and growth")
    case.on(case.branch)
    case.repo("CALL epoch_checkout(?, new_branch := true)", f"hotfix-of-{case.branch}")
    case.change()
    case.repo.commit("hotfix")
    case.repo("CALL epoch_reset('HEAD~1', hard := true)")
    assert case.tip(f"hotfix-of-{case.branch}") == case.tip()


def test_a_merge_is_refused_before_it_is_kept_in_progress(case: Case) -> None:
    case.on(case.source)
    case.repo("UPDATE orders SET amount = 0 WHERE id = 1")
    case.repo.commit("one way")
    case.on(case.branch)
    case.repo("UPDATE orders SET amount = 1 WHERE id = 1")
    case.repo.commit("another way")
    protect(case, "review")
    assert REFUSED_REVIEW in case.repo.refused("CALL epoch_merge(?, target := ?)", case.source, case.branch)
    assert case.repo("SELECT count(*) FROM epoch_merges() WHERE target = ?", case.branch) == [(0,)]
    case.merge_conflicting(approve=True)
    assert case.repo("SELECT amount FROM epoch_at(?, 'orders') WHERE id = 1", case.branch) == [(0,)]


def test_a_merge_in_progress_is_refused_where_the_branch_was_protected_since(case: Case) -> None:
    case.on(case.source)
    case.repo("UPDATE orders SET amount = 0 WHERE id = 1")
    case.repo.commit("one way")
    case.on(case.branch)
    case.repo("UPDATE orders SET amount = 1 WHERE id = 1")
    case.repo.commit("another way")
    before = case.tip()
    with pytest.raises(duckdb.Error, match="EpochConflict"):
        case.merge()
    case.repo("CALL epoch_resolve(side := 'theirs')")
    protect(case, "review")
    assert REFUSED_REVIEW in case.repo.refused("CALL epoch_merge_continue()")
    assert case.tip() == before
    case.approve()
    case.repo("CALL epoch_merge_continue()")
    assert case.tip() != before


def test_a_revert_that_conflicts_takes_only_reviewed_values(case: Case) -> None:
    case.approve()
    case.merge()
    case.on(case.source)
    case.repo("UPDATE orders SET amount = 44 WHERE id = 4")
    case.repo.commit("correct it")
    case.approve()
    case.merge()
    protect(case, "review")
    case.on(case.branch)
    with pytest.raises(duckdb.Error, match="EpochConflict"):
        case.repo("CALL epoch_revert('HEAD~1')")
    case.repo("CALL epoch_resolve(side := 'ours')")
    case.repo("CALL epoch_merge_continue()")
    assert case.repo("SELECT message[1:6] FROM epoch_log(max_count := 1)") == [("Revert",)]


def test_a_rollback_leads_to_the_content_wherever_the_tag_is(case: Case) -> None:
    """A release tagged on staging has the content that production had, so production may go back to it."""
    case.approve()
    case.merge()
    case.repo("CALL epoch_tag(?, ref := ?)", f"v-{case.source}", case.source)
    case.on(case.source)
    case.repo("DELETE FROM orders WHERE id = 2")
    case.repo.commit("too much")
    case.approve()
    case.merge()
    protect(case, "review and growth")
    case.on(case.branch)
    before = case.tip()
    case.repo("CALL epoch_reset(?, hard := true)", f"v-{case.source}")
    assert case.repo("SELECT message, parents FROM epoch_log(max_count := 1)") == [
        (f"Roll back to v-{case.source}", [before])
    ]
    assert case.repo("SELECT count(*) FROM orders") == [(4,)]


def test_a_state_that_a_fast_forward_skipped_is_none_that_the_branch_had(case: Case) -> None:
    case.on(case.source)
    for amount in (50, 51):
        case.repo("UPDATE orders SET amount = ? WHERE id = 1", amount)
        case.repo.commit(f"amount {amount}")
    case.approve()
    protect(case, "review")
    case.merge(ff=True)
    case.on(case.branch)
    assert "a state that it never had" in case.repo.refused("CALL epoch_reset('HEAD~1', hard := true)")
    case.repo("CALL epoch_reset('HEAD~3', hard := true)")
    assert case.repo("SELECT amount FROM orders WHERE id = 1") == [(11,)]


def test_a_merge_that_would_change_nothing_needs_no_review(case: Case) -> None:
    case.approve()
    case.merge()
    case.on(case.source)
    case.repo("CALL epoch_merge(?)", case.branch)
    protect(case, "review and growth")
    before = case.tip()
    assert case.repo("CALL epoch_merge(?, target := ?)", case.source, case.branch)[0][0] == "up-to-date"
    assert case.tip() == before


def test_going_back_twice_and_forth_needs_no_review(case: Case) -> None:
    protect(case, "review and growth")
    case.on(case.branch)
    case.repo("CALL epoch_tag(?)", f"new-{case.branch}")
    case.repo("CALL epoch_reset('HEAD~1', hard := true)")
    case.repo("CALL epoch_revert('HEAD')")
    case.repo("CALL epoch_reset(?, hard := true)", f"new-{case.branch}")
    assert case.repo.tree() == case.repo.tree(f"new-{case.branch}")


def test_protecting_states_all_that_a_branch_is_protected_from(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    assert repo("CALL epoch_protect('main', require_review := true)") == [("main", True, False, False, False)]
    assert repo("CALL epoch_protect('main', no_force_push := true)") == [("main", False, True, False, False)]
    assert repo("FROM epoch_protections()") == [("main", False, True, False, False)]
    assert repo("SELECT name, is_protected FROM epoch_branches()") == [("main", True)]
    assert repo("CALL epoch_unprotect('main')") == [("main", False, False, False, False)]
    assert repo("FROM epoch_protections()") == []
    assert repo("SELECT name, is_protected FROM epoch_branches()") == [("main", False)]
    assert "branch main is not protected" in repo.refused("CALL epoch_unprotect('main')")
    assert "did you mean main?" in repo.refused("CALL epoch_protect('mian', require_review := true)")
    assert "did you mean main?" in repo.refused("CALL epoch_unprotect('mian')")
    assert "nothing to protect" in repo.refused("CALL epoch_protect('main')")
    assert "no review is required" in repo.refused("CALL epoch_protect('main', allow_self_review := true)")
    assert repo("SELECT action, ref, detail FROM epoch_audit() ORDER BY recorded_at") == [
        ("protect", "main", "require_review"),
        ("protect", "main", "no_force_push"),
        ("unprotect", "main", "no_force_push"),
    ]
    repo("CALL epoch_protect('main', require_review := true)")
    repo.reopen()
    repo("INSERT INTO t VALUES (1)")
    assert REFUSED_REVIEW in repo.refused("CALL epoch_commit('after a restart')")
