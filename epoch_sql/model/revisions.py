"""The grammar of references, and what a reference means in a repository."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

from epoch_sql.advice import Advice, Suggestion, did_you_mean
from epoch_sql.errors import EpochReferenceError, ReferenceAmbiguous, ReferenceNotFound
from epoch_sql.model.names import quoted, suggest

HEAD = "HEAD"
WORKING = "WORKING"
BRANCHES, TAGS, REMOTE_BRANCHES = "refs/heads/", "refs/tags/", "refs/remotes/"

_SHORT, _FULL, _FEWEST_DIGITS = 7, 64, 4
_LISTED = 5
_PREFIX = re.compile(rf"[0-9a-fA-F]{{{_FEWEST_DIGITS},{_FULL}}}")
_BASE = re.compile(r"(?:(?!@\{)[^~^])*")
_STEP = re.compile(r"([~^])([0-9]{0,9})(?=[~^]|@\{|\Z)|@\{([^{}]*)\}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?: ?(?:Z|z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)


@dataclass(frozen=True)
class Ancestor:
    """``~N``: the N-th ancestor along first parents."""

    n: int

    def __str__(self) -> str:
        return f"~{self.n}"


@dataclass(frozen=True)
class Parent:
    """``^N``: the N-th parent, counted from 1; ``^0`` is the commit itself."""

    n: int

    def __str__(self) -> str:
        return f"^{self.n}"


@dataclass(frozen=True)
class AsOf:
    """``@{2026-01-31 12:00}``: the commit of the reference at that time. ``when`` is UTC without a time zone."""

    when: datetime

    def __str__(self) -> str:
        return f"@{{{self.when}}}"


@dataclass(frozen=True)
class Previous:
    """``@{N}``: the N-th value before the present one."""

    n: int

    def __str__(self) -> str:
        return f"@{{{self.n}}}"


Step = Ancestor | Parent | AsOf | Previous


@dataclass(frozen=True)
class Revision:
    """A parsed reference: a name, and the steps from there, left to right."""

    base: str
    steps: tuple[Step, ...] = ()

    @property
    def is_working(self) -> bool:
        """Whether it names the working tables, which are not a commit."""
        return self.base == WORKING

    def __str__(self) -> str:
        return self.base + "".join(map(str, self.steps))


class RevisionLookup(Protocol):
    """What resolving a reference needs from a repository. Commit ids are full ids, and times are UTC without a time
    zone."""

    def head(self) -> str | None:
        """The commit that is checked out, or None before the first commit."""

    def named(self, names: Collection[str] | None) -> Mapping[str, str]:
        """The commit of each reference that has one of these names (None: of all), by its full name, such as
        ``refs/heads/main``. The name of a remote branch is ``REMOTE/BRANCH``."""

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        """The commits whose id begins with ``prefix`` (lower case)."""

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit, first parent first."""

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        """When and to which commit ``HEAD`` or a full reference name (``refs/heads/…``) moved, newest first."""


def parse_revision(text: str) -> Revision:
    """Parse a reference. Raises EpochReferenceError if it does not follow the grammar.

    The grammar is git's (gitrevisions(7)): a name, then any of ``~``, ``~N``, ``^``, ``^N``, and right after the name
    ``@{N}`` or ``@{date}`` (ISO 8601, UTC where no offset is given). ``@`` alone is HEAD, and so is a missing name.
    """
    match = _BASE.match(text)
    name = match[0] if match else ""
    if not text.strip():
        raise EpochReferenceError("a reference is empty", "name a branch, a tag or a commit, or HEAD")
    base = name.upper() if name.upper() in (HEAD, WORKING) else HEAD if name in ("", "@") else name
    steps = _steps(text, len(name))
    if base == WORKING and steps:
        raise EpochReferenceError(
            f"{quoted(text)}: WORKING is not a commit, so nothing comes before it", "HEAD is its parent", name=text
        )
    return Revision(base, steps)


