"""A push, a fetch or a clone that is killed at any point has changed nothing, and the next one goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, everything, history, sound

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(database: Path, call: str, last: int = 0) -> tuple[bool, int]:
    """Whether a call came to its end, and its number of steps; killed before step ``last``."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.remote.worker", "killed", str(database), call, str(last)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, -9)
    return ran.returncode == 0, int(ran.stdout or 0)


def points(steps: int, wanted: int) -> list[int]:
    return sorted({1 + k * (steps - 1) // (wanted - 1) for k in range(wanted)})


def heads(repo: Repo) -> list[tuple[object, ...]]:
    repo("CALL epoch_fetch()")
    return repo("SELECT name, commit_id FROM epoch.refs WHERE kind IN ('remote', 'tag') ORDER BY ALL")


def test_a_killed_push_changes_nothing(make_repo: MakeRepo, clone: Clone, url: str, tmp_path: Path) -> None:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?); ", url)
    repo("CALL epoch_push()")
    watcher = clone(url)
    before = heads(watcher)
    for number in range(5):
        repo("UPDATE orders SET note = ? WHERE id = ?", f"x{number}", number)
        repo("INSERT INTO log VALUES (?)", number)
        repo.commit(str(number))
    wanted, rows = history(repo), everything(repo)
    repo.close()
    # How many steps it is: to another place, for here it is to be pushed.
    aside = tmp_path / "aside"
    shutil.copytree(repo.path.parent, aside)
    twin = Repo(aside / "shop.duckdb")
    twin("CALL epoch_remote_remove('origin')")
    twin("CALL epoch_remote_add('origin', ?)", str(tmp_path / "other"))
    twin("CALL epoch_push(branch := 'main')")
    twin.close()
    steps = len(list((tmp_path / "other").rglob("*.*")))
    sent = 0
    for last in points(steps - 12, 5):
        done, _ = run(repo.path, "CALL epoch_push()", last)
        if done:
            break
        assert heads(watcher) == before
        sent += 1
    assert sent >= 3
    again = Repo(repo.path)
    again("CALL epoch_push()")
    watcher("CALL epoch_pull()")
    assert history(watcher) == wanted
    assert everything(watcher) == rows
    assert sound(watcher)
    again.close()


def test_what_a_killed_push_sent_is_not_sent_again(make_repo: MakeRepo, url: str) -> None:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", url)
    files = repo.one("SELECT count(*) FROM epoch.files")
    repo.close()
    assert files == 2
    # The header, a try to put it again, and two files: killed before the first definition.
    done, _ = run(repo.path, "CALL epoch_push()", 5)
    assert not done
    again = Repo(repo.path)
    assert again("SELECT status, objects FROM epoch_push()") == [("new", 0)]
    again.close()


def test_a_killed_fetch_changes_nothing(make_repo: MakeRepo, clone: Clone, url: str) -> None:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    other = clone(url)
    before = history(other)
    for number in range(3):
        repo("UPDATE orders SET note = ? WHERE id = ?", f"x{number}", number)
        repo.commit(str(number))
    repo("CALL epoch_push()")
    other.close()
    for last in (1, 3):
        done, _ = run(other.path, "CALL epoch_pull()", last)
        assert not done
        reopened = Repo(other.path)
        assert history(reopened) == before and sound(reopened)
        reopened.close()
    reopened = Repo(other.path)
    reopened("CALL epoch_pull()")
    assert history(reopened) == history(repo) and sound(reopened)
    reopened.close()
