"""``push --delete``: deletes a branch or a tag at a remote. Its commits stay there, like everything in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import Call, existing, new_ref, now
from epoch_sql.catalog.history import Audit, Protections, Refs, Reviews
from epoch_sql.catalog.local import Upstreams
from epoch_sql.errors import (
    EpochReferenceError,
    EpochRemoteError,
    EpochRemoteRefused,
    EpochTransactionError,
    Protected,
    ReferenceAmbiguous,
    ReferenceNotFound,
)
from epoch_sql.guard.moves import evidence
from epoch_sql.guard.rules import check_push
from epoch_sql.model.commit import Ref, TrackingRoute
from epoch_sql.model.names import suggest
from epoch_sql.model.protection import Protection
from epoch_sql.model.remote import RemoteRef, Upstream
from epoch_sql.remote.connecting import (
    HEADS,
    TAGS,
    Connected,
    PushResult,
    commit_path,
    connect,
    connect_to_push,
    head_path,
    note_use,
    remote_named,
    tag_path,
)
from epoch_sql.remote.fetching import ATTEMPTS
from epoch_sql.remote.garbage import MOST, Note, read_note
from epoch_sql.remote.references import (
    Guard,
    Listing,
    StoredRef,
    deleted_ref,
    moved_ref,
    read_protection,
    read_references,
    read_reviews,
    write_protection,
    write_reference,
    write_reviews,
)
from epoch_sql.remote.sending import Sent, send, send_layouts


def delete(call: Call, remote: str, named: str | None) -> PushResult:
    """Delete a branch or a tag at a remote, and its local remote branch. Deletes no local branch or tag.

    Raises EpochReferenceError if the remote has neither of that name, or both, and EpochRemoteRefused for a branch that
    is protected there. Raises EpochRemoteError for the branch that clones check out, and if somebody else moved it
    meanwhile.
    """
    connected = connect(call, remote)
    if not named:
        message = "which branch or tag of the remote is meant?"
        raise EpochReferenceError(message, Suggestion("push", remote, "NAME", delete=True))
    folder, name, found = _named(connected, named)
    if folder == HEADS:
        _require_deletable(connected, name, found)
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
            _forget(call.refs, remote, name, author)
        detail = f"deleted {'branch' if folder == HEADS else 'tag'} at {remote}"
        Audit(call.cursor).record(now(), author, "push", name, found.ref.commit_id, detail)
    return PushResult(remote, name, "deleted", found.ref.commit_id, None, [name], 0, 0)


def _forget(refs: Refs, remote: str, name: str, author: str) -> None:
    tracking = refs.get("remote", f"{remote}/{name}")
    if tracking:
        refs.remove(tracking, TrackingRoute.DELETE, f"push {remote}: deleted", author, now())


def _named(connected: Connected, named: str) -> tuple[str, str, StoredRef]:
    """The folder, the name and the present value of the named reference."""
    listing = read_references(connected.store)
    meant = [
        (folder, name, refs[name])
        for folder, refs in ((HEADS, listing.heads), (TAGS, listing.tags))
        for name in {named, named.removeprefix(f"{folder}/")}
        if name in refs
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


def _require_deletable(connected: Connected, name: str, stored: StoredRef) -> None:
    remote = connected.remote.name
    if read_protection(connected.store, name).protection.protects:
        raise EpochRemoteRefused(
            f"branch {name} is protected at {remote}, so it cannot be deleted there",
            (Suggestion("unprotect", name), ", then ", Suggestion("push", remote, branch=name, protection=True)),
            branch=name,
            commit_id=stored.ref.commit_id,
            remote=remote,
            needs="unprotect",
        )
    if name == connected.header.default_branch:
        message = f"branch {name} is what clones of {remote} check out, so it cannot be deleted there"
        raise EpochRemoteError(message, remote=remote)


# No transaction is open while files are sent. The remote's own settings and reviews decide what is allowed, before
# anything is sent and again before the reference moves.


@dataclass(frozen=True)
class _Push:
    """What is pushed, and the state of the remote at the beginning."""

    connected: Connected
    listing: Listing
    branch: Ref
    tags: Mapping[str, Ref]
    guard: Guard

    @property
    def old(self) -> str | None:
        """The commit of the branch at the remote."""
        found = self.listing.heads.get(self.branch.name)
        return found.ref.commit_id if found else None


def push(
    call: Call, remote: str, branch: str | None, force: bool, tags: bool, protection: bool, layout: bool
) -> PushResult:
    """Push a branch (default: the checked-out one), with reviews; ``tags`` also pushes every tag, and ``layout`` how
    the branch's tables are stored.

    ``protection`` sets the remote's protection of the branch to the local one. Without it, a push does so only if the
    remote has no settings for the branch. Raises EpochRemoteError if the remote has commits that are not local (unless
    ``force``) or cannot be used, and EpochRemoteRefused if its protection refuses the push.
    """
    remote_named(call.cursor, remote)
    ref = existing(call.refs, "branch", branch or _checked_out(call, remote))
    begun = _begin(call.refs, connect_to_push(call, remote, ref.name), ref, tags)
    _require_forward(call, begun, force)
    store = begun.connected.store
    write_reviews(store, Reviews(call.cursor).load())
    _require_allowed(call, begun, begun.guard.protection)
    sent, garbage = Sent(), read_note(store)
    new_tags = [tag for name, tag in begun.tags.items() if name not in begun.listing.tags]
    if ref.commit_id != begun.old or new_tags:
        tips = {ref.commit_id, *(tag.commit_id for tag in new_tags)}
        sent = send(call, store, tips, _common(call, begun, garbage), garbage)
    if layout:
        sent += send_layouts(call, store, ref.commit_id, read_note(store))
    protected = _set_protection(call, begun, protection)
    if ref.commit_id != begun.old:
        _move(call, begun)
    for tag in new_tags:
        _make_tag(begun, tag)
    _note(call, begun, new_tags, protected)
    moved = [*([ref.name] if ref.commit_id != begun.old else []), *(tag.name for tag in new_tags)]
    status = _status(call, begun)
    return PushResult(remote, ref.name, status, begun.old, ref.commit_id, moved, sent.objects, sent.bytes)


def _checked_out(call: Call, remote: str) -> str:
    head = call.state.head()
    if head.branch is None:
        raise EpochReferenceError(
            f"{head.commit_id[:7]} is checked out, not a branch: name the branch to push",
            Suggestion("push", remote, "BRANCH"),
            name=head.commit_id,
        )
    return head.branch


def _begin(refs: Refs, connected: Connected, ref: Ref, tags: bool) -> _Push:
    listing = read_references(connected.store)
    own = refs.all("tag") if tags else {}
    for name, tag in own.items():
        there = listing.tags.get(name)
        if there and there.ref.commit_id != tag.commit_id:
            raise EpochRemoteError(
                f"tag {name} is commit {there.ref.commit_id[:7]} at {connected.remote.name}, and {tag.commit_id[:7]} "
                "here; tags do not move",
                (Suggestion("tag_delete", name), ", then ", Suggestion("fetch", connected.remote.name)),
                remote=connected.remote.name,
            )
    return _Push(connected, listing, ref, own, read_protection(connected.store, ref.name))


def _require_forward(call: Call, begun: _Push, force: bool) -> None:
    """Raises EpochRemoteError if the push would drop commits of the remote's branch."""
    old, new, graph = begun.old, begun.branch.commit_id, call.graph()
    if old is None or (old in graph and graph.is_ancestor(old, new)):
        return
    name, remote = begun.branch.name, begun.connected.remote.name
    protection = begun.guard.protection
    if force and protection.no_force_push:
        raise EpochRemoteRefused(
            f"branch {name} is protected at {remote} from being rewritten: {new[:7]} does not lead on from {old[:7]}",
            (
                Suggestion("pull", remote),
                ", then push; to undo what is there: ",
                Suggestion("revert", "COMMIT"),
                ", or ",
                Suggestion("reset", "REF", hard=True),
            ),
            branch=name,
            commit_id=new,
            remote=remote,
            needs="growth",
        )
    if force and old not in graph and protection.require_review:
        raise EpochRemoteRefused(
            f"branch {name} requires a review at {remote}, and is at {old[:7]} there, which is not here",
            ("fetch first: ", Suggestion("fetch", remote)),
            branch=name,
            commit_id=new,
            remote=remote,
            needs="review",
        )
    if force:
        return
    behind = "has commits that are not here" if old not in graph else "has commits that this one lacks"
    raise EpochRemoteError(
        f"branch {name} at {remote} {behind} ({old[:7]}); nothing was changed",
        ("fetch first: ", Suggestion("pull", remote)),
        remote=remote,
    )


