"""The only place where branches are created, moved, renamed and deleted. Each move has a route, and the protection
decides by it.

Every route has a rule for each protection in ``REVIEW`` and ``GROWTH``. An operation asks ``require_allowed`` before
costly work, and ``move_branch`` asks again, so no operation can forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, new_ref, now
from epoch_sql.catalog.history import Audit, LoggedMove, Protections, Reflog, Reviews
from epoch_sql.catalog.local import Elsewhere
from epoch_sql.errors import EpochReferenceError, EpochRefused, ReferenceMoved
from epoch_sql.guard import rules
from epoch_sql.guard.checks import require_passing
from epoch_sql.guard.rules import Evidence
from epoch_sql.merge.engine import is_as_recorded
from epoch_sql.model.commit import Ref, Route
from epoch_sql.model.names import quoted
from epoch_sql.model.protection import Protection

SHORT = 7
"""The digits of a commit in messages, and the fewest to expect one by."""


@dataclass(frozen=True)
class Move:
    """A move of a branch from one commit to another. ``new`` is None before that commit exists, and for a deletion.

    ``source`` is the commit that is merged, picked, reverted or gone back to, and ``named`` is the user's name for it.
    ``by_hand`` says that the move brings in values that none of the commits has.
    """

    branch: str
    route: Route
    old: str | None
    new: str | None = None
    source: str | None = None
    named: str | None = None
    keep_undone: bool = False
    by_hand: bool = False


def require_own(call: Call, branch: str) -> None:
    """Raises EpochReferenceError, which names the worktree, for a branch that belongs to another worktree."""
    owner = Elsewhere(call.cursor).owner(branch)
    if owner:
        how = "is checked out in" if owner.checked_out else "belongs to"
        raise EpochReferenceError(
            f"branch {branch} {how} the worktree {owner.path}, and moves only there",
            ("work there, or ", Suggestion("branch", "NAME", start=branch), " makes one for here"),
            name=branch,
        )


def require_expected(source: str, commit_id: str, expected: str | None) -> None:
    """Raises ReferenceMoved if a source is not at the ``expected`` commit, of which 7 digits are enough. None expects
    nothing."""
    if expected is None or (len(expected) >= SHORT and commit_id.startswith(expected.lower())):
        return
    raise ReferenceMoved(
        f"{quoted(source)} is at {commit_id[:SHORT]}, not at {quoted(expected[:SHORT])}, which was expected",
        (Suggestion("log", source), " shows what came since; look at it, then expect the commit that you have seen"),
        name=source,
        expected=expected,
        commit_id=commit_id,
    )


def require_allowed(call: Call, move: Move) -> None:
    """Raises EpochProtectionError, with what to type, if the branch's protection refuses the move, and
    EpochReferenceError if the branch belongs to another worktree."""
    require_own(call, move.branch)
    for refused in refusals(call, move):
        raise refused


def refusals(call: Call, move: Move) -> Iterator[EpochRefused]:
    """The errors of all rules of the branch's protection that refuse the move."""
    if REVIEW[move.route] is GROWTH[move.route] is FRESHNESS[move.route] is _free:
        return
    protection = Protections(call.cursor).get(move.branch)
    case = _Case(call, protection, move)
    asked = {"require_review": REVIEW, "no_force_push": GROWTH, "require_fresh": FRESHNESS}
    for rule in (routes[move.route] for name, routes in asked.items() if getattr(protection, name)):
        try:
            rule(case)
        except EpochRefused as refused:
            yield refused


def require_fresh(call: Call, branch: str, stale: Sequence[str], asked: bool = False) -> None:
    """Raises EpochProtectionError, which names the stale tables, if the branch takes none or if it was ``asked``."""
    if stale and (asked or Protections(call.cursor).get(branch).require_fresh):
        raise rules.stale(branch, stale)


def move_branch(call: Call, move: Move, action: str, author: str) -> None:
    """Create or move a branch, within the caller's transaction. Records promotions and rollbacks in the audit."""
    require_allowed(call, move)
    assert move.new
    if CHECKED[move.route] and move.new != move.old:
        named = move.named or (move.source or move.new)[:7]
        require_passing(call, move.branch, call.tree(move.new), named)
    store = call.refs.add if move.route is Route.CREATE else call.refs.put
    ref = new_ref("branch", move.branch, move.new)
    if move.route in _ADDING:
        # The branch had the commit since the commit's own time, which users ask for with REF@{…}.
        ref = replace(ref, moved_at=call.commits.get(move.new).committed_at)
    store(ref, move.route, action, author)
    kind = _AUDITED.get(move.route)
    if kind and move.new != move.old:
        Audit(call.cursor).record(now(), author, kind, move.branch, move.new, _detail(move, action))


