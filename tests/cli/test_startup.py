"""Starting fast: what only shows text loads none of the heavy libraries, and what only reads loads little of Epoch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from epoch_sql.cli.main import SECTIONS
from tests.conftest import MakeRepo

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


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [(["--version"], set()), (["diff", "--help"], {"differences"}), (["push", "--help"], {"remotes"})],
)
def test_a_command_loads_no_other(arguments: list[str], loaded: set[str], tmp_path: Path) -> None:
    probe = PROBE.format(heavy={"epoch_sql"})
    ran = subprocess.run(
        [sys.executable, "-c", probe, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = {name.removeprefix("epoch_sql.cli.") for name in ran.stdout.splitlines()[-1].split()[1:]}
    assert found & {module for modules in SECTIONS.values() for module in modules} == loaded


@pytest.mark.parametrize("arguments", [["status"], ["log", "--oneline"]])
def test_reading_loads_no_other_verb_and_registers_nothing(arguments: list[str], make_repo: MakeRepo) -> None:
    """To register a function, DuckDB imports numpy; all verbs, with what they import, are a hundred modules more."""
    repo = make_repo("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER DEFAULT 7)")
    repo("CALL epoch_tag('v1')")
    repo.close()
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy={*HEAVY, "epoch_sql"}), *arguments],
        cwd=repo.path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = ran.stdout.splitlines()[-1].split()[1:]
    libraries = {name.partition(".")[0] for name in loaded}
    rooms = {name.split(".")[1] for name in loaded if name.startswith("epoch_sql.")}
    assert libraries == {"duckdb", "epoch_sql"}
    assert not rooms & {"library", "dbt", "files", "linked", "remote", "upkeep", "publish", "guard", "merge", "patch"}
    assert not rooms & {"diff", "query", "plan", "proof"}
    assert "epoch_sql.extension.install" not in loaded


def test_the_installed_program_tells_its_version(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("epoch")
    ran = subprocess.run([program, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("epoch 0.")
