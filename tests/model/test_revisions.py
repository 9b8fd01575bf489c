"""References: what each form means, and what the errors say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from epoch_sql.errors import EpochReferenceError
from epoch_sql.model.revisions import (
    BRANCHES,
    REMOTE_BRANCHES,
    TAGS,
    Ancestor,
    AsOf,
    Parent,
    Previous,
    Revision,
    parse_revision,
    resolve,
    short_ids,
)


def commit_id(prefix: str) -> str:
    return prefix.ljust(64, "0")


FIRST, SECOND, SIDE, MERGE, LAST = map(commit_id, ("aaaa1", "bbbb1", "bbbb2", "cccc1", "dddd1"))
TAGGED, FETCHED = SECOND, SIDE


@dataclass
class Call:
    """FIRST---SECOND---MERGE---LAST (main, HEAD), with SIDE as the second parent of MERGE."""

    heads: dict[str, str] = field(
        default_factory=lambda: {"main": LAST, "staging": MERGE, "production": SECOND, "feature/a": SIDE, "aaaa": LAST}
    )
    tag_commits: dict[str, str] = field(default_factory=lambda: {"v1.0": TAGGED})
    remotes: dict[str, str] = field(default_factory=lambda: {"origin/main": FETCHED})
    checked_out: str | None = LAST

    def head(self) -> str | None:
        return self.checked_out

    def named(self, names: Collection[str] | None) -> Mapping[str, str]:
        folders = {BRANCHES: self.heads, TAGS: self.tag_commits, REMOTE_BRANCHES: self.remotes}
        return {
            folder + name: commit
            for folder, refs in folders.items()
            for name, commit in refs.items()
            if names is None or name in names
        }

    def commits_with_prefix(self, prefix: str) -> Sequence[str]:
        return [commit for commit in (FIRST, SECOND, SIDE, MERGE, LAST) if commit.startswith(prefix)]

    def parents(self, commit: str) -> tuple[str, ...]:
        return {FIRST: (), SECOND: (FIRST,), SIDE: (FIRST,), MERGE: (SECOND, SIDE), LAST: (MERGE,)}[commit]

    def reflog(self, ref: str) -> Sequence[tuple[datetime, str]]:
        moves = [
            (datetime(2026, 3, 1, 9), LAST),
            (datetime(2026, 2, 1, 9), MERGE),
            (datetime(2026, 1, 1, 9), FIRST),
        ]
        return {"HEAD": moves, "refs/heads/main": moves, "refs/heads/production": moves[2:]}.get(ref, [])


def error_of(text: str, call: Call | None = None) -> EpochReferenceError:
    with pytest.raises(EpochReferenceError) as raised:
        resolve(text, call or Call())
    assert len(raised.value.message.splitlines()) == 1
    assert raised.value.hint
    return raised.value


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        ("HEAD", Revision("HEAD")),
        ("head", Revision("HEAD")),
        ("@", Revision("HEAD")),
        ("@~2", Revision("HEAD", (Ancestor(2),))),
        ("working", Revision("WORKING")),
        ("main", Revision("main")),
        ("feature/a", Revision("feature/a")),
        ("user@host", Revision("user@host")),
        ("Größe 🦆", Revision("Größe 🦆")),
        ("main~", Revision("main", (Ancestor(1),))),
        ("main~0", Revision("main", (Ancestor(0),))),
        ("main^", Revision("main", (Parent(1),))),
        ("main^0", Revision("main", (Parent(0),))),
        ("main^^", Revision("main", (Parent(1), Parent(1)))),
        ("HEAD~2^2~1", Revision("HEAD", (Ancestor(2), Parent(2), Ancestor(1)))),
        ("main@{0}", Revision("main", (Previous(0),))),
        ("@{3}", Revision("HEAD", (Previous(3),))),
        ("main@{1}~2", Revision("main", (Previous(1), Ancestor(2)))),
        ("main@{2026-01-31}", Revision("main", (AsOf(datetime(2026, 1, 31)),))),
        ("main@{2026-01-31 12:00}", Revision("main", (AsOf(datetime(2026, 1, 31, 12)),))),
        ("main@{2026-01-31T12:00:30}", Revision("main", (AsOf(datetime(2026, 1, 31, 12, 0, 30)),))),
        ("main@{2026-01-31 12:00:30.5}", Revision("main", (AsOf(datetime(2026, 1, 31, 12, 0, 30, 500_000)),))),
        ("main@{2026-01-31 12:00Z}", Revision("main", (AsOf(datetime(2026, 1, 31, 12)),))),
        ("main@{2026-01-31T12:00z}", Revision("main", (AsOf(datetime(2026, 1, 31, 12)),))),
        ("main@{2026-01-31 00:30+02:00}", Revision("main", (AsOf(datetime(2026, 1, 30, 22, 30)),))),
        ("main@{2026-01-31 12:00 -05}", Revision("main", (AsOf(datetime(2026, 1, 31, 17)),))),
        ("main@{2026-01-31 12:00 +0530}^2", Revision("main", (AsOf(datetime(2026, 1, 31, 6, 30)), Parent(2)))),
    ],
)
def test_the_grammar(text: str, revision: Revision) -> None:
    assert parse_revision(text) == revision
    assert parse_revision(str(revision)) == revision


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a reference is empty"),
        ("  ", "a reference is empty"),
        ("main~x", "'main~x' is not a reference: cannot read '~x'"),
        ("main~-1", "'main~-1' is not a reference: cannot read '~-1'"),
        ("main^{commit}", "'main^{commit}' is not a reference: cannot read '^{commit}'"),
        ("main~9999999999", "'main~9999999999' is not a reference: cannot read '~9999999999'"),
        ("main~\u0661", "'main~\u0661' is not a reference: cannot read '~\u0661'"),
        ("main@{1", "'main@{1' is not a reference: cannot read '@{1'"),
        ("main~1@{1}", "'main~1@{1}': @{1} must follow the name of a branch directly"),
        ("main@{yesterday}", "'main@{yesterday}': 'yesterday' is not a date or time"),
        ("main@{}", "'main@{}': '' is not a date or time"),
        ("main@{-1}", "'main@{-1}': '-1' is not a date or time"),
        ("main@{2026-02-30}", "'main@{2026-02-30}': '2026-02-30' is not a date or time"),
        ("main@{2026-01-31 25:00}", "'main@{2026-01-31 25:00}': '2026-01-31 25:00' is not a date or time"),
        (
            "main@{0001-01-01 00:00+14:00}",
            "'main@{0001-01-01 00:00+14:00}': '0001-01-01 00:00+14:00' is not a date or time",
        ),
        ("WORKING~1", "'WORKING~1': WORKING is not a commit, so nothing comes before it"),
        ("WORKING", "WORKING is the uncommitted state, not a commit"),
    ],
)
def test_what_is_no_reference(text: str, message: str) -> None:
    assert error_of(text).message == message


def test_working_is_known_as_such() -> None:
    assert parse_revision("Working").is_working
    assert not parse_revision("HEAD").is_working


@pytest.mark.parametrize(
    ("text", "commit"),
    [
        ("HEAD", LAST),
        ("@", LAST),
        ("main", LAST),
        ("heads/main", LAST),
        ("refs/heads/main", LAST),
        ("feature/a", SIDE),
        ("v1.0", TAGGED),
        ("tags/v1.0", TAGGED),
        ("refs/tags/v1.0", TAGGED),
        ("origin/main", FETCHED),
        ("remotes/origin/main", FETCHED),
        ("refs/remotes/origin/main", FETCHED),
        ("cccc", MERGE),
        ("CCCC1", MERGE),
        (MERGE, MERGE),
        ("bbbb1", SECOND),
        ("HEAD~0", LAST),
        ("HEAD^0", LAST),
        ("HEAD~1", MERGE),
        ("HEAD~3", FIRST),
        ("HEAD~1^2", SIDE),
        ("HEAD^^2^", FIRST),
        ("cccc^2", SIDE),
        ("v1.0~1", FIRST),
        ("main@{0}", LAST),
        ("main@{1}", MERGE),
        ("main@{1}^2", SIDE),
        ("@{2}", FIRST),
        ("heads/main@{1}", MERGE),
        ("main@{2026-02-01 09:00}", MERGE),
        ("main@{2026-02-01 08:59}", FIRST),
        ("main@{2026-02-01 10:30+01:00}", MERGE),
        ("main@{2026-02-02}", MERGE),
        ("main@{2030-01-01}", LAST),
        ("HEAD@{2026-01-15}", FIRST),
    ],
)
def test_what_a_reference_means(text: str, commit: str) -> None:
    assert resolve(text, Call()) == commit


def test_a_branch_wins_over_a_commit_prefix() -> None:
    assert resolve("aaaa", Call()) == LAST
    assert resolve("aaaa1", Call()) == FIRST


def test_a_complete_commit_id_wins_over_a_branch_of_that_name() -> None:
    call = Call(heads={FIRST: LAST})
    assert resolve(FIRST, call) == FIRST
    assert resolve(f"heads/{FIRST}", call) == LAST


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("x", "reference 'x' is ambiguous: it is a branch and a tag", "say which: refs/heads/x or refs/tags/x"),
        (
            "y",
            "reference 'y' is ambiguous: it is a branch and a remote branch",
            "say which: refs/heads/y or refs/remotes/y",
        ),
        (
            "heads/z",
            "reference 'heads/z' is ambiguous: it is a branch and a branch",
            "say which: refs/heads/heads/z or refs/heads/z",
        ),
        ("bbbb", "commit prefix 'bbbb' is ambiguous: bbbb100, bbbb200", "type more digits of the id"),
    ],
)
def test_ambiguous_references(text: str, message: str, hint: str) -> None:
    call = Call(
        heads={"x": FIRST, "y": FIRST, "z": FIRST, "heads/z": SECOND},
        tag_commits={"x": SECOND},
        remotes={"y": SECOND},
    )
    error = error_of(text, call)
    assert (error.message, error.hint) == (message, hint)
    if "say which" in hint:
        both = hint.removeprefix("say which: ").split(" or ")
        assert {resolve(name, call) for name in both} == {FIRST, SECOND}


def test_many_commits_with_one_prefix_are_not_all_listed() -> None:
    class Crowded(Call):
        def commits_with_prefix(self, prefix: str) -> Sequence[str]:
            return [commit_id(f"eeee{n}") for n in range(1, 10)]

    assert error_of("eeee", Crowded()).message == (
        "commit prefix 'eeee' is ambiguous: eeee100, eeee200, eeee300, eeee400, eeee500 and 4 more"
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stagng", "unknown reference 'stagng'", "did you mean 'staging'?"),
        ("Production", "unknown reference 'Production'", "did you mean 'production'?"),
        ("V1.0~1", "unknown reference 'V1.0'", "did you mean 'v1.0'?"),
        ("mian", "unknown reference 'mian'", "did you mean 'main'?"),
        ("ccc", "unknown reference 'ccc'", "a commit id needs 4 digits or more: repo.log()"),
        ("1234", "unknown reference '1234'", "repo.branches(), repo.tags() and repo.log() list what there is"),
        (
            "nonsense",
            "unknown reference 'nonsense'",
            "repo.branches(), repo.tags() and repo.log() list what there is",
        ),
        (" main", "unknown reference ' main'", "did you mean 'main'?"),
        ("zz\nzz", "unknown reference 'zz\\nzz'", "repo.branches(), repo.tags() and repo.log() list what there is"),
        (
            "'; DROP TABLE t",
            "unknown reference ''; DROP TABLE t'",
            "repo.branches(), repo.tags() and repo.log() list what there is",
        ),
        (
            "HEAD~4",
            "'HEAD~4' goes beyond aaaa100, the first commit, which is 3 of 4 steps back",
            "repo.log(first_parent=True)",
        ),
        (
            "aaaa1^",
            "'aaaa1^': ^1 does not exist, aaaa100 is the first commit and has no parent",
            'repo.log("aaaa100", max_count=1)',
        ),
        (
            "HEAD^2",
            "'HEAD^2': ^2 does not exist, dddd100 is not a merge: it has 1 parent",
            'repo.log("dddd100", max_count=1)',
        ),
        ("cccc^3", "'cccc^3': ^3 does not exist, cccc100 has 2 parents", 'repo.log("cccc100", max_count=1)'),
        (
            "main@{2025-12-31 12:00}",
            "'main' did not exist at 2025-12-31 12:00 UTC: its first value is from 2026-01-01 09:00 UTC",
            "repo.reflog()",
        ),
        (
            "main@{2026-01-01 08:59:59.5}",
            "'main' did not exist at 2026-01-01 08:59 UTC: its first value is from 2026-01-01 09:00 UTC",
            "repo.reflog()",
        ),
        ("main@{3}", "'main' has only 3 recorded values, so there is no @{3}", "repo.reflog()"),
        ("production@{7}", "'production' has only 1 recorded value, so there is no @{7}", "repo.reflog()"),
        ("v1.0@{1}", "'v1.0' has no earlier values: it is a tag, which does not move", "repo.reflog()"),
        ("cccc@{1}", "'cccc' has no earlier values: it is no branch with recorded values", "repo.reflog()"),
    ],
)
def test_what_the_errors_say(text: str, message: str, hint: str) -> None:
    error = error_of(text)
    assert (error.message, error.hint) == (message, hint)


def test_head_before_the_first_commit() -> None:
    assert error_of("HEAD~1", Call(checked_out=None)).message == "HEAD has no commit yet"


@pytest.mark.parametrize(
    ("commits", "short"),
    [
        ([], []),
        ([commit_id("abc")], ["abc0000"]),
        ([commit_id("abcdefab1"), commit_id("abcdefab2")], ["abcdefab1", "abcdefab2"]),
        ([commit_id("abc"), commit_id("abc")], ["abc0000", "abc0000"]),
    ],
)
def test_short_ids(commits: list[str], short: list[str]) -> None:
    assert short_ids(commits) == short