def _require_allowed(call: Call, begun: _Push, protection: Protection) -> None:
    """Raises EpochRemoteRefused if the remote's protection and reviews do not allow the move."""
    old, new, graph = begun.old, begun.branch.commit_id, call.graph()
    if not protection.protects or old is None or old == new:
        return
    reviews = read_reviews(begun.connected.store, (), begun.branch.name) if protection.require_review else []
    known = replace(evidence(call, begun.branch.name), graph=graph, reviews=reviews)
    try:
        with call.trying():
            check_push(protection, known, old, new)
    except Protected as error:
        remote = begun.connected.remote.name
        raise EpochRemoteRefused(
            f"{remote} refuses the push: {error.message}",
            error.advice,
            branch=begun.branch.name,
            commit_id=new,
            remote=remote,
            needs=error.needs,
        ) from error


def _common(call: Call, begun: _Push, garbage: Note) -> set[str]:
    """Commits that the remote has with all of their ancestors: those of its references, now and at the last fetch.

    What no reference reaches any more may be removed there once it is noted as garbage.
    """
    graph = call.graph()
    prefix, store = f"{begun.connected.remote.name}/", begun.connected.store
    tips = set(begun.listing.tips)
    if begun.connected.is_same_store:
        fetched = {r.commit_id for name, r in call.refs.all("remote").items() if name.startswith(prefix)}
        # A store that was restored from an older backup may lack them.
        if len(garbage.paths) < MOST:
            tips |= {tip for tip in fetched - tips if store.size(commit_path(tip)) is not None}
    return {tip for tip in tips if tip in graph and commit_path(tip) not in garbage.paths}


