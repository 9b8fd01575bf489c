"""Undoing a merge so that it counts as not having happened: what a merge of that source later brings back or keeps.

Git forgets: after a merge was reverted, merging the same source again finds it merged already and leaves its changes
out, silently. Here a commit that undoes merges records which (``Undo``), and the merge base is chosen among the commits
before them. Everything else of the three-way merge stays as it is.

Recorded with a commit, and never computed again:

- a revert of a merge M: ``undoes = (M,)``
- a forward rollback to C: ``undoes`` the merges on the branch's first-parent line after C, ``restores = C``
- a revert of such a commit: ``redoes`` what it undid, and ``undoes`` what it redid (the undo of the undo of the undo),
  less what was so before that commit already, by an undo that stays in force
- a merge that keeps undone what its source would bring back: ``undoes`` the merges that it leaves out
- any other commit: nothing; a revert of an ordinary commit is a change like any other.

``redoes`` is what makes an undo's list void, for the commits that descend from the commit that redoes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations, takewhile

from epoch_sql.model.commit import Commit
from epoch_sql.model.graph import CommitGraph, Undo


@dataclass(frozen=True)
class Undone:
    """Commits that one commit undid, as one side of a merge sees them.

    ``commits`` are all of them, merges included, newest first; ``changes`` those to count in a message: the commits
    that are no merges, or all where there are only merges.
    """

    undoing: str
    commits: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class MergePlan:
    """How a source is to be merged into a target.

    ``bases``: the best common ancestors to merge against; several are merged first into a virtual base, none means that
    the histories are unrelated (an empty base). ``up_to_date``: nothing to merge. ``fast_forward``: the source's state
    is the result as it is.
    ``reapplies``: what was undone on the target and comes back with this merge ("re-applies 3 commits that 1a2b3c4
    undid").
    ``keeps``: what was undone on the source and stays in the target ("keeps 3 commits that 1a2b3c4 undid on
    production"). Both are ordered by the undoing commit, newest first.
    """

    bases: tuple[str, ...]
    up_to_date: bool
    fast_forward: bool
    reapplies: tuple[Undone, ...] = ()
    keeps: tuple[Undone, ...] = ()


def plan_merge(graph: CommitGraph, target: str, source: str, *, keep_undone: bool = False) -> MergePlan:
    """What to merge against when ``source`` is merged into ``target`` (commit ids).

    The base is a best common ancestor among the commits that have no absent commit of either side in their own
    ancestry;
    ``keep_undone`` asks for git's ordinary base instead. Without an undo that only one of the sides knows, the two are
    the same, and no more history is read than for git's base. Rule: docs/undone-promotions.md.
    """
    if keep_undone:
        missing: dict[str, frozenset[str]] = {}
        kept: dict[str, frozenset[str]] = {}
        bases = graph.merge_bases(target, source)
    else:
        missing, kept, bases = _undone_between(graph, target, source)
    absent = frozenset[str]().union(*missing.values(), *kept.values())
    if not keep_undone:
        bases += [b for b in _bases_with_what_both_kept(graph, target, source, bases, absent) if b not in bases]
    return MergePlan(
        bases=tuple(bases),
        up_to_date=not absent and bases == [source],
        fast_forward=not absent and bases == [target] and target != source,
        reapplies=_grouped(graph, missing, source),
        keeps=_grouped(graph, kept, target),
    )


def present(graph: CommitGraph, commit: str) -> frozenset[str]:
    """The commits whose content counts as being in ``commit``: itself, and its parents' less what it undoes.

    What it redoes, and what is present in the commit that it restores, counts again. Without an undo in its ancestry
    these are its ancestors.
    """
    presence = _Presence(graph, (commit,))
    return frozenset(graph.ancestors(commit)) - presence.universe | presence.at(commit)


def brought(graph: CommitGraph, merge: str) -> frozenset[str]:
    """The commits that a merge brought: present in it, itself aside, and not in its first parent. None for others."""
    parents = graph.parents(merge)
    return present(graph, merge) - {merge} - present(graph, parents[0]) if len(parents) > 1 else frozenset()


def undo_of_revert(graph: CommitGraph, tip: str, reverted: str) -> Undo:
    """What a commit on top of ``tip`` has to record that reverts ``reverted``.

    Nothing where ``tip`` does not descend from it: what never happened there is not undone by taking its opposite.
    """
    if not graph.is_ancestor(reverted, tip):
        return Undo()
    recorded = graph.undo(reverted)
    merges = (reverted,) if len(graph.parents(reverted)) > 1 else ()
    if not recorded.commits:
        return Undo(undoes=merges)
    before = graph.parents(reverted)[0]
    return Undo(
        undoes=merges + tuple(merge for merge in recorded.redoes if _is_undone(graph, before, merge)),
        redoes=tuple(merge for merge in recorded.undoes if not _is_undone(graph, before, merge)),
    )


def undo_kept(graph: CommitGraph, target: str, source: str) -> Undo:
    """What a merge has to record that keeps undone what was undone on its target: the merges that it leaves out."""
    missing, _, _ = _undone_between(graph, target, source)
    if not missing:
        return Undo()
    gone = frozenset[str]().union(*missing.values())
    merges = dict.fromkeys(merge for undoing in missing for merge in graph.undo(undoing).undoes)
    return Undo(undoes=tuple(merge for merge in merges if brought(graph, merge) & gone))


def undo_of_rollback(graph: CommitGraph, tip: str, restored: str) -> Undo:
    """What a commit on top of ``tip`` has to record whose content is that of ``restored``.

    It undoes every merge after ``restored`` on the first-parent line, and settles the older ones that were undone or
    redone since as they were at ``restored``. Where ``restored`` is not on that line, the line ends at the first commit
    that it descends from, and a merge that brought any of its ancestors is not undone unless it can be said exactly
    which part of it stays (``restored`` is an ancestor of ``tip``).
    """
    known = graph.ancestors(restored)
    inside = graph.is_ancestor(restored, tip)
    undoes: list[str] = []
    redoes: list[str] = []
    settled: list[str] = []
    for commit in takewhile(lambda commit: commit not in known, graph.first_parents(tip)):
        parents, undo = graph.parents(commit), graph.undo(commit)
        settled += [merge for merge in undo.undoes + undo.redoes if merge in known]
        if len(parents) > 1 and (inside or known.isdisjoint(graph.difference(parents[1:], parents[:1]))):
            undoes.append(commit)
    for merge in dict.fromkeys(settled):
        before, after = _is_undone(graph, tip, merge), _is_undone(graph, restored, merge)
        if before != after:
            (undoes if after else redoes).append(merge)
    return Undo(tuple(undoes), tuple(redoes), restored if inside else None)


def expected_undo(graph: CommitGraph, commit: Commit) -> Undo | None:
    """What a commit has to record about merges that it undoes, by what it says that it was made of.

    None where it says that of a commit that is not there, or that is no commit to revert.
    """
    origin, parents = commit.origin, commit.parents
    made_of = [c for c in (origin.reverts, origin.rolls_back_to, origin.squashes) if c is not None]
    if len(made_of) > 1 or (made_of and len(parents) != 1) or any(c not in graph for c in made_of):
        return None
    if origin.reverts is not None:
        return undo_of_revert(graph, parents[0], origin.reverts) if graph.parents(origin.reverts) else None
    if origin.rolls_back_to is not None:
        return undo_of_rollback(graph, parents[0], origin.rolls_back_to)
    merged = parents[1:] or made_of
    return undo_kept(graph, parents[0], merged[0]) if origin.keep_undone and merged else Undo()


def _is_undone(graph: CommitGraph, commit: str, merge: str) -> bool:
    """Whether the last word on the merge, on the commit's first-parent line, is that it was undone."""
    for earlier in graph.first_parents(commit):
        undo = graph.undo(earlier)
        if earlier == merge or merge in undo.redoes:
            return False
        if merge in undo.undoes:
            return True
    return False


def _undone_between(
    graph: CommitGraph, target: str, source: str
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]], list[str]]:
    """What is absent from the target, what from the source, and the best common ancestors without any of it.

    An undo that both sides know is settled, as long as the base knows it too: below it, the base has again what was
    undone, and a side that kept it would lose it as if it were news. So the search goes on with fewer settled undos.
    """
    settled = graph.undoing(target) & graph.undoing(source)
    while True:
        missing = _absent_by_undo(graph, target, source, settled)
        kept = _absent_by_undo(graph, source, target, settled)
        absent = frozenset[str]().union(*missing.values(), *kept.values())
        bases = graph.merge_bases(target, source, excluding=_descending_from(graph, absent, target, source))
        known = frozenset[str]().union(*map(graph.undoing, bases)) if absent else settled
        if known >= settled:
            return missing, kept, bases
        settled = known


