"""The commit graph: queries against their definitions on random histories, and how little of a long one they read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epoch_sql.model.graph import CommitGraph, Undo

LONG = 100_000
START = datetime(2026, 1, 1)


class CountingGraph(CommitGraph):
    """Counts the commits whose parents were asked for."""

    visited = 0

    def parents(self, commit: str) -> tuple[str, ...]:
        self.visited += 1
        return super().parents(commit)


def graph_of(commits: dict[str, str]) -> CommitGraph:
    """``{"b": "a"}``: b has the parent a; one letter for each parent; committed one minute after the other."""
    graph = CommitGraph()
    for minute, (commit, parents) in enumerate(commits.items()):
        graph.add(commit, tuple(parents), START + timedelta(minutes=minute))
    return graph


LINE = {"a": "", "b": "a", "c": "b"}
FORK = {"a": "", "b": "a", "c": "a"}
# a---b---d    d and e both merge b and c: a criss-cross
#  \   \ /
#   \   X
#    \ / \
#     c---e
CRISS_CROSS = {"a": "", "b": "a", "c": "a", "d": "bc", "e": "cb"}
UNRELATED = {"a": "", "b": ""}


@pytest.mark.parametrize(
    ("commits", "left", "right", "bases"),
    [
        (LINE, "c", "c", ["c"]),
        (LINE, "c", "a", ["a"]),
        (LINE, "a", "c", ["a"]),
        (FORK, "b", "c", ["a"]),
        (CRISS_CROSS, "d", "e", ["c", "b"]),
        (CRISS_CROSS, "e", "d", ["c", "b"]),
        (CRISS_CROSS, "d", "c", ["c"]),
        (UNRELATED, "a", "b", []),
    ],
)
def test_merge_bases(commits: dict[str, str], left: str, right: str, bases: list[str]) -> None:
    assert graph_of(commits).merge_bases(left, right) == bases


@pytest.mark.parametrize(
    ("commits", "commit", "other", "counts"),
    [
        (LINE, "c", "c", (0, 0)),
        (LINE, "c", "a", (2, 0)),
        (LINE, "a", "c", (0, 2)),
        (FORK, "b", "c", (1, 1)),
        (CRISS_CROSS, "d", "e", (1, 1)),
        (UNRELATED, "a", "b", (1, 1)),
    ],
)
def test_ahead_behind(commits: dict[str, str], commit: str, other: str, counts: tuple[int, int]) -> None:
    assert graph_of(commits).ahead_behind(commit, other) == counts


def test_first_parents_is_the_promotion_log() -> None:
    assert list(graph_of(CRISS_CROSS).first_parents("e")) == ["e", "c", "a"]


def test_topological_is_newest_first() -> None:
    graph = graph_of({"a": "", "b": "a", "c": "a", "d": "b", "e": "c", "f": "de"})
    assert graph.topological("abcdef") == list("fedcba")


def test_topological_puts_descendants_first_even_when_a_clock_was_wrong() -> None:
    graph = CommitGraph()
    graph.add("a", (), START + timedelta(days=9))
    graph.add("b", "a", START)
    graph.add("c", "b", START - timedelta(days=9))
    assert graph.topological("abc") == ["c", "b", "a"]
    assert graph.topological("ac") == ["c", "a"], "also when the commit between them is not asked for"


def test_topological_settles_equal_times_by_id() -> None:
    graph = CommitGraph()
    for commit in "bca":
        graph.add(commit)
    assert graph.topological("cab") == ["a", "b", "c"]


def test_adding_again_changes_nothing() -> None:
    graph = graph_of(LINE)
    graph.add("c", ("b",))
    assert len(graph) == 3
    assert "c" in graph
    with pytest.raises(ValueError, match="commit c has parents"):
        graph.add("c", ("a",))


def test_parents_come_first() -> None:
    with pytest.raises(KeyError, match="missing"):
        CommitGraph().add("a", ("missing",))
    with pytest.raises(KeyError, match="missing"):
        CommitGraph().ancestors("missing")


def test_an_undo_names_known_commits() -> None:
    with pytest.raises(ValueError, match="undoes missing"):
        CommitGraph().add("a", undo=Undo(undoes=("missing",)))


def test_undoing_commits_are_inherited_and_shared() -> None:
    graph = graph_of({"a": "", "b": "a", "m": "ab"})
    graph.add("u", ("m",), undo=Undo(undoes=("m",)))
    graph.add("v", ("u",))
    graph.add("w", ("v", "m"))
    assert graph.undoing("w") == {"u"}
    assert graph.undoing("m") == frozenset()
    assert graph.undoing("v") is graph.undoing("u") is graph.undoing("w")


# Against the definitions, on random histories: commit n has parents among the commits before it.


@st.composite
def histories(draw: st.DrawFn) -> CommitGraph:
    graph = CommitGraph()
    for n in range(draw(st.integers(1, 14))):
        earlier = st.integers(max(0, n - 5), n - 1) if n else st.nothing()
        parents = draw(st.lists(earlier, max_size=2, unique=True)) if n else []
        minutes = draw(st.integers(0, 20))
        graph.add(str(n), tuple(map(str, parents)), START + timedelta(minutes=minutes))
    return graph


def all_pairs(graph: CommitGraph) -> Iterator[tuple[str, str]]:
    return product(map(str, range(len(graph))), repeat=2)


def reachable(graph: CommitGraph, commit: str) -> set[str]:
    return {commit}.union(*(reachable(graph, parent) for parent in graph.parents(commit)))


@settings(max_examples=200, deadline=None)
@given(histories())
def test_queries_are_those_of_the_definitions(graph: CommitGraph) -> None:
    below = {str(n): reachable(graph, str(n)) for n in range(len(graph))}
    for left, right in all_pairs(graph):
        common = below[left] & below[right]
        best = {c for c in common if not any(c in below[other] for other in common - {c})}
        assert graph.ancestors(left) == below[left]
        assert graph.is_ancestor(left, right) == (left in below[right])
        assert set(graph.merge_bases(left, right)) == best
        assert graph.merge_bases(left, right) == graph.merge_bases(right, left)
        assert graph.difference([left], [right]) == below[left] - below[right]
        assert graph.ahead_behind(left, right) == (len(below[left] - below[right]), len(below[right] - below[left]))
        assert graph.has_first_parent(left, right) == (right in graph.first_parents(left))


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_merge_bases_among_the_commits_that_may_be_one(graph: CommitGraph, data: st.DataObject) -> None:
    names = [str(n) for n in range(len(graph))]
    below = {name: reachable(graph, name) for name in names}
    gone = data.draw(st.sets(st.sampled_from(names)))
    excluded = {name for name in names if below[name] & gone}
    for left, right in all_pairs(graph):
        common = (below[left] & below[right]) - excluded
        best = {c for c in common if not any(c in below[other] for other in common - {c})}
        assert set(graph.merge_bases(left, right, excluding=excluded)) == best


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_a_path_around_a_commit(graph: CommitGraph, data: st.DataObject) -> None:
    names = [str(n) for n in range(len(graph))]
    targets = data.draw(st.sets(st.sampled_from(names)))
    around = data.draw(st.sets(st.sampled_from(names), max_size=3))

    def found(commit: str) -> bool:
        return commit not in around and (commit in targets or any(map(found, graph.parents(commit))))

    assert [graph.reaches(name, targets, around=around) for name in names] == [found(name) for name in names]


@settings(max_examples=100, deadline=None)
@given(histories(), st.data())
def test_topological_order_of_any_selection(graph: CommitGraph, data: st.DataObject) -> None:
    names = [str(n) for n in range(len(graph))]
    selected = data.draw(st.sets(st.sampled_from(names)))
    ordered = graph.topological(selected)
    assert sorted(ordered) == sorted(selected)
    position = {commit: place for place, commit in enumerate(ordered)}
    for left, right in product(selected, repeat=2):
        if left != right and graph.is_ancestor(left, right):
            assert position[right] < position[left]
    for newer, older in pairwise(ordered):
        in_order = graph.committed_at(newer) >= graph.committed_at(older)
        assert in_order or any(graph.is_ancestor(older, c) for c in ordered[: position[older]])


@settings(max_examples=200, deadline=None)
@given(histories())
def test_newest_first_is_the_topological_order_as_it_is_asked_for(graph: CommitGraph) -> None:
    for commit in map(str, range(len(graph))):
        assert list(graph.newest_first(commit)) == graph.topological(graph.ancestors(commit))


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_newest_first_of_several_tips_has_each_commit_once(graph: CommitGraph, data: st.DataObject) -> None:
    tips = data.draw(st.lists(st.sampled_from([str(n) for n in range(len(graph))])))
    assert list(graph.newest_first(*tips)) == graph.topological(set().union(*map(graph.ancestors, tips)))


# A long history: only its recent part is read.


@pytest.fixture(scope="module")
def linear() -> CountingGraph:
    """100,000 commits in a line, and two branches of ten from the 50th before the last.

    o---o--- … ---o---o--- … ---o
                  |\\
                  | left0 … left9
                  right0 … right9
    """
    graph = CountingGraph()
    graph.add("0")
    for n in range(1, LONG):
        graph.add(str(n), (str(n - 1),))
    for side in ("left", "right"):
        for n in range(10):
            graph.add(f"{side}{n}", (f"{side}{n - 1}" if n else str(LONG - 50),))
    return graph


@pytest.fixture(scope="module")
def zig_zag() -> CountingGraph:
    """50,000 promotions: each s is merged into p, and p is never merged back, so the p line is never common.

    s  0---1---2---3
        \\   \\   \\   \\
    p    0---1---2---3
    """
    graph = CountingGraph()
    for n in range(LONG // 2):
        graph.add(f"s{n}", (f"s{n - 1}",) if n else ())
        graph.add(f"p{n}", (f"p{n - 1}", f"s{n}") if n else (f"s{n}",))
    return graph


@pytest.fixture(scope="module")
def criss_cross() -> CountingGraph:
    """50,000 times, each of two branches merges the other's last state.

    a  0---1---2---3
        \\ / \\ / \\ /
         X   X   X
        / \\ / \\ / \\
    b  0---1---2---3
    """
    graph = CountingGraph()
    graph.add("root")
    for n in range(LONG // 2):
        graph.add(f"a{n}", (f"a{n - 1}", f"b{n - 1}") if n else ("root",))
        graph.add(f"b{n}", (f"b{n - 1}", f"a{n - 1}") if n else ("root",))
    return graph


LAST = LONG // 2 - 1


@pytest.mark.parametrize(
    ("history", "left", "right", "bases", "at_most"),
    [
        ("linear", "left9", "right9", [str(LONG - 50)], 25),
        ("linear", str(LONG - 1), "left9", [str(LONG - 50)], 70),
        ("linear", str(LONG - 1), str(LONG - 2), [str(LONG - 2)], 3),
        ("linear", str(LONG - 1), "5", ["5"], 3),
        ("zig_zag", f"p{LAST}", f"s{LAST}", [f"s{LAST}"], 3),
        ("zig_zag", f"p{LAST - 1}", f"s{LAST}", [f"s{LAST - 1}"], 4),
        ("zig_zag", f"p{LAST - 20}", f"s{LAST}", [f"s{LAST - 20}"], 50),
        ("criss_cross", f"a{LAST}", f"b{LAST}", [f"a{LAST - 1}", f"b{LAST - 1}"], 5),
    ],
)
def test_merge_bases_of_recent_commits_read_recent_history(
    request: pytest.FixtureRequest, history: str, left: str, right: str, bases: list[str], at_most: int
) -> None:
    graph: CountingGraph = request.getfixturevalue(history)
    for ours, theirs in ((left, right), (right, left)):
        graph.visited = 0
        assert graph.merge_bases(ours, theirs) == bases
        assert graph.visited <= at_most


def test_other_questions_about_recent_commits_read_recent_history(linear: CountingGraph) -> None:
    linear.visited = 0
    assert linear.is_ancestor(str(LONG - 50), "left9")
    assert not linear.is_ancestor("left9", "right9")
    assert linear.ahead_behind("left9", "right9") == (10, 10)
    assert linear.difference(["left9"], [str(LONG - 1)]) == {f"left{n}" for n in range(10)}
    assert len(linear.topological(linear.difference(["left9"], ["right9"]))) == 10
    assert linear.visited < 200
    linear.visited = 0
    assert list(islice(linear.newest_first("left9"), 12))[-2:] == [str(LONG - 50), str(LONG - 51)]
    assert linear.visited < 60


def test_a_walk_over_all_of_a_long_history_ends(zig_zag: CountingGraph) -> None:
    everything = zig_zag.ancestors(f"p{LAST}")
    assert len(everything) == LONG
    assert zig_zag.topological(everything)[-1] == "s0"
    assert list(zig_zag.newest_first(f"p{LAST}")) == zig_zag.topological(everything)