def _set_protection(call: Call, begun: _Push, wanted: bool) -> bool:
    """Set the remote's protection to the local one, if ``wanted`` or if the remote has none. Says whether it
    changed."""
    own = Protections(call.cursor).get(begun.branch.name)
    store, name = begun.connected.store, begun.branch.name
    there = begun.guard
    if (wanted and own != there.protection) or (there.token is None and own.protects):
        if write_protection(store, there, own, call.author()):
            return True
    elif read_protection(store, name).token == there.token:
        return False
    _require_allowed(call, begun, read_protection(store, name).protection)
    if wanted:
        raise EpochRemoteError(
            f"the protection of {name} at {begun.connected.remote.name} was changed by another push",
            "retry",
            remote=begun.connected.remote.name,
        )
    return False


def _move(call: Call, begun: _Push) -> None:
    ref, found = begun.branch, begun.listing.heads.get(begun.branch.name)
    author = call.author()
    moved = moved_ref(ref.name, ref.commit_id, author, now(), None, begun.old)
    token = found.token if found else begun.listing.deleted.get((HEADS, ref.name))
    if not write_reference(begun.connected.store, head_path(ref.name), token, moved):
        remote = begun.connected.remote.name
        raise EpochRemoteError(
            f"another push to branch {ref.name} at {remote} was faster; nothing was changed there",
            ("fetch first: ", Suggestion("pull", remote)),
            remote=remote,
        )


def _make_tag(begun: _Push, tag: Ref) -> None:
    made: RemoteRef = moved_ref(tag.name, tag.commit_id, tag.author, tag.moved_at, tag.message, None)
    if not write_reference(
        begun.connected.store, tag_path(tag.name), begun.listing.deleted.get((TAGS, tag.name)), made
    ):
        raise EpochRemoteError(
            f"another push made tag {tag.name} at {begun.connected.remote.name}; branch {begun.branch.name} was pushed",
            Suggestion("fetch", begun.connected.remote.name),
            remote=begun.connected.remote.name,
        )


def _note(call: Call, begun: _Push, tags: list[Ref], protected: bool) -> None:
    """Store the new commit of the remote branch. If another writer is faster, tries again a few times."""
    for attempt in range(ATTEMPTS):
        try:
            _note_once(call, begun, tags, protected)
            return
        except EpochTransactionError:
            if attempt + 1 == ATTEMPTS:
                raise


def _note_once(call: Call, begun: _Push, tags: list[Ref], protected: bool) -> None:
    cursor, remote, ref = call.cursor, begun.connected.remote, begun.branch
    tracking = call.refs.get("remote", f"{remote.name}/{ref.name}")
    followed = Upstreams(cursor).load().get(ref.name)
    current = tracking is not None and tracking.commit_id == ref.commit_id
    same = current and followed and begun.connected.is_known and begun.old == ref.commit_id
    if same and not tags and not protected:
        return
    with call.moving():
        author = call.author()
        if not current:
            there = new_ref("remote", f"{remote.name}/{ref.name}", ref.commit_id)
            call.refs.put(there, TrackingRoute.PUSH, f"push {remote.name}", author)
        if followed is None:
            Upstreams(cursor).put(Upstream(ref.name, remote.name, ref.name))
        note_use(call, remote, begun.connected.header)
        if protected:
            Audit(cursor).record(now(), author, "protect", ref.name, None, f"set at {remote.name} as it is here")
        if begun.old != ref.commit_id:
            forced = "forced " if _status(call, begun) == "forced" else ""
            detail = f"{forced}push to {remote.name}, which was at {(begun.old or 'nothing')[:7]}"
            Audit(cursor).record(now(), author, "push", ref.name, ref.commit_id, detail)


def _status(call: Call, begun: _Push) -> str:
    old, new, graph = begun.old, begun.branch.commit_id, call.graph()
    if old == new:
        return "up-to-date"
    if old is None:
        return "new"
    return "pushed" if old in graph and graph.is_ancestor(old, new) else "forced"
