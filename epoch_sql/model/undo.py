"""Undone merges count as not having happened: decides what a later merge of the source brings back or keeps.

After the revert of a merge, git counts the same source as merged, and silently leaves out its changes. In Epoch, a
commit that undoes merges records them (``Undo``), and the merge base is chosen among the commits before them.
Everything else is an ordinary three-way merge.

A commit records this once:

- a revert of a merge M: ``undoes = (M,)``
- a forward rollback to C: ``undoes`` the merges on the branch's first-parent line after C, ``restores = C``
- a revert of such a commit: ``redoes`` what it undid, and ``undoes`` what it redid, as far as either changed what is
  present
- a merge that keeps undone what its source would bring back: ``undoes`` the merges that it leaves out
- any other commit: nothing. A revert of an ordinary commit is a change like any other.

``redoes`` makes the list of an undo void for the descendants of the commit that redoes it. The revert of an undo
changes what is present exactly as the undo did, in reverse: a merge that it redoes may have brought what another one
brought too, and another undo took away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import permutations, takewhile

from epoch_sql.model.commit import Commit
from epoch_sql.model.graph import CommitGraph, Undo


@dataclass(frozen=True)
class Undone:
    """Commits that one commit undid, as seen from one side of a merge.

    ``commits`` are all of them, with merges, newest first. ``changes`` are those that a message counts: the commits
    that are not merges, or all if there are only merges.
    """

    undoing: str
    commits: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class MergePlan:
    """How a source is to be merged into a target.

    ``bases``: the best common ancestors to merge against. Several are first merged into a virtual base. Without any,
    the histories are unrelated, and the base is empty. ``up_to_date``: there is nothing to merge. ``fast_forward``: the
    state of the source is the result. ``reapplies``: commits that the target undid and that come back with this merge
    ("re-applies 3 commits that 1a2b3c4 undid"). ``keeps``: commits that the source undid and that stay in the target
    ("keeps 3 commits that 1a2b3c4 undid on production"). Both are ordered by the undoing commit, newest first.
    """

    bases: tuple[str, ...]
    up_to_date: bool
    fast_forward: bool
    reapplies: tuple[Undone, ...] = ()
    keeps: tuple[Undone, ...] = ()


def plan_merge(graph: CommitGraph, target: str, source: str, *, keep_undone: bool = False) -> MergePlan:
    """What to merge against when ``source`` is merged into ``target`` (commit ids).

    The base is a best common ancestor among the commits that have no absent commit of either side in their own
    ancestry; ``keep_undone`` asks for git's ordinary base instead. Without an undo that only one side has, both are the
    same, and the walk reads no more history than for git's base. docs/undone-promotions.md states the rule.
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
    """The commits whose content counts as being in ``commit``: itself, and those of its parents without what it undoes.

    What it redoes, and what is present in the commit that it restores, counts again. The revert of an undo puts back
    what that took away, and takes away what that put back. Without an undo in its ancestry, these
    are its ancestors.
    """
    presence = _Presence(graph, (commit,))
    return frozenset(graph.ancestors(commit)) - presence.universe | presence.at(commit)


def brought(graph: CommitGraph, merge: str) -> frozenset[str]:
    """The commits that a merge brought: present in it and not in its first parent, without itself. Empty for others."""
    parents = graph.parents(merge)
    return present(graph, merge) - {merge} - present(graph, parents[0]) if len(parents) > 1 else frozenset()


def undo_of_revert(graph: CommitGraph, tip: str, reverted: str) -> Undo:
    """The undo that a revert of ``reverted`` on top of ``tip`` has to record.

    Empty if ``tip`` does not descend from it: nothing is undone that never happened there.
    """
    if not graph.is_ancestor(reverted, tip):
        return Undo()
    merges = (reverted,) if len(graph.parents(reverted)) > 1 else ()
    recorded = graph.undo(reverted)
    undoes, redoes = _changed(graph, recorded.redoes + recorded.undoes, reverted, graph.parents(reverted)[0])
    return Undo(merges + undoes, redoes)


def undo_kept(graph: CommitGraph, target: str, source: str) -> Undo:
    """The undo that a merge with ``keep_undone`` has to record: the merges that it leaves out."""
    missing, _, _ = _undone_between(graph, target, source)
    if not missing:
        return Undo()
    undone = frozenset[str]().union(*missing.values())
    merges = dict.fromkeys(merge for undoing in missing for merge in graph.undo(undoing).undoes)
    return Undo(undoes=tuple(merge for merge in merges if brought(graph, merge) & undone))