def resolve(text: str, lookup: RevisionLookup) -> str:
    """The id of the commit that a reference names.

    A branch, tag or remote branch wins over a commit whose id begins with that name. Two of them with one name are
    ambiguous without the full name (``refs/heads/x``, ``refs/tags/x``, ``refs/remotes/x``, or for short ``heads/x`` and
    so on). A complete commit id always means the commit. Raises EpochReferenceError for a name that is unknown or
    ambiguous, for a step beyond the first commit or to a missing parent, for a time without a value, and for WORKING,
    which is not a commit.
    """
    revision = parse_revision(text)
    if revision.is_working:
        message = "WORKING is the uncommitted state, not a commit"
        raise EpochReferenceError(message, "commit it first, or name HEAD", name=text)
    ref, commit = _base(revision.base, lookup)
    for step in revision.steps:
        match step:
            case Ancestor(n):
                commit = _ancestor(text, commit, n, lookup)
            case Parent(n):
                commit = _parent(text, commit, n, lookup)
            case AsOf(when):
                commit = _value_at(revision.base, ref, when, lookup)
            case Previous(n):
                commit = _earlier_value(revision.base, ref, n, lookup)
    return commit


def texts_meaning(folder: str, names: Iterable[str]) -> set[str]:
    """Every text that means one of the references of a folder: ``main``, ``heads/main``, ``refs/heads/main``."""
    prefixes = ("", folder.removeprefix("refs/"), folder)
    return {prefix + name for name in names for prefix in prefixes}


def short_ids(commits: Sequence[str]) -> list[str]:
    """The ids, shortened to the least number of digits, seven or more, that distinguishes them."""
    distinct = len(set(commits))
    length = next((n for n in range(_SHORT, _FULL) if len({commit[:n] for commit in commits}) == distinct), _FULL)
    return [commit[:length] for commit in commits]


