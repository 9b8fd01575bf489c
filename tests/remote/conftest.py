"""Places for remotes: a folder, and a real server of the S3 protocol on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.conftest import Repo

SECRET = "Sup3rS3cretThatMustNotBeKept"
KEY = "AKIAEXAMPLEOFTESTS"
_BUCKETS = count(1)


class Serial:
    """One request after the other: moto's own conditional puts are no compare-and-swap between its threads."""

    def __init__(self) -> None:
        self.app = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        with self.lock:
            self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            return list(self.app(environ, start_response))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[str, Serial]]:
    """A server of the S3 protocol, on a free port."""
    app = Serial()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", app
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the machine that runs the tests has is not used."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-settings"))


@pytest.fixture
def s3(s3_server: tuple[str, Serial], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in a bucket of its own; the environment has the credentials."""
    endpoint, _ = s3_server
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    bucket = f"tests-{next(_BUCKETS)}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/team/store"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a remote, of either kind."""
    if request.param == "folder":
        return str(tmp_path / "store")
    return str(request.getfixturevalue("s3"))


Clone = Callable[..., Repo]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clone]:
    """Clones a remote into a database of its own."""
    monkeypatch.setenv("EPOCH_AUTHOR", "Bo <bo@example.com>")
    numbers = count(1)
    with ExitStack() as opened:

        def make(url: str) -> Repo:
            folder = tmp_path / f"clone{next(numbers)}"
            folder.mkdir()
            repo = Repo(folder / "shop.duckdb")
            opened.callback(repo.close)
            repo("CALL epoch_clone(?)", url)
            return repo

        yield make


SHOP = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount DECIMAL(9,2), note VARCHAR);"
    "INSERT INTO orders SELECT i, i * 1.5, 'n' || i FROM range(100) AS r(i);"
    "CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (1), (1), (2)"
)


def everything(repo: Repo, ref: str = "HEAD") -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables as of a reference."""
    tables = [
        row[0] for row in repo("SELECT table_name FROM epoch_tables(ref := ?) WHERE kind = 'table' ORDER BY 1", ref)
    ]
    return {name: repo.at(ref, name) for name in tables}


def history(repo: Repo, ref: str = "HEAD") -> list[tuple[Any, ...]]:
    """The commits that a reference reaches, with what their contents are."""
    return repo(
        "SELECT l.commit_id, l.parents, l.author, l.committed_at, l.message, "
        "c.* EXCLUDE (commit_id, sequence, root_id, author, committed_at, message) FROM epoch_log(ref := ?) AS l JOIN epoch.commits AS c USING (commit_id) ORDER BY 1",
        ref,
    )


def sound(repo: Repo) -> bool:
    return repo("CALL epoch_fsck()") == []