def undo_of_rollback(graph: CommitGraph, tip: str, restored: str) -> Undo:
    """The undo that a commit on top of ``tip`` with the content of ``restored`` has to record.

    It undoes every merge after ``restored`` on the first-parent line. What older merges brought that were undone or
    redone since becomes as it was at ``restored``. If ``restored`` is not on that line, the line ends at the first
    commit that it descends from. Then a merge that brought any of its ancestors is undone only if ``restored`` is an
    ancestor of ``tip``, which says exactly what stays.
    """
    known = graph.ancestors(restored)
    inside = graph.is_ancestor(restored, tip)
    undoes: list[str] = []
    settled: list[str] = []
    for commit in takewhile(lambda commit: commit not in known, graph.first_parents(tip)):
        parents, undo = graph.parents(commit), graph.undo(commit)
        settled += [merge for merge in undo.undoes + undo.redoes if merge in known]
        if len(parents) > 1 and (inside or known.isdisjoint(graph.difference(parents[1:], parents[:1]))):
            undoes.append(commit)
    undone, redone = _changed(graph, settled, tip, restored)
    if not inside:
        redone = tuple(merge for merge in redone if brought(graph, merge) <= present(graph, restored))
    return Undo((*undoes, *undone), redone, restored if inside else None)


def expected_undo(graph: CommitGraph, commit: Commit) -> Undo | None:
    """The undo that a commit has to record, according to its origin.

    None if the origin names a commit that is missing or that cannot be reverted.
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


def _changed(
    graph: CommitGraph, merges: Collection[str], before: str, after: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The merges that brought what is present before and not after, and those that brought what is present only after.

    What counts is what a merge brought: if it was brought twice, undoing or redoing one of the two may change nothing.
    """
    if not merges:
        return (), ()
    presence = _Presence(graph, (before, after))
    undone, redone = presence.at(before) - presence.at(after), presence.at(after) - presence.at(before)
    brought = {merge: presence.brought(merge) for merge in merges}
    return tuple(m for m in brought if brought[m] & undone), tuple(m for m in brought if brought[m] & redone)


def _undone_between(
    graph: CommitGraph, target: str, source: str
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]], list[str]]:
    """The commits absent from the target, those absent from the source, and the best common ancestors without either.

    An undo that both sides have is settled only while the base has it too. A base below the undo contains the undone
    changes again, and a side that kept them would lose them. So the search continues with fewer settled undos.
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
    """The best common ancestors without merges that were undone before a base and whose changes both sides kept.

    Against such a base alone, these changes would count as made on both sides. Empty without such an undo.
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
    """The absent commits by the newest commit that undid them, newest first. Merges that kept them undone come last."""
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
    """Whether the commit carries the changes by itself, and not only through the line that undid the merge.

    That line is the undoing commit's first parents down to the merge, because later merges into it reach the changes
    too.
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
    """The absent commits that the carrying side has, in the order of the undoing commits."""
    groups = []
    for undoing, commits in by_undo.items():
        floor = min(graph.generation(commit) for commit in commits)
        ordered = tuple(graph.topological(commits & graph.down_to((carrier,), floor)))
        changes = tuple(commit for commit in ordered if len(graph.parents(commit)) < 2)
        groups.append(Undone(undoing, ordered, changes or ordered))
    return tuple(groups)


class _Presence:
    """In which ancestors of a few commits the commits of ``universe``, which some undo concerns, are present.

    One pass from the oldest concerned commit upwards, with one bit for each concerned commit. The bits of a commit are
    dropped after all of its children, so memory follows the width of history and not its length.
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
        looked_up = {graph.undo(commit).restores for commit in undoing}
        for reverted in filter(None, map(graph.reverted_undo, undoing)):
            looked_up |= {reverted, graph.parents(reverted)[0]}
        self._kept = {*commits, *filter(None, looked_up)}
        self._masks: dict[str, int] = {}
        self._pass_over(commits)

    def at(self, commit: str) -> frozenset[str]:
        """The concerned commits that are present in one of the given commits."""
        return self._commits(self._masks.get(commit, 0))

    def brought(self, merge: str) -> frozenset[str]:
        """The commits that a merge brought and that an ancestor undid."""
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
        undo, reverted = self._graph.undo(commit), self._graph.reverted_undo(commit)
        if reverted is not None:
            before = self._masks.get(self._graph.parents(reverted)[0], 0)
            after = self._masks.get(reverted, 0) & ~self._bit.get(reverted, 0)
            mask = mask & ~(after & ~before) | before & ~after
        elif undo.commits:
            mask &= ~_union(self._brought.get(merge, 0) for merge in undo.undoes)
            if undo.restores:
                mask |= self._masks.get(undo.restores, 0)
            else:
                mask |= _union(self._brought.get(merge, 0) for merge in undo.redoes)
        if commit in self._brought:
            self._brought[commit] = mask & ~first
        return mask | self._bit.get(commit, 0)

    def _undone_by_merging(self, parents: tuple[str, ...]) -> int:
        """Commits that one parent undid and the other has only from it. The merge takes over that undo."""
        graph, undone = self._graph, 0
        for side, other in permutations(parents, 2):
            for undoing in graph.undoing(side) - graph.undoing(other):
                for merge in graph.undo(undoing).undoes:
                    changes = self._brought.get(merge, 0)
                    missing = changes & ~self._masks.get(side, 0) & self._masks.get(other, 0)
                    if missing and not _carries_by_itself(graph, other, undoing, merge, self._commits(changes)):
                        undone |= missing
        return undone

    def _commits(self, mask: int) -> frozenset[str]:
        digits = reversed(f"{mask:b}")
        return frozenset(commit for commit, digit in zip(self._order, digits, strict=False) if digit == "1")


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
