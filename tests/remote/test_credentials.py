"""Credentials come from the environment and the AWS chain; they are nowhere kept, and missing ones are one line."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import KEY, SECRET, SHOP, Clone


@pytest.fixture
def shop(make_repo: MakeRepo, s3: str) -> Repo:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', ?)", s3)
    return repo


def holding(folder: Path, *needles: str) -> list[Path]:
    """The files below a folder that hold one of some texts."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(needle.encode() in path.read_bytes() for needle in needles)
    ]


@pytest.mark.parametrize("way", ["environment", "credentials file", "config file"])
@pytest.mark.slow
def test_the_usual_chain(
    shop: Repo, clone: Clone, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    if way != "environment":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_PROFILE", "work")
        file = tmp_path / "aws" / "file"
        file.parent.mkdir()
        section = "work" if way == "credentials file" else "profile work"
        file.write_text(
            f"[{section}]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\nregion = eu-west-1\n"
        )
        variable = "AWS_SHARED_CREDENTIALS_FILE" if way == "credentials file" else "AWS_CONFIG_FILE"
        monkeypatch.setenv(variable, str(file))
    assert shop("SELECT status FROM epoch_push()") == [("new",)]
    copy = clone(s3)
    shop.close()
    copy.close()
    assert holding(shop.path.parent, SECRET, KEY) == []
    assert holding(copy.path.parent, SECRET, KEY) == []


def test_missing_credentials_are_one_line_in_bounded_time(shop: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    begun = time.monotonic()
    told = shop.refused("CALL epoch_push()")
    assert time.monotonic() - begun < 60
    assert "EpochRemoteError: s3://" in told
    assert "the credentials are missing or refused (hint: set AWS_ACCESS_KEY_ID" in told


def test_refused_credentials_are_one_line(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers as S3 does to a wrong key: moto takes any."""
    with Answering(
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: 133\r\n\r\n"
        b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>"
        b"<AWSAccessKeyId>AKIAWRONG</AWSAccessKeyId></Error>\n"
    ) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        repo = make_repo(SHOP)
        repo("CALL epoch_remote_add('origin', 's3://bucket/store')")
        for call in ("epoch_push()", "epoch_fetch()", "epoch_clone('s3://bucket/store')"):
            target = repo if "clone" not in call else make_repo(init=False)
            told = target.refused(f"CALL {call}")
            (line,) = [line for line in told.splitlines() if "Epoch" in line and "LINE" not in line]
            assert "s3://bucket/store cannot be used: the credentials are missing or refused" in line
            assert "(hint: set AWS_ACCESS_KEY_ID" in line
            assert SECRET not in told and "AKIAWRONG" not in told
        assert repo("FROM epoch_status()") == []


def test_urls_with_credentials_are_refused_and_not_repeated(shop: Repo, tmp_path: Path) -> None:
    for url in (
        f"s3://{KEY}:{SECRET}@bucket/path",
        f"s3://bucket/path?AWS_SECRET_ACCESS_KEY={SECRET}",
        f"az://container/path?sv=2020&sig={SECRET}",
        f"s3://bucket/path#{SECRET}",
    ):
        told = shop.refused("CALL epoch_remote_add('other', ?)", url)
        assert "EpochRemoteError" in told and "in it, which would be stored" in told
        assert SECRET not in told
        told = Repo(tmp_path / "empty.duckdb").refused("CALL epoch_clone(?)", url)
        assert "in it, which would be stored" in told and SECRET not in told
    for url in ("http://example.com/store", "ftp://x/y", "s3://", "s3:///path", "", "file://elsewhere/path"):
        assert "EpochRemoteError" in shop.refused("CALL epoch_remote_add('other', ?)", url)
    assert shop("SELECT name FROM epoch_remotes()") == [("origin",)]
    shop.close()
    assert holding(shop.path.parent, SECRET) == []


def test_a_bucket_that_is_not_there(make_repo: MakeRepo, s3: str) -> None:
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', 's3://nobody-made-this/store')")
    for call in ("epoch_push()", "epoch_fetch()"):
        assert "there is no bucket nobody-made-this" in repo.refused(f"CALL {call}")


@pytest.mark.slow
def test_a_url_that_does_not_answer(make_repo: MakeRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr("epoch_sql.storage.remote.bucket.SILENCE_SECONDS", 1)
    repo = make_repo(SHOP)
    repo("CALL epoch_remote_add('origin', 's3://bucket/store')")
    with Answering(None) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for endpoint in (silent, f"http://127.0.0.1:{closed.getsockname()[1]}", "http://no-such-host.invalid"):
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            begun = time.monotonic()
            told = repo.refused("CALL epoch_push()")
            assert time.monotonic() - begun < 20
            assert "EpochRemoteError: s3://bucket/store cannot be used: it does not answer" in told
            assert "check the URL, the endpoint (AWS_ENDPOINT_URL) and the network" in told
    assert repo("SELECT count(*) FROM epoch.refs WHERE kind = 'remote'") == [(0,)]


class Answering:
    """A server that gives every request one answer, or none ever."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.held: list[socket.socket] = []

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def __exit__(self, *raised: object) -> None:
        self.listening.close()
        for connection in self.held:
            connection.close()

    def _serve(self) -> None:
        for connection in self._connections():
            self.held.append(connection)
            if self.answer is not None:
                connection.recv(65536)
                connection.sendall(self.answer)
                connection.close()

    def _connections(self) -> Iterator[socket.socket]:
        while True:
            try:
                yield self.listening.accept()[0]
            except OSError:
                return
