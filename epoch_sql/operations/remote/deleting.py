"""``push --delete``: deletes a branch or a tag at a remote. Its commits stay there, like everything in a store."""

from __future__ import annotations

from epoch_sql.catalog.history import Audit
from epoch_sql.errors import (
    EpochReferenceError,
    EpochRemoteError,
    EpochRemoteRefused,
    ReferenceAmbiguous,
    ReferenceNotFound,
    Suggestion,
    did_you_mean,
)
from epoch_sql.model.commit import TrackingRoute
from epoch_sql.model.refnames import suggest
from epoch_sql.operations.remote.connecting import Connected, connect
from epoch_sql.operations.remote.places import HEADS, TAGS, head_path, tag_path
from epoch_sql.operations.remote.references import (
    Found,
    deleted_ref,
    read_protection,
    read_references,
    write_reference,
)
from epoch_sql.operations.remote.transfer import TransferResult
from epoch_sql.operations.repository import Call, now


def delete(call: Call, remote: str, named: str | None) -> TransferResult:
    """Delete a branch or a tag at a remote, and its local remote branch. Deletes no local branch or tag.

    Raises EpochReferenceError if the remote has neither of that name, or both, and EpochRemoteRefused for a branch that
    is protected there. Raises EpochRemoteError for the branch that clones check out, and if somebody else moved it
    meanwhile.
    """
    connected = connect(call, remote)
    if not named:
        message = "which branch or tag of the remote is meant?"
        raise EpochReferenceError(message, Suggestion("push", remote, "NAME", delete=True))
    folder, name, found = _found(connected, named)
    if folder == HEADS:
        _require_allowed(connected, name, found)
    path = head_path(name) if folder == HEADS else tag_path(name)
    author = call.author()
    gone = deleted_ref(name, author, now(), found.ref.commit_id)
    if not write_reference(connected.store, path, found.token, gone):
        raise EpochRemoteError(
            f"{name} at {remote} was moved by another push meanwhile; nothing was changed there",
            (Suggestion("fetch", remote), ", then look at it again"),
            remote=remote,
        )
    with call.moving():
        if folder == HEADS:
            _forget(call, remote, name, author)
        detail = f"deleted {'branch' if folder == HEADS else 'tag'} at {remote}"
        Audit(call.cursor).record(now(), author, "push", name, found.ref.commit_id, detail)
    return TransferResult(remote, name, "deleted", found.ref.commit_id, None, [name], 0, 0)


def _forget(call: Call, remote: str, name: str, author: str) -> None:
    tracking = call.refs.get("remote", f"{remote}/{name}")
    if tracking:
        call.refs.remove(tracking, TrackingRoute.DELETE, f"push {remote}: deleted", author, now())


def _found(connected: Connected, named: str) -> tuple[str, str, Found]:
    """The folder, the name and the present value of the named reference."""
    listing = read_references(connected.store)
    meant = [
        (folder, name, known[name])
        for folder, known in ((HEADS, listing.heads), (TAGS, listing.tags))
        for name in {named, named.removeprefix(f"{folder}/")}
        if name in known
    ]
    full = [found for found in meant if f"{found[0]}/{found[1]}" == named]
    remote = connected.remote.name
    if len(meant) > 1 and not full:
        meanings = (f"{HEADS}/{named}", f"{TAGS}/{named}")
        both = [Suggestion("push", remote, meaning, delete=True) for meaning in meanings]
        message = f"{named} is a branch and a tag at {remote}"
        raise ReferenceAmbiguous(message, (both[0], ", or ", both[1]), name=named, meanings=meanings)
    if not meant:
        near = suggest(named, [*listing.heads, *listing.tags])
        advice = did_you_mean(near) or (Suggestion("fetch", remote), " brings what it has")
        message = f"{remote} has no branch and no tag {named}"
        raise ReferenceNotFound(message, advice, name=named, suggestions=tuple(near))
    return (full or meant)[0]


def _require_allowed(connected: Connected, name: str, found: Found) -> None:
    remote = connected.remote.name
    if read_protection(connected.store, name).protection.protects:
        raise EpochRemoteRefused(
            f"branch {name} is protected at {remote}, so it cannot be deleted there",
            (Suggestion("unprotect", name), ", then ", Suggestion("push", remote, branch=name, protection=True)),
            branch=name,
            commit_id=found.ref.commit_id,
            remote=remote,
            needs="unprotect",
        )
    if name == connected.header.default_branch:
        message = f"branch {name} is what clones of {remote} check out, so it cannot be deleted there"
        raise EpochRemoteError(message, remote=remote)
