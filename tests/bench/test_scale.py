"""The measurements of docs/scale.md run: a diff and a merge read no base file, which are moved away meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_diff_and_a_merge_read_no_base_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.scale", "--rows", "200000", "--folder", str(tmp_path)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert {"bare clone", "diff of two branches", "merge"} <= {
        line.split("|")[1].strip() for line in ran.stdout.splitlines() if line.startswith("| ")
    }
    assert not list(tmp_path.iterdir())
