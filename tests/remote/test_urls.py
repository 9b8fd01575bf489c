"""Addresses with a secret in any spelling are refused, kept nowhere, and not even repeated; odd ones end in one line."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.remote import parse_url
from tests.conftest import Epoch, MakeRepo, Repo
from tests.remote.conftest import SECRET

SPELLINGS = [
    *(f"{scheme}://key:{SECRET}@b/p" for scheme in ("s3", "S3", "gs", "az", "https", "file", "ssh", "x y", "s3 ")),
    *(f"{scheme}:/key:{SECRET}@b/p" for scheme in ("s3", "gs", "az", "https", "file", "postgres")),
    *(f"{scheme}:key:{SECRET}@b/p" for scheme in ("s3", "az", "https", "file")),
    *(f"{scheme}:///key:{SECRET}@b/p" for scheme in ("s3", "az", "file")),
    *(f"s3://{quote(f'key:{SECRET}@b', safe='')}{rest}" for rest in ("", "/p", "/p/")),
    f"s3://{quote(quote(f'key:{SECRET}@b', safe=''))}/p",
    f"s3://b/key:{SECRET}@c",
    f"s3:\\\\key:{SECRET}@b",
    f" s3://key:{SECRET}@b",
    f"s3%3A//key:{SECRET}@b",
    quote(f"https://key:{SECRET}@b", safe=""),
    f"u:{SECRET}@host:/path",
    f"u:{SECRET}@host/path",
    f"{SECRET}@host:path",
    *(
        f"{scheme}://c/p{mark}sig={SECRET}"
        for scheme in ("s3", "gs", "az")
        for mark in ("?", "#", "%3F", "%23", "%253F", ";")
    ),
    f"az:/c/p?sig={SECRET}",
    f"https://h/p?sig={SECRET}",
    f"file://localhost:{SECRET}/x",
    f"file://{SECRET}@localhost/x",
    f"file://{SECRET}/x",
    f"{SECRET}://x",
    f"s3://{SECRET}:443/x",
    f"s3://key:{SECRET}\x00@b",
]
ODD = [
    *(
        "s3://b/../x",
        "s3://b/../../x",
        "s3://b/./x",
        "s3://b//x",
        "s3://b/x/..",
        "s3://../x",
        "s3://./x",
        "gs://b/%2e%2e/x",
    ),
    *("s3://", "s3:///", "s3:", "s3:/", "s3://b\n/x", "s3://[::1/x", "s3://b[/x", "s3://b /x", "az://c/a\x7fb"),
    *("file:///x/%00", "file://", "file:", "file:x", "file://elsewhere/x", "file:///x%0ay", "file:///x%FFy"),
    *("", " ", "\n", "x\x00y", "~nobody-of-that-name/x", "http://h/x", "ftp:/x", "x\udcffy", "a\u202eb"),
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_a_secret_in_an_address_is_not_repeated(url: str) -> None:
    with pytest.raises(EpochRemoteError) as caught:
        parse_url(url, Path("/home/ada"))
    assert SECRET not in str(caught.value) and SECRET.lower() not in str(caught.value)


@pytest.mark.parametrize("url", ODD)
def test_an_odd_address_is_one_clear_error(url: str) -> None:
    with pytest.raises(EpochRemoteError) as caught:
        parse_url(url, Path("/home/ada"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["/a:b@c/d", "./a:b@c", "../x", "a b", "a@b", "C:\\x", "x:y", "/mnt/s3:/x"])
def test_folders_of_odd_names_are_folders(path: str) -> None:
    assert parse_url(path, Path("/home/ada")).scheme == "file"


@pytest.mark.slow
def test_a_secret_is_kept_nowhere(make_repo: MakeRepo, epoch: Epoch, tmp_path: Path) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    empty = Repo(tmp_path / "empty.duckdb")
    for url in SPELLINGS:
        for one, call in ((repo, "CALL epoch_remote_add('origin', ?)"), (empty, "CALL epoch_clone(?)")):
            told = one.refused(call, url)
            assert "EpochRemoteError" in told and SECRET not in told, url
    assert repo("FROM epoch_remotes()") == []
    assert not any(SECRET in str(row) for row in repo("FROM epoch.audit"))
    repo.close()
    empty.close()
    for arguments in (("remote", "add", "origin"), ("clone",)):
        for url in SPELLINGS[::7]:
            if "\x00" not in url:
                told = epoch("--db", str(repo.path), *arguments, url, code=1)
                assert SECRET not in told.out + told.err
    for folder in (repo.path.parent, tmp_path):
        assert not [p for p in folder.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
