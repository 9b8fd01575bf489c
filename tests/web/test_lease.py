"""The database is open for a request and soon closed again; what is read there reaches no other file."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

import epoch_sql
from epoch_sql import config
from epoch_sql.errors import EpochLockedError
from epoch_sql.web import lease as leases
from epoch_sql.web.lease import Lease
from tests.web.conftest import Pages

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def holder(database: Path) -> subprocess.Popen[str]:
    """Another program, which has the database open to write."""
    command = [sys.executable, "-c", HOLD, str(database)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_requests_share_one_connection_that_closes_after_the_last(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LINGER", 0.2)
    lease = Lease(shop)
    with lease.read() as first, lease.read() as second:
        assert first is second
        assert [branch.name for branch in first.branches()][:1] == ["development"]
    with lease.read() as third:
        assert third is first
    time.sleep(0.6)
    other = holder(shop)
    other.communicate("")
    assert other.returncode == 0


def test_an_action_waits_for_readers_and_readers_for_an_action(shop: Path) -> None:
    lease, order = Lease(shop), []
    reading = threading.Event()

    def act() -> None:
        reading.wait()
        with lease.write() as repository:
            order.append("write")
            repository.tag("v2")

    thread = threading.Thread(target=act)
    thread.start()
    with lease.read() as repository:
        reading.set()
        time.sleep(0.2)
        assert [tag.name for tag in repository.tags()] == ["v1.0.0"]
        order.append("read")
    thread.join()
    assert order == ["read", "write"]
    with lease.read() as repository:
        assert [tag.name for tag in repository.tags()] == ["v1.0.0", "v2"]
    lease.close()


def test_a_page_says_who_has_the_database_and_comes_back(
    pages: Pages, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "WAIT", 0.2)
    client, other = pages(shop), holder(shop)
    answer = client.get("/")
    assert answer.status_code == 503
    assert str(other.pid) in answer.text and "data-retry" in answer.text
    form = {"form_token": "the-form-token", "action": "give_up", "into": "development"}
    refused = client.post("/do", data=form)
    assert refused.status_code == 400 and str(other.pid) in refused.text and "data-retry" not in refused.text
    with pytest.raises(EpochLockedError), Lease(shop).read():
        raise AssertionError("the database is open")
    other.communicate("")
    assert client.get("/").status_code == 200


@pytest.mark.grid(every=3)
@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_text('/etc/hostname')",
        "FROM read_csv('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
        "DELETE FROM orders",
        "SELECT 1; DROP TABLE orders",
        "COPY orders TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "SET lock_configuration = false",
        "CALL epoch_merge_abort()",
        "FROM epoch_merge_abort(target := 'development')",
        "SELECT * FROM query('DROP TABLE orders')",
    ],
)
def test_the_box_reads_the_repository_and_nothing_else(pages: Pages, shop: Path, sql: str) -> None:
    client = pages(shop)
    answer = client.get("/data", params={"ref": "production", "sql": sql.format(shop=shop, folder=shop.parent)})
    assert answer.status_code == 200 and 'role="alert"' in answer.text
    assert Path("/etc/hostname").read_text().strip() not in answer.text
    assert not (shop.parent / "stolen.csv").exists() and not (shop.parent / "other.duckdb").exists()
    assert "in progress" in client.get("/").text
    good = client.get("/data", params={"ref": "production", "sql": "SELECT count(*) + 41 AS n FROM customers"}).text
    assert ">44<" in good


def test_a_view_and_a_check_reach_no_file_either(pages: Pages, shop: Path) -> None:
    secret = shop.parent / "secret.csv"
    secret.write_text("word\nswordfish\n")
    with epoch_sql.open(shop) as repo:
        repo.checkout("staging")
        repo.connection.execute(f"CREATE VIEW secrets AS FROM read_csv('{secret}')")
        repo.commit("A view of a file")
        repo.check_add("no-secret", f"FROM read_csv('{secret}')", branch="production")
    client = pages(shop)
    texts = [
        client.get("/data", params={"ref": "staging", "table": "secrets"}).text,
        client.get("/promotion", params={"source": "staging", "into": "production", "wait": "1"}).text,
        client.get("/promotion/check", params={"source": "staging", "into": "production", "name": "no-secret"}).text,
    ]
    assert all("swordfish" not in text for text in texts)


def test_a_query_that_takes_too_long_is_stopped(pages: Pages, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epoch_sql.web.data.SECONDS", 0.3)
    sql = "SELECT count(*) FROM range(100_000_000) AS a (i), range(100_000_000) AS b (j) WHERE hash(i + j) = 7"
    text = pages(shop).get("/data", params={"ref": "production", "sql": sql}).text
    assert "the query took more than 0.3 seconds" in text


def test_duckdb_itself_is_shut_in(shop: Path) -> None:
    lease = Lease(shop)
    with lease.write() as repository, pytest.raises(duckdb.PermissionException):
        repository.connection.execute(f"ATTACH '{shop.parent}/other.duckdb'")
    lease.close()


def test_a_linked_worktree_has_pages_too(pages: Pages, shop: Path) -> None:
    with epoch_sql.open(shop) as repo:
        repo.worktree_add(str(shop.parent / "beside"), "production", new_branch="beside")
    client = pages(shop.parent / "beside" / shop.name)
    assert "Bob has moved" in client.get("/history?ref=beside").text
    assert "Leiden" in client.get("/data", params={"ref": "beside", "table": "customers"}).text


def test_what_an_action_moves_is_published(pages: Pages, shop: Path) -> None:
    config.set_value(config.repository_config(shop), "publish.refs", "development")
    form = {"form_token": "the-form-token", "into": "development", "back": "/"}
    client = pages(shop)
    assert (
        client.post("/do", data=form | {"action": "resolve", "table": "customers", "side": "ours"}).status_code == 303
    )
    said = client.post("/do", data=form | {"action": "finish"})
    assert said.status_code == 303, said.text
    assert (shop.parent / "published" / "development.duckdb").is_file()