def _bases_with_what_both_kept(
    graph: CommitGraph, target: str, source: str, bases: list[str], absent: frozenset[str]
) -> list[str]:
    """The best common ancestors without a merge that was undone before a base, where both sides kept its changes.

    Against such a base alone these would count as made on both sides. There are none without such an undo.
    """
    undoing = frozenset[str]().union(*map(graph.undoing, bases))
    if not undoing:
        return []
    presence = _Presence(graph, (target, source, *bases))
    shared = presence.at(target) & presence.at(source)
    lost = {
        merge
        for base in bases
        for commit in graph.undoing(base)
        for merge in graph.undo(commit).undoes
        if presence.brought(merge) & shared - presence.at(base)
    }
    if not lost:
        return []
    return graph.merge_bases(target, source, excluding=_descending_from(graph, absent | lost, target, source))


def _absent_by_undo(graph: CommitGraph, commit: str, other: str, settled: frozenset[str]) -> dict[str, frozenset[str]]:
    """The absent commits by the newest commit that undid them, newest first, merges that kept them undone last."""
    news = graph.undoing(commit) - settled
    if not news:
        return {}
    presence = _Presence(graph, (commit, other))
    here, there = presence.at(commit), presence.at(other)
    found: dict[str, frozenset[str]] = {}
    attributed: frozenset[str] = frozenset()
    for undoing in sorted(graph.topological(news), key=lambda undoing: len(graph.parents(undoing))):
        commits: frozenset[str] = frozenset()
        for merge in graph.undo(undoing).undoes:
            changes = presence.brought(merge)
            missing = changes - here - attributed
            if undoing in graph.undoing(other):
                missing &= there
            if missing and _carries_by_itself(graph, other, undoing, merge, changes):
                commits |= missing
        if commits:
            found[undoing] = commits
            attributed |= commits
    return found


