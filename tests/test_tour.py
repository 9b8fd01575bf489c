"""A newcomer can follow the code: no file is long, and a merge passes few files (``make tour`` prints them)."""

from __future__ import annotations

from pathlib import Path

from tests.errors.sources import SOURCES
from tests.tour import passed

MOST = 75
"""Lower this with the number, never raise it. Why it is not 40 is in docs/architecture.md."""


def test_a_merge_passes_few_files(tmp_path: Path) -> None:
    modules = passed(tmp_path)
    assert set(modules) == {"commit", "merge", "diff", "push"}
    for verb, room in (("merge", "cli/merging"), ("diff", "cli/differences"), ("push", "cli/remotes")):
        assert modules[verb][room], "the command itself was not seen"
    assert len(modules["merge"]) <= MOST, sorted(modules["merge"])


def test_no_file_is_long() -> None:
    lengths = {str(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert not {source: length for source, length in lengths.items() if length > 400}
