"""Starting fast: what only shows text loads none of the heavy libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("duckdb", "sqlglot", "pyarrow", "pandas", "numpy", "rich", "tomlkit", "platformdirs")

PROBE = """
import sys
from epoch_sql.cli.main import run
code = run(sys.argv[1:])
print("loaded:", *sorted(name for name in sys.modules if name.partition(".")[0] in {heavy!r}))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["diff", "--help"], ["branch", "create", "--help"], ["completion", "bash"]]
)
def test_no_heavy_library_is_loaded(arguments: list[str], tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "loaded:"


def test_the_installed_program_tells_its_version(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("epoch")
    ran = subprocess.run([program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("epoch 0.")
