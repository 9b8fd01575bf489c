"""``epoch_environments``: the branches that data is promoted through, in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from epoch_sql import config
from epoch_sql.call import Call
from epoch_sql.catalog.history import Protections, Reflog
from epoch_sql.model.commit import Ref
from epoch_sql.verb import reading

SETTING = "environments"
LATELY = 100
"""How many commits of each branch's own line tell what is promoted into it: enough, whatever the history."""


@dataclass(frozen=True)
class Environment:
    """A branch that data is promoted through, and the branch that is promoted into it."""

    position: int
    name: str
    commit: str
    is_protected: bool
    promoted_from: str | None


@reading("epoch_environments")
def environments(call: Call) -> list[Environment]:
    """The branches that data is promoted through, from the first to the last: those of the setting `environments`
    (`epoch config set environments "development staging production"`), or else by what was promoted into what."""
    branches = call.refs.all("branch")
    promoted = _promoted(call, branches)
    sources = {name: _most(counts) for name, counts in promoted.items() if counts}
    stated = config.get(SETTING, call.folder)
    protected = Protections(call.cursor).load()
    current = call.head().branch
    names = stated.replace(",", " ").split() if stated else _ordered(sources)
    # Before the first promotion, these are the branches that somebody cares about.
    names = names or [*([current] if current else ()), *sorted(protected)]
    listed = [name for name in dict.fromkeys(names) if name in branches]
    return [
        Environment(number, name, branches[name].commit_id, name in protected, sources.get(name))
        for number, name in enumerate(listed, 1)
    ]


def _promoted(call: Call, branches: Mapping[str, Ref]) -> dict[str, Counter[str]]:
    """How often each branch was merged into each other one lately: by the newest merges on its first-parent line."""
    graph = call.graph()
    lines = {name: [*islice(graph.first_parents(ref.commit_id), LATELY)] for name, ref in branches.items()}
    merges = {c for line in lines.values() for c in line if len(graph.parents(c)) > 1}
    commits = call.commits.load(merges)
    # A branch that begins at another one has its merges, too. The reflog says whose they are, where it knows them.
    made = Reflog(call.cursor).merged(merges)
    found: dict[str, Counter[str]] = {}
    for name, line in lines.items():
        others = [ref.commit_id for other, ref in branches.items() if other != name]
        own = (
            c
            for c in line
            if c in commits
            and (made[c] == name if c in made else not any(graph.has_first_parent(other, c) for other in others))
        )
        named = (commits[commit_id].origin.source for commit_id in own)
        found[name] = Counter(source for source in named if source and source in branches and source != name)
    return found


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def _ordered(sources: Mapping[str, str]) -> list[str]:
    """Targets and their sources, each after what is promoted into it, and otherwise by name.

    A source that nothing was merged into is mostly somebody's work. It counts only beside a target that is promoted no
    further, which would be alone.
    """
    found: dict[str, None] = {}
    promoted = {*sources.values()}

    def visit(name: str, above: Iterable[str]) -> None:
        source = sources.get(name)
        if source and source not in above and (source in sources or name not in promoted):
            visit(source, (*above, name))
        found.setdefault(name)

    for name in sorted(sources):
        visit(name, (name,))
    return [*found]