def move_to_name(call: Call, branch: Ref, new: str, author: str) -> None:
    """Rename a branch, within the caller's transaction."""
    require_allowed(call, Move(branch.name, Route.RENAME, branch.commit_id, branch.commit_id))
    call.refs.remove(branch, Route.RENAME, f"branch: renamed to {new}", author, now())
    made = new_ref("branch", new, branch.commit_id)
    call.refs.put(made, Route.RENAME, f"branch: renamed from {branch.name}", author)


def remove_branch(call: Call, branch: Ref, author: str) -> None:
    """Delete a branch, within the caller's transaction."""
    require_allowed(call, Move(branch.name, Route.DELETE, branch.commit_id))
    call.refs.remove(branch, Route.DELETE, "branch: deleted", author, now())


def follow_branch(call: Call, branch: str, commit_id: str | None, where: str) -> bool:
    """Have a branch of another worktree or of a mirrored remote as it is there (None: it is gone), within the caller's
    transaction. ``where`` is for the reflog.

    Says whether it was another before. Such a branch is never checked out here, and protected there.
    """
    old, author = call.refs.get("branch", branch), call.author()
    if commit_id is None:
        if old:
            call.refs.remove(old, Route.DELETE, f"{where}: deleted", author, now())
    elif old is None or old.commit_id != commit_id:
        call.refs.put(new_ref("branch", branch, commit_id), Route.PULL, where, author)
    return (old.commit_id if old else None) != commit_id


def evidence(call: Call, target: str) -> Evidence:
    """The evidence for decisions about a branch of this repository."""
    reviews = Reviews(call.cursor).into(target)
    return Evidence(call.graph(), call.commits.load, reviews, partial(is_as_recorded, call), partial(_stale, call))


def _stale(call: Call, commit_id: str) -> list[str]:
    return call.tree(commit_id).stale


def states_had(call: Call, branch: str) -> set[str]:
    """The commits that a branch was at: those of its reflog, and its first-parent line.

    Without commits that a fast-forward skipped, because the branch never had their state. (A pull skips states that the
    branch had at the remote.)
    """
    graph = call.graph()
    moves: list[LoggedMove] = []
    for move in Reflog(call.cursor).moves_of("branch", branch):
        moves = [*moves, move] if move.new else []
    tip = call.refs.get("branch", branch)
    line = set(graph.first_parents(tip.commit_id)) if tip else set()
    for move in moves:
        old, new = move.old, move.new
        if old not in graph or new not in graph or move.route == Route.PULL.value:
            continue
        assert old and new
        if graph.parents(new)[:1] != (old,) and graph.is_ancestor(old, new):
            line -= set(rules.first_parents_until(graph, new, set(graph.first_parents(old))))
    return line | {move.new for move in moves if move.new}


@dataclass(frozen=True)
class _Case:
    """A move of a protected branch, and the facts to judge it, which are read when they are needed."""

    call: Call
    protection: Protection
    move: Move

    @cached_property
    def evidence(self) -> Evidence:
        return evidence(self.call, self.move.branch)

    @cached_property
    def had(self) -> set[str]:
        return states_had(self.call, self.move.branch)


Rule = Callable[[_Case], None]


def _free(case: _Case) -> None:
    """Refuses nothing."""


def _direct(case: _Case) -> None:
    raise rules.direct(case.protection, f"direct {case.move.route.value}")


def _approved(case: _Case) -> None:
    move = case.move
    source = move.source or move.new
    assert source and move.old
    commits = rules.brought(case.evidence.graph, move.old, source, move.keep_undone)
    rules.require_approval(case.protection, case.evidence, source, commits, move.named)
    if move.by_hand:
        raise rules.by_hand(case.protection, "merge", move.named or source[:7], source)


def _undoes(case: _Case) -> None:
    """A revert must undo a commit on the branch's first-parent line, and resolve conflicts with reviewed values
    only."""
    move = case.move
    assert move.source and move.old
    if move.source not in case.evidence.graph.first_parents(move.old):
        what = f"revert of {move.source[:7]}, which is not a promotion into {move.branch}"
        raise rules.direct(case.protection, what, move.source)
    if move.by_hand:
        raise rules.by_hand(case.protection, "revert", move.branch, move.source)


