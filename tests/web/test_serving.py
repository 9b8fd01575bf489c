"""`epoch ui` from start to end: the link, the folder that is gone afterwards, and what stops it before it starts."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from epoch_sql.cli.main import run

pytestmark = pytest.mark.slow

PROGRAM = "from epoch_sql.cli.main import main; main()"


@contextmanager
def served(database: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, once it has told its link, and the link."""
    command = [sys.executable, "-c", PROGRAM, "--db", str(database), "ui", "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stderr
        link = process.stdout.readline().strip()
        assert link, process.stderr.read()
        yield process, link
    finally:
        process.kill()
        process.communicate()


def folders(process: subprocess.Popen[str]) -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"epoch-ui-{process.pid}-*"))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_link_works_and_the_folder_is_private_and_goes_at_the_end(shop: Path, ending: signal.Signals) -> None:
    with served(shop) as (process, link):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", link)
        with httpx2.Client(follow_redirects=True) as client:
            page = client.get(link)
            assert page.status_code == 200 and "production" in page.text and "server" not in page.headers
            address = link.partition("?")[0]
            rows = client.get(f"{address}rows", params={"source": "staging", "into": "production", "table": "orders"})
            assert rows.status_code == 200
        [folder] = folders(process)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and list(folder.iterdir())
        process.send_signal(ending)
        output, errors = process.communicate(timeout=20)
        assert folders(process) == []
        assert "Traceback" not in errors and "token" not in output + errors


def test_it_listens_on_loopback_only(shop: Path) -> None:
    with served(shop) as (_, link):
        port = int(link.rpartition("/?")[0].rpartition(":")[2])
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        at = [line.split()[1] for line in listening.splitlines() if line.split()[3:4] == ["0A"]]
        assert [place for place in at if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_folders_of_processes_that_were_killed_are_removed(shop: Path) -> None:
    with served(shop) as (first, _):
        [left] = folders(first)
        first.kill()
        first.wait()
        assert left.exists()
        with served(shop):
            assert not left.exists()


def test_another_program_writes_soon_after_the_last_request(shop: Path) -> None:
    with served(shop) as (_, link), httpx2.Client(follow_redirects=True) as client:
        client.get(link)
        asked = time.monotonic()
        commit = [sys.executable, "-c", PROGRAM, "--db", str(shop), "tag", "v2", "production"]
        assert subprocess.run(commit, capture_output=True, check=False).returncode == 0
        assert time.monotonic() - asked < 8


def test_a_host_that_others_reach_needs_consent(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--db", str(shop), "ui", "--no-browser", "--host", "0.0.0.0"]) == 1
    assert "whoever has the link acts as you" in capsys.readouterr().err


def test_no_repository_and_a_port_that_is_taken(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--db", str(tmp_path / "none.duckdb"), "ui", "--no-browser"]) == 1
    assert "none.duckdb" in capsys.readouterr().err
    with served(shop) as (_, link):
        port = link.rpartition("/?")[0].rpartition(":")[2]
        assert run(["--db", str(shop), "ui", "--no-browser", "--port", port]) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert not list(Path(tempfile.gettempdir()).glob(f"epoch-ui-{os.getpid()}-*"))
