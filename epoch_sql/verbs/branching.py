"""Creates, renames and deletes branches and tags."""

from __future__ import annotations

from dataclasses import dataclass, field

from epoch_sql.advice import Suggestion
from epoch_sql.call import Call, existing, new_ref, now
from epoch_sql.catalog.local import Upstreams
from epoch_sql.catalog.merging import Merges
from epoch_sql.catalog.relation import run
from epoch_sql.errors import EpochReferenceError, ReferenceExists
from epoch_sql.guard.moves import (
    Move,
    move_branch,
    move_to_name,
    remove_branch,
)
from epoch_sql.model.commit import Ref, Route, TrackingRoute
from epoch_sql.model.names import check_ref_name
from epoch_sql.verb import procedure


@dataclass(frozen=True)
class RefResult:
    """A branch or a tag, and the commit that it names."""

    name: str
    commit: str
    warnings: list[str] = field(default_factory=list)


@procedure("epoch_branch")
def create_branch(call: Call, name: str, start: str = "HEAD") -> RefResult:
    """Creates a branch.

    Raises EpochReferenceError if the name is taken or breaks git's rules.

    Args:
        name: the new branch
        start: where it starts
    """
    check_ref_name(name)
    with call.moving():
        commit_id = call.resolve(start)
        if call.refs.get("branch", name):
            raise ReferenceExists(f"branch {name} exists already", Suggestion("checkout", name), name=name)
        made = Move(name, Route.CREATE, None, commit_id)
        move_branch(call, made, f"branch: created from {start}", call.author())
    return RefResult(name, commit_id)


@procedure("epoch_branch_delete")
def delete_branch(call: Call, name: str, *, force: bool = False) -> RefResult:
    """Deletes a branch.

    Raises EpochReferenceError for the checked-out branch, and for one with commits that no other branch or tag has,
    unless ``force``.

    Args:
        name: the branch
        force: delete it even if nothing else has its commits
    """
    with call.moving():
        branch = existing(call.refs, "branch", name)
        if call.state.head().branch == name:
            if call.promisor:
                message = f"branch {name} is what HEAD of this bare clone names, so it cannot be deleted"
                raise EpochReferenceError(message, Suggestion("branch_rename", name, "NAME"), name=name)
            raise EpochReferenceError(f"branch {name} is checked out", "check out another branch first", name=name)
        if not force and not _kept_elsewhere(call, branch):
            raise EpochReferenceError(
                f"branch {name} has commits that no other branch or tag has",
                ("merge it first, or ", Suggestion("branch_delete", name, force=True)),
                name=name,
            )
        remove_branch(call, branch, call.author())
        Merges(call.cursor).remove(name)
        Upstreams(call.cursor).remove(name)
    return RefResult(name, branch.commit_id)


@procedure("epoch_branch_rename")
def rename_branch(call: Call, old: str, new: str) -> RefResult:
    """Renames a branch.

    Args:
        old: the branch
        new: its new name
    """
    check_ref_name(new)
    with call.moving():
        branch = existing(call.refs, "branch", old)
        if call.refs.get("branch", new):
            raise ReferenceExists(f"branch {new} exists already", "choose another name", name=new)
        head = call.state.head()
        move_to_name(call, branch, new, call.author())
        Merges(call.cursor).rename(old, new)
        Upstreams(call.cursor).rename(old, new)
        if head.branch == old:
            run(call.cursor, "UPDATE {{epoch}}.state SET head_branch = ?", [new])
    return RefResult(new, branch.commit_id)


@procedure("epoch_tag")
def create_tag(call: Call, name: str, ref: str = "HEAD", *, message: str | None = None) -> RefResult:
    """Tags a commit.

    Raises EpochReferenceError if the tag exists: tags do not move.

    Args:
        name: the tag
        ref: what it names
        message: what it is for
    """
    check_ref_name(name)
    with call.moving():
        commit_id = call.resolve(ref)
        if call.refs.get("tag", name):
            raise ReferenceExists(f"tag {name} exists already", Suggestion("tag_delete", name), name=name)
        author = call.author()
        made = new_ref("tag", name, commit_id, message, author)
        call.refs.add(made, TrackingRoute.TAG, f"tag: {name}", author)
    return RefResult(name, commit_id)


@procedure("epoch_tag_delete")
def delete_tag(call: Call, name: str) -> RefResult:
    """Deletes a tag.

    Args:
        name: the tag
    """
    with call.moving():
        tag = existing(call.refs, "tag", name)
        call.refs.remove(tag, TrackingRoute.DELETE, "tag: deleted", call.author(), now())
    return RefResult(name, tag.commit_id)


def _kept_elsewhere(call: Call, branch: Ref) -> bool:
    graph = call.graph()
    others = [
        ref.commit_id
        for kind in ("branch", "tag", "remote")
        for ref in call.refs.all(kind).values()
        if (ref.kind, ref.name) != (branch.kind, branch.name)
    ]
    head = call.head()
    if head.detached:
        others.append(head.commit_id)
    return any(graph.is_ancestor(branch.commit_id, other) for other in others)