def _steps(text: str, start: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    position = start
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise EpochReferenceError(
                f"{quoted(text)} is not a reference: cannot read {quoted(text[position:])}",
                "after a name: ~N, ^N, @{N} or @{2026-01-31 12:00}",
                name=text,
            )
        if match[3] is not None and position != start:
            raise EpochReferenceError(
                f"{quoted(text)}: {match[0]} must follow the name of a branch directly",
                "for example main@{1}~2",
                name=text,
            )
        steps.append(_step(text, match))
        position = match.end()
    return tuple(steps)


def _step(text: str, match: re.Match[str]) -> Step:
    sign, digits, braced = match.groups()
    if sign is not None:
        n = int(digits or 1)
        return Ancestor(n) if sign == "~" else Parent(n)
    braced = braced.strip()
    if re.fullmatch(r"[0-9]{1,9}", braced):
        return Previous(int(braced))
    return AsOf(_time(text, braced))


def _time(text: str, written: str) -> datetime:
    error = EpochReferenceError(
        f"{quoted(text)}: {quoted(written)} is not a date or time",
        "write @{2026-01-31} or @{2026-01-31 12:00}, in UTC",
        name=text,
    )
    if not _TIME.fullmatch(written):
        raise error
    try:
        when = datetime.fromisoformat(re.sub(r" (?=Z|z|[+-])", "", written).upper())
        return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    except (ValueError, OverflowError) as cause:
        raise error from cause


def _base(name: str, lookup: RevisionLookup) -> tuple[str, str]:
    """The full name of the reference (empty for a commit id), and the commit."""
    if name == HEAD:
        return HEAD, _head(lookup)
    if len(name) == _FULL and _PREFIX.fullmatch(name) and (exact := lookup.commits_with_prefix(name.lower())):
        return "", exact[0]
    meanings = _meanings(name, lookup)
    if name in meanings:
        return name, meanings[name]
    if len(meanings) > 1:
        first, second = sorted(meanings)[:2]
        kinds = " and ".join(_kind(ref) for ref in sorted(meanings))
        message = f"reference {quoted(name)} is ambiguous: it is {kinds}"
        raise ReferenceAmbiguous(
            message, f"say which: {first} or {second}", name=name, meanings=tuple(sorted(meanings))
        )
    if meanings:
        return next(iter(meanings.items()))
    return "", _commit_with_prefix(name, lookup)


def _head(lookup: RevisionLookup) -> str:
    commit = lookup.head()
    if commit is None:
        raise EpochReferenceError("HEAD has no commit yet", Suggestion("commit", "First commit"), name=HEAD)
    return commit


def _meanings(name: str, lookup: RevisionLookup) -> dict[str, str]:
    """Every commit that the name can mean, by the full name of the reference."""
    meant = {
        folder + name.removeprefix(prefix): name.removeprefix(prefix)
        for folder in (BRANCHES, TAGS, REMOTE_BRANCHES)
        for prefix in ("", folder.removeprefix("refs/"), folder)
        if name.startswith(prefix)
    }
    return {ref: commit for ref, commit in lookup.named({*meant.values()}).items() if ref in meant}


def _kind(ref: str) -> str:
    kinds = {BRANCHES: "a branch", TAGS: "a tag", REMOTE_BRANCHES: "a remote branch"}
    return next(kind for folder, kind in kinds.items() if ref.startswith(folder))


def _commit_with_prefix(name: str, lookup: RevisionLookup) -> str:
    commits = sorted(set(lookup.commits_with_prefix(name.lower()))) if _PREFIX.fullmatch(name) else []
    if not commits:
        raise _unknown(name, lookup)
    if len(commits) > 1:
        listed = ", ".join(short_ids(commits)[:_LISTED])
        more = f" and {len(commits) - _LISTED} more" if len(commits) > _LISTED else ""
        message = f"commit prefix {quoted(name)} is ambiguous: {listed}{more}"
        raise ReferenceAmbiguous(message, "type more digits of the id", name=name, meanings=tuple(commits))
    return commits[0]


def _unknown(name: str, lookup: RevisionLookup) -> ReferenceNotFound:
    names = [*(ref.split("/", 2)[2] for ref in sorted(lookup.named(None))), HEAD, WORKING]
    near = suggest(name, names)
    advice: Advice = (
        Suggestion("branches"),
        ", ",
        Suggestion("tags"),
        " and ",
        Suggestion("log"),
        " list what there is",
    )
    if re.fullmatch(rf"[0-9a-fA-F]{{1,{_FEWEST_DIGITS - 1}}}", name):
        advice = (f"a commit id needs {_FEWEST_DIGITS} digits or more: ", Suggestion("log"))
    advice = did_you_mean(near, quoted) or advice
    return ReferenceNotFound(f"unknown reference {quoted(name)}", advice, name=name, suggestions=tuple(near))


def _ancestor(text: str, commit: str, n: int, lookup: RevisionLookup) -> str:
    for taken in range(n):
        parents = lookup.parents(commit)
        if not parents:
            raise EpochReferenceError(
                f"{quoted(text)} goes beyond {commit[:_SHORT]}, the first commit, which is {taken} of {n} steps back",
                Suggestion("log", first_parent=True),
                name=text,
            )
        commit = parents[0]
    return commit


def _parent(text: str, commit: str, n: int, lookup: RevisionLookup) -> str:
    if n == 0:
        return commit
    parents = lookup.parents(commit)
    if n <= len(parents):
        return parents[n - 1]
    what = "is the first commit and has no parent" if not parents else "is not a merge: it has 1 parent"
    if len(parents) > 1:
        what = f"has {len(parents)} parents"
    raise EpochReferenceError(
        f"{quoted(text)}: ^{n} does not exist, {commit[:_SHORT]} {what}",
        Suggestion("log", commit[:_SHORT], max_count=1),
        name=text,
    )


def _values(name: str, ref: str, lookup: RevisionLookup) -> Sequence[tuple[datetime, str]]:
    values = lookup.reflog(ref) if ref and not ref.startswith(TAGS) else ()
    if not values:
        what = "a tag, which does not move" if ref.startswith(TAGS) else "no branch with recorded values"
        message = f"{quoted(name)} has no earlier values: it is {what}"
        raise EpochReferenceError(message, Suggestion("reflog"), name=name)
    return values


def _value_at(name: str, ref: str, when: datetime, lookup: RevisionLookup) -> str:
    values = _values(name, ref, lookup)
    commit = next((commit for moved_at, commit in values if moved_at <= when), None)
    if commit is None:
        asked, first = _told_apart(when, values[-1][0])
        message = f"{quoted(name)} did not exist at {asked} UTC: its first value is from {first} UTC"
        raise EpochReferenceError(message, Suggestion("reflog"), name=name)
    return commit


def _earlier_value(name: str, ref: str, n: int, lookup: RevisionLookup) -> str:
    values = _values(name, ref, lookup)
    for _, commit in islice(values, n, n + 1):
        return commit
    count = f"{len(values)} recorded value{'s' if len(values) > 1 else ''}"
    message = f"{quoted(name)} has only {count}, so there is no @{{{n}}}"
    raise EpochReferenceError(message, Suggestion("reflog"), name=name)


def _told_apart(*times: datetime) -> list[str]:
    """The times to the minute if that distinguishes them, or else in full."""
    minutes = [time.isoformat(" ", "minutes") for time in times]
    return minutes if len(set(minutes)) == len(times) else [time.isoformat(" ", "microseconds") for time in times]
