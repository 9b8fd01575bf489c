"""A model of promotions, on which the rule of undone promotions is tested: a commit's content is a set of lines.

A merge of sets takes, for each line, the side that changed it against the base, as a three-way merge of rows does.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from epoch_sql.model.graph import NO_UNDO, CommitGraph, Undo
from epoch_sql.model.undo import (
    MergePlan,
    _undone_between,
    plan_merge,
    undo_kept,
    undo_of_revert,
    undo_of_rollback,
)

Content = frozenset[str]


def three_way(base: Content, ours: Content, theirs: Content) -> Content:
    return (ours & theirs) | (ours - base) | (theirs - base)


class History:
    """Branches of commits whose content is a set of lines, merged against the bases that Epoch chooses."""

    def __init__(self, *branches: str) -> None:
        self.graph = CommitGraph()
        self.content: dict[str, Content] = {}
        self.branches: dict[str, str] = {}
        root = self._commit((), frozenset(), "root")
        self.branches = dict.fromkeys(branches, root)

    def __getitem__(self, branch: str) -> str:
        return "".join(sorted(self.content[self.branches[branch]]))

    def tip(self, branch: str) -> str:
        return self.branches[branch]

    def branch(self, name: str, start: str) -> None:
        self.branches[name] = self.branches.get(start, start)

    def add(self, branch: str, line: str) -> str:
        """Commit one new line; the commit is called like the line, so that expectations can be read."""
        tip = self.tip(branch)
        return self._move(branch, self._commit((tip,), self.content[tip] | {line}, line))

    def remove(self, branch: str, line: str) -> str:
        tip = self.tip(branch)
        return self._move(branch, self._commit((tip,), self.content[tip] - {line}))

    def merge(self, source: str, target: str, *, keep_undone: bool = False) -> MergePlan:
        ours, theirs = self.tip(target), self.branches.get(source, source)
        plan = plan_merge(self.graph, ours, theirs, keep_undone=keep_undone)
        if not plan.up_to_date:
            content = three_way(self._base(plan.bases), self.content[ours], self.content[theirs])
            undo = undo_kept(self.graph, ours, theirs) if keep_undone else NO_UNDO
            self._move(target, self._commit((ours, theirs), content, undo=undo))
        return plan

    def promote(self, *path: str) -> MergePlan:
        """Merge each branch into the next."""
        return [self.merge(source, target) for source, target in pairwise(path)][-1]

    def revert(self, branch: str, commit: str | None = None) -> str:
        tip = self.tip(branch)
        commit = commit or tip
        before = self.graph.parents(commit)[0]
        content = three_way(self.content[commit], self.content[tip], self.content[before])
        undo = undo_of_revert(self.graph, tip, commit)
        return self._move(branch, self._commit((tip,), content, undo=undo, reverts=commit))

    def roll_back(self, branch: str, restored: str) -> str:
        tip = self.tip(branch)
        undo = undo_of_rollback(self.graph, tip, restored)
        return self._move(branch, self._commit((tip,), self.content[restored], undo=undo))

    def _base(self, bases: tuple[str, ...]) -> Content:
        """The virtual base of git's recursive strategy."""
        if not bases:
            return frozenset()

        def merged(ours: tuple[str, Content], theirs: str) -> tuple[str, Content]:
            commit, content = ours
            return theirs, three_way(
                self._base(tuple(self.graph.merge_bases(commit, theirs))), content, self.content[theirs]
            )

        return reduce(merged, bases[1:], (bases[0], self.content[bases[0]]))[1]

    def _commit(
        self,
        parents: tuple[str, ...],
        content: Content,
        name: str = "",
        undo: Undo = NO_UNDO,
        reverts: str | None = None,
    ) -> str:
        commit = name if name and name not in self.graph else f"{len(self.graph):04d}"
        self.graph.add(commit, parents, undo=undo, reverts=reverts)
        self.content[commit] = content
        return commit

    def _move(self, branch: str, commit: str) -> str:
        self.branches[branch] = commit
        return commit


def absent(graph: CommitGraph, commit: str, other: str) -> frozenset[str]:
    """The commits that were undone in a commit and that another one, about to be merged with it, carries by itself."""
    return frozenset[str]().union(*_undone_between(graph, commit, other)[0].values())
