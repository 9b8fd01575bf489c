"""Branches and tags: made, renamed, deleted."""

from __future__ import annotations

from dataclasses import dataclass

from epoch_sql.catalog.merging import Merges
from epoch_sql.catalog.relation import run
from epoch_sql.catalog.remotes import Upstreams
from epoch_sql.errors import EpochReferenceError, ReferenceExists, ReferenceNotFound, Suggestion, did_you_mean
from epoch_sql.model.commit import Ref, Route, TrackingRoute
from epoch_sql.model.refnames import check_ref_name, suggest
from epoch_sql.operations.guarding.moves import Move, move_branch, move_to_name, remove_branch
from epoch_sql.operations.repository import Repository, new_ref, now


@dataclass(frozen=True)
class Named:
    """A reference and the commit that it names."""

    name: str
    commit_id: str


def create_branch(repository: Repository, name: str, start: str = "HEAD") -> Named:
    """Make a branch at a commit; EpochReferenceError if the name is taken or breaks git's rules."""
    check_ref_name(name)
    with repository.moving():
        commit_id = repository.resolve(start)
        if repository.refs.get("branch", name):
            raise ReferenceExists(f"branch {name} exists already", Suggestion("checkout", name), name=name)
        made = Move(name, Route.CREATE, None, commit_id)
        move_branch(repository, made, f"branch: created from {start}", repository.author())
    return Named(name, commit_id)


def delete_branch(repository: Repository, name: str, force: bool = False) -> Named:
    """Delete a branch.

    Raises EpochReferenceError for the checked-out branch, and for one with commits that no other branch or tag has,
    unless ``force``.
    """
    with repository.moving():
        branch = existing(repository, "branch", name)
        head = repository.head()
        if head.branch == name:
            raise EpochReferenceError(f"branch {name} is checked out", "check out another branch first", name=name)
        if not force and not _kept_elsewhere(repository, branch):
            raise EpochReferenceError(
                f"branch {name} has commits that no other branch or tag has",
                ("merge it first, or ", Suggestion("branch_delete", name, force=True)),
                name=name,
            )
        remove_branch(repository, branch, repository.author())
        Merges(repository.cursor).remove(name)
        Upstreams(repository.cursor).remove(name)
    return Named(name, branch.commit_id)


def rename_branch(repository: Repository, old: str, new: str) -> Named:
    """Rename a branch, also when it is checked out."""
    check_ref_name(new)
    with repository.moving():
        branch = existing(repository, "branch", old)
        if repository.refs.get("branch", new):
            raise ReferenceExists(f"branch {new} exists already", "choose another name", name=new)
        head = repository.head()
        move_to_name(repository, branch, new, repository.author())
        Merges(repository.cursor).rename(old, new)
        Upstreams(repository.cursor).rename(old, new)
        if head.branch == old:
            run(repository.cursor, "UPDATE {{epoch}}.state SET head_branch = ?", [new])
    return Named(new, branch.commit_id)


def create_tag(repository: Repository, name: str, ref: str = "HEAD", message: str | None = None) -> Named:
    """Tag a commit; EpochReferenceError if the tag exists: tags do not move."""
    check_ref_name(name)
    with repository.moving():
        commit_id = repository.resolve(ref)
        if repository.refs.get("tag", name):
            raise ReferenceExists(f"tag {name} exists already", Suggestion("tag_delete", name), name=name)
        author = repository.author()
        made = new_ref("tag", name, commit_id, message, author)
        repository.refs.add(made, TrackingRoute.TAG, f"tag: {name}", author)
    return Named(name, commit_id)


def delete_tag(repository: Repository, name: str) -> Named:
    """Delete a tag."""
    with repository.moving():
        tag = existing(repository, "tag", name)
        repository.refs.remove(tag, TrackingRoute.DELETE, "tag: deleted", repository.author(), now())
    return Named(name, tag.commit_id)


def existing(repository: Repository, kind: str, name: str) -> Ref:
    """The branch or tag of that name; EpochReferenceError that suggests others if there is none."""
    ref = repository.refs.get(kind, name)
    if ref is None:
        near = suggest(name, repository.refs.all(kind))
        listing = Suggestion("tags" if kind == "tag" else "branches")
        advice = did_you_mean(near) or listing
        raise ReferenceNotFound(f"there is no {kind} {name}", advice, name=name, suggestions=tuple(near))
    return ref


def _kept_elsewhere(repository: Repository, branch: Ref) -> bool:
    graph = repository.graph()
    others = [
        ref.commit_id
        for kind in ("branch", "tag", "remote")
        for ref in repository.refs.all(kind).values()
        if (ref.kind, ref.name) != (branch.kind, branch.name)
    ]
    head = repository.head()
    if head.detached:
        others.append(head.commit_id)
    return any(graph.is_ancestor(branch.commit_id, other) for other in others)
