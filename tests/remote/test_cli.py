"""The commands for remotes: what they say, and their exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Epoch


@pytest.fixture
def epoch(epoch: Epoch) -> Epoch:
    """Runs a command line in a folder below the test's own, which comes first."""
    return lambda folder, *arguments, code=0: epoch(*arguments, code=code, folder=folder)


@pytest.fixture
def shop(tmp_path: Path, epoch: Epoch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    change(
        folder,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders SELECT i, 10 FROM range(50) r(i)",
    )
    epoch("shop", "init")
    return folder


def change(folder: Path, sql: str) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(sql)


@pytest.mark.slow
def test_sharing_a_repository(epoch: Epoch, shop: Path, tmp_path: Path) -> None:
    told = epoch("shop", "push", code=1).err
    assert told.splitlines() == [
        "error: there is no remote origin",
        "hint: epoch remote add origin URL (a folder, or s3://BUCKET/PATH)",
    ]
    store = tmp_path / "store"
    assert epoch("shop", "remote", "add", "origin", "../store").err == f"Added remote 'origin' at {store}\n"
    assert "there is a remote origin already" in epoch("shop", "remote", "add", "origin", "x", code=1).err
    assert "there is no Epoch store" in epoch("shop", "fetch", code=1).err
    epoch("shop", "tag", "v1")
    assert epoch("shop", "push", "--tags").err.splitlines()[0].startswith("origin: new branch main at ")
    assert epoch("shop", "push").err == "Everything up-to-date\n"
    assert epoch("shop", "remote").out == f"origin  {store}  main\n"
    assert epoch("shop", "remote", "list", "--json").json == [
        {"name": "origin", "url": str(store), "branches": ["main"], "trusted": False, "readers": None}
    ]

    cloned = epoch(".", "clone", "store", "copy")
    assert "Cloned into copy/shop.duckdb (branch main, " in cloned.err and "hint: cd copy" in cloned.err
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [".epoch", "shop.duckdb"]
    assert epoch("copy", "status").out == (
        "On branch main\nUp to date with origin/main\nnothing to commit, working tables clean\n"
    )
    change(tmp_path / "copy", "INSERT INTO orders VALUES (50, 20)")
    epoch("copy", "commit", "-m", "second")
    assert "1 commit ahead of origin/main" in epoch("copy", "status").out
    assert "[origin/main: ahead 1]" in epoch("copy", "branch").out
    pushed = epoch("copy", "push", "--json")
    assert [(row["status"], row["moved"], row["objects"]) for row in pushed.json] == [("pushed", ["main"], 1)]

    assert epoch("shop", "fetch").err.startswith("Fetched origin/main\nreceived 1 file (")
    assert "1 commit behind origin/main" in epoch("shop", "status").out
    status = epoch("shop", "status", "--json").json
    assert (status["upstream"], status["ahead"], status["behind"]) == ("origin/main", 0, 1)
    assert "[origin/main: behind 1]" in epoch("shop", "branch").out
    told = epoch("shop", "pull").err
    assert told.startswith("main: Fast-forward to ")
    assert epoch("shop", "pull").err == "main: Already up to date\n"
    assert epoch("shop", "query", "SELECT count(*) AS n FROM orders", "--json").json == [{"n": 51}]
    assert epoch("shop", "log", "origin/main", "--oneline").out.count("\n") == 2
    assert "Removed remote 'origin'" in epoch("shop", "remote", "remove", "origin").err


@pytest.mark.slow
def test_a_push_that_lost_and_a_pull_that_conflicts(epoch: Epoch, shop: Path, tmp_path: Path) -> None:
    epoch("shop", "remote", "add", "origin", str(tmp_path / "store"))
    epoch("shop", "push")
    epoch(".", "clone", str(tmp_path / "store"), "copy")
    for folder, amount in (("shop", 11), ("copy", 12)):
        change(tmp_path / folder, f"UPDATE orders SET amount = {amount} WHERE id = 1")
        epoch(folder, "commit", "-m", "amount")
    epoch("copy", "push")
    told = epoch("shop", "push", code=1).err.splitlines()
    assert told[0].startswith("error: branch main at origin has commits that are not here (")
    assert told[1] == "hint: fetch first: epoch pull origin"
    told = epoch("shop", "pull", code=3).err.splitlines()
    assert told[0] == "error: the merge of origin/main into main stopped: 1 conflict"
    assert "epoch merge --continue" in told[1]
    assert "2 commits" not in epoch("shop", "status").out
    epoch("shop", "conflicts", "resolve", "--ours")
    epoch("shop", "merge", "--continue")
    epoch("shop", "push")
    assert epoch("copy", "pull", "--json").json[0]["status"] == "fast-forward"
    epoch("shop", "reset", "--hard", "HEAD~1")
    assert "has commits that this one lacks" in epoch("shop", "push", code=1).err
    assert "(forced)" in epoch("shop", "push", "origin", "main", "--force").err


@pytest.mark.slow
def test_a_protected_branch_refuses_with_exit_code_4(epoch: Epoch, shop: Path, tmp_path: Path) -> None:
    epoch("shop", "remote", "add", "origin", str(tmp_path / "store"))
    epoch("shop", "branch", "protect", "main", "--require-review", "--no-force-push")
    epoch("shop", "push")
    epoch(".", "clone", "store", "copy")
    assert "protected" in epoch("copy", "branch").out
    epoch("copy", "branch", "unprotect", "main")
    change(tmp_path / "copy", "UPDATE orders SET amount = 0")
    epoch("copy", "commit", "-m", "sneaky")
    told = epoch("copy", "push", code=4).err.splitlines()
    assert told[0].startswith("error: origin refuses the push: branch main requires a review")
    assert told[1].startswith("hint: ")
    epoch("copy", "push", "--force", code=4)
    epoch("copy", "push", "--protection", code=4)


@pytest.mark.slow
@pytest.mark.slow
def test_a_bare_clone(epoch: Epoch, shop: Path) -> None:
    epoch("shop", "remote", "add", "origin", "../store")
    epoch("shop", "push")
    epoch("shop", "checkout", "-b", "work")
    change(shop, "UPDATE orders SET amount = 11 WHERE id = 3")
    epoch("shop", "commit", "-m", "work")
    epoch("shop", "push", "origin", "work")
    cloned = epoch(".", "clone", "--bare", "store", "copy")
    assert "Made a bare clone in copy/shop.duckdb (branch main, " in cloned.err
    for command in (("status",), ("commit", "-m", "x"), ("checkout", "work"), ("merge", "work"), ("pull",), ("stash",)):
        assert epoch("copy", *command, code=1).err.splitlines() == [
            "error: shop.duckdb is a bare clone: it has no working tables, and no branch is checked out",
            "hint: name the branch, as epoch merge SOURCE --into BRANCH does; or, to work on tables, epoch clone URL",
        ], command
    assert epoch("copy", "log", "--oneline", "work").out.count("\n") == 2
    assert epoch("copy", "diff", "main..work", "--stat").out.splitlines()[1].split()[:3] == ["orders", "0", "1"]
    assert epoch("copy", "query", "--ref", "work", "SELECT sum(amount) AS s FROM orders").out.split() == ["s", "501"]
    epoch("copy", "merge", "work", "--into", "main")
    assert "origin: main " in epoch("copy", "push", "origin", "main").err
    epoch("copy", "fsck")


def test_a_clone_that_fails_leaves_nothing(epoch: Epoch, shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    epoch("shop", "remote", "add", "origin", str(store))
    assert "there is no Epoch store" in epoch(".", "clone", "store", code=1).err
    epoch("shop", "push")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    assert "exists and is not empty" in epoch(".", "clone", "store", "full", code=1).err
    assert "there is no folder" in epoch(".", "clone", "store", "nowhere/copy", code=1).err
    assert "which would be stored" in epoch(".", "clone", "s3://me:secret@bucket/x", code=1).err
    (file, *_) = sorted(store.rglob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert "is corrupted" in epoch(".", "clone", "store", "copy", code=1).err
    assert sorted(tmp_path.rglob("*")) == before
    file.write_bytes(whole)
    (tmp_path / "copy").mkdir()
    epoch(".", "clone", "store", "copy")
    epoch("copy", "fsck")
    # Into the folder that it is called like.
    (tmp_path / "work").mkdir()
    epoch("work", "clone", "../store")
    assert (tmp_path / "work" / "store" / "shop.duckdb").is_file()


@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_after_a_second(shop: Path, epoch: Epoch, tmp_path: Path) -> None:
    """In a pseudo-terminal, on a push that is held for a while."""
    epoch("shop", "remote", "add", "origin", str(tmp_path / "store"))
    program = (
        "import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', '''"
        "import threading\n"
        "from epoch_sql.storage.remote.folder import FolderStore\n"
        "upload = FolderStore.upload\n"
        "def slow(*given):\n"
        "    threading.Event().wait(2)\n"
        "    upload(*given)\n"
        "FolderStore.upload = slow\n"
        "from epoch_sql.cli.main import run\n"
        "raise SystemExit(run([\"push\"]))''']) >> 8)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=shop, capture_output=True, text=True, check=True)
    assert "pushing" in ran.stdout and "bytes" in ran.stdout
    assert "new branch main at" in ran.stdout
