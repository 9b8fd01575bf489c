"""A newcomer who follows a merge through the code passes few files (``make tour`` prints them)."""

from __future__ import annotations

from pathlib import Path

from tests.tour import passed

MOST = 80
"""The bar is 40: lower this with the number, never raise it."""


def test_a_merge_passes_few_files(tmp_path: Path) -> None:
    modules = passed(tmp_path)
    assert set(modules) == {"commit", "merge", "diff", "push"}
    for verb, room in (("merge", "cli/merging"), ("diff", "cli/differences"), ("push", "cli/remotes")):
        assert modules[verb][room], "the command itself was not seen"
    assert len(modules["merge"]) <= MOST, sorted(modules["merge"])