def _had(case: _Case) -> None:
    """A reset or rollback must lead to a state that the branch had. For a rollback, a state of the same content is
    enough."""
    move = case.move
    wanted = move.source if move.route is Route.ROLL_BACK else move.new
    assert wanted
    if wanted in case.had:
        return
    if move.route is Route.ROLL_BACK:
        commits = case.evidence.commits({*case.had, wanted})
        tree_id = commits[wanted].tree_id
        if any(commit.tree_id == tree_id for commit_id, commit in commits.items() if commit_id in case.had):
            return
    raise rules.direct(case.protection, f"reset to {wanted[:7]}, a state that it never had", wanted)


def _grows(case: _Case) -> None:
    move = case.move
    assert move.old and move.new
    if not case.evidence.graph.is_ancestor(move.old, move.new):
        raise rules.rewritten(case.protection, move.old, move.new)


def _fresh(case: _Case) -> None:
    if case.move.new:
        require_fresh(case.call, case.move.branch, case.evidence.stale(case.move.new), asked=True)


def _pushable(case: _Case) -> None:
    """A pull may bring only what a push to this branch could bring."""
    rules.check_push(case.protection, case.evidence, case.move.old, case.move.new, case.had)


def _stays(case: _Case) -> None:
    raise rules.stays(case.protection, case.move.route.value)


REVIEW: Mapping[Route, Rule] = {
    Route.INIT: _free,
    Route.CREATE: _free,
    Route.COMMIT: _direct,
    Route.MERGE: _approved,
    Route.SQUASH: _approved,
    Route.FAST_FORWARD: _approved,
    Route.CHERRY_PICK: _direct,
    Route.REVERT: _undoes,
    Route.RESET: _had,
    Route.ROLL_BACK: _had,
    Route.PULL: _pushable,
    Route.RENAME: _stays,
    Route.DELETE: _stays,
}
"""The rules of ``require_review``."""

GROWTH: Mapping[Route, Rule] = {
    Route.INIT: _free,
    Route.CREATE: _free,
    Route.COMMIT: _free,
    Route.MERGE: _free,
    Route.SQUASH: _free,
    Route.FAST_FORWARD: _grows,
    Route.CHERRY_PICK: _free,
    Route.REVERT: _free,
    Route.RESET: _grows,
    Route.ROLL_BACK: _free,
    Route.PULL: _pushable,
    Route.RENAME: _stays,
    Route.DELETE: _stays,
}
"""The rules of ``no_force_push``. A free route here adds a commit to the branch."""

FRESHNESS: Mapping[Route, Rule] = {
    Route.INIT: _free,
    Route.CREATE: _free,
    Route.COMMIT: _free,
    Route.MERGE: _fresh,
    Route.SQUASH: _fresh,
    Route.FAST_FORWARD: _fresh,
    Route.CHERRY_PICK: _free,
    Route.REVERT: _free,
    Route.RESET: _free,
    Route.ROLL_BACK: _free,
    Route.PULL: _pushable,
    Route.RENAME: _stays,
    Route.DELETE: _stays,
}
"""The rules of ``require_fresh``. Routes back stay open, whatever they leave stale."""

CHECKED: Mapping[Route, bool] = {
    Route.INIT: False,
    Route.CREATE: False,
    Route.COMMIT: False,
    Route.MERGE: True,
    Route.SQUASH: True,
    Route.FAST_FORWARD: True,
    Route.CHERRY_PICK: False,
    Route.REVERT: False,
    Route.RESET: False,
    Route.ROLL_BACK: False,
    Route.PULL: True,
    Route.RENAME: False,
    Route.DELETE: False,
}
"""Whether checks run: on routes that promote into a branch. Routes back run no checks, so they stay open."""

_ADDING = {
    Route.INIT,
    Route.COMMIT,
    Route.MERGE,
    Route.SQUASH,
    Route.CHERRY_PICK,
    Route.REVERT,
    Route.ROLL_BACK,
}
"""The routes to a commit that was just created for the branch."""

_AUDITED = {
    Route.MERGE: "promote",
    Route.SQUASH: "promote",
    Route.FAST_FORWARD: "promote",
    Route.PULL: "promote",
    Route.REVERT: "roll back",
    Route.RESET: "roll back",
    Route.ROLL_BACK: "roll back",
}


def _detail(move: Move, action: str) -> str:
    if move.source and move.named:
        return f"{action} ({move.source[:7]})"
    return action