def _carries_by_itself(graph: CommitGraph, commit: str, undoing: str, merge: str, changes: frozenset[str]) -> bool:
    """Whether the commit is where the changes came from, rather than having them from the line that undid the merge.

    That line are the undoing commit's first parents down to the merge: later merges into it may reach them as well.
    """
    line = {merge, *takewhile(lambda earlier: earlier != merge, graph.first_parents(undoing))}
    return graph.reaches(commit, changes, around=line)


def _descending_from(graph: CommitGraph, absent: frozenset[str], *tips: str) -> frozenset[str]:
    """The ancestors of ``tips`` that are or descend from an absent commit."""
    if not absent:
        return absent
    floor = min(graph.generation(commit) for commit in absent)
    found: set[str] = set()
    for commit in sorted(graph.down_to(tips, floor), key=graph.generation):
        if commit in absent or not found.isdisjoint(graph.parents(commit)):
            found.add(commit)
    return frozenset(found)


def _grouped(graph: CommitGraph, by_undo: dict[str, frozenset[str]], carrier: str) -> tuple[Undone, ...]:
    """What the carrying side really has of the absent commits, in the order of the undoing commits."""
    groups = []
    for undoing, commits in by_undo.items():
        floor = min(graph.generation(commit) for commit in commits)
        ordered = tuple(graph.topological(commits & graph.down_to((carrier,), floor)))
        changes = tuple(commit for commit in ordered if len(graph.parents(commit)) < 2)
        groups.append(Undone(undoing, ordered, changes or ordered))
    return tuple(groups)


class _Presence:
    """Presence of the commits that some undo concerns (``universe``), in all ancestors of a few commits.

    One pass from the oldest concerned commit upwards, with one bit per concerned commit; a commit's bits are dropped
    when all its children have been seen, so that memory follows the width of history and not its length.
    """

    def __init__(self, graph: CommitGraph, commits: tuple[str, ...]) -> None:
        self._graph = graph
        undoing = frozenset[str]().union(*(graph.undoing(commit) for commit in commits))
        merges = {merge for undo in map(graph.undo, undoing) for merge in undo.undoes + undo.redoes}
        ranges = [graph.difference(graph.parents(merge)[1:], graph.parents(merge)[:1]) for merge in merges]
        self.universe: frozenset[str] = frozenset[str]().union(*ranges)
        self._order = sorted(self.universe, key=lambda commit: (graph.generation(commit), commit))
        self._bit = {commit: 1 << position for position, commit in enumerate(self._order)}
        self._brought = dict.fromkeys(merges, 0)
        restored = {graph.undo(commit).restores for commit in undoing}
        self._kept = {*commits, *(commit for commit in restored if commit is not None)}
        self._masks: dict[str, int] = {}
        self._pass_over(commits)

    def at(self, commit: str) -> frozenset[str]:
        """The concerned commits that are present in one of the commits asked about."""
        return self._commits(self._masks.get(commit, 0))

    def brought(self, merge: str) -> frozenset[str]:
        """What a merge brought that one of their ancestors undid."""
        return self._commits(self._brought.get(merge, 0))

    def _pass_over(self, commits: tuple[str, ...]) -> None:
        if not self._order:
            return
        graph = self._graph
        region = graph.down_to(commits, graph.generation(self._order[0]))
        children = dict.fromkeys(region, 0)
        for commit in region:
            for parent in graph.parents(commit):
                if parent in children:
                    children[parent] += 1
        for commit in sorted(region, key=graph.generation):
            self._masks[commit] = self._mask(commit)
            for parent in graph.parents(commit):
                if parent in children:
                    children[parent] -= 1
                    if not children[parent] and parent not in self._kept:
                        del self._masks[parent]

    def _mask(self, commit: str) -> int:
        first, *others = [self._masks.get(parent, 0) for parent in self._graph.parents(commit)] or [0]
        mask = (first | _union(others)) & ~self._undone_by_merging(self._graph.parents(commit))
        undo = self._graph.undo(commit)
        if undo.commits:
            mask &= ~_union(self._brought.get(merge, 0) for merge in undo.undoes)
            mask |= _union(self._brought.get(merge, 0) for merge in undo.redoes)
            mask |= self._masks.get(undo.restores or "", 0)
        if commit in self._brought:
            self._brought[commit] = mask & ~first
        return mask | self._bit.get(commit, 0)

    def _undone_by_merging(self, parents: tuple[str, ...]) -> int:
        """What one parent undid and the other has only from it: the undo is a change that the merge takes over."""
        graph, gone = self._graph, 0
        for side, other in permutations(parents, 2):
            for undoing in graph.undoing(side) - graph.undoing(other):
                for merge in graph.undo(undoing).undoes:
                    changes = self._brought.get(merge, 0)
                    missing = changes & ~self._masks.get(side, 0) & self._masks.get(other, 0)
                    if missing and not _carries_by_itself(graph, other, undoing, merge, self._commits(changes)):
                        gone |= missing
        return gone

    def _commits(self, mask: int) -> frozenset[str]:
        digits = reversed(f"{mask:b}")
        return frozenset(commit for commit, digit in zip(self._order, digits, strict=False) if digit == "1")


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
