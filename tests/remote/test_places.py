"""Addresses, names of files, and compare-and-swap at both kinds of places."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.remote import encoded, parse_url, seal, unseal
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import open_store


@pytest.fixture
def store(url: str) -> RemoteStore:
    found = open_store(parse_url(url, Path("/")))
    found.prepare()
    return found


def test_addresses() -> None:
    start = Path("/home/ada")
    for text, parsed in (
        ("../store", "/home/store"),
        ("/mnt/a b/store/", "/mnt/a b/store"),
        ("file:///mnt/a%20b", "/mnt/a b"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("az://container/a", "az://container/a"),
    ):
        found = parse_url(text, start)
        assert str(found) == parsed
        assert parse_url(str(found), Path("/")) == found
    assert [parse_url(u, start).last_name for u in ("s3://b/x/shop", "s3://b", "shops/one")] == ["shop", "b", "one"]


def test_names_of_files_are_safe_everywhere() -> None:
    names = [
        "main",
        "Main",
        "MAIN",
        "feature/a",
        "feature%2Fa",
        "Feature/A",
        "münchen",
        "🎉",
        "x" * 300,
        "x" * 301,
        "a~b",
    ]
    files = [encoded(name) for name in names]
    assert len({file.casefold() for file in files}) == len(names)
    for file in files:
        assert file.isascii() and len(file) <= 180 and "/" not in file
    assert encoded("release/v1.2") == "release%2Fv1.2"


def test_a_reference_is_swapped_by_one_only(store: RemoteStore) -> None:
    path = f"refs/heads/{encoded('feature/A')}"
    assert store.read_reference(path) is None and store.references("refs/heads") == []
    with ThreadPoolExecutor(8) as pool:
        for _ in range(25):
            stored = store.read_reference(path)
            token = stored.token if stored else None
            values = [seal({"value": os.urandom(8).hex()}) for _ in range(8)]
            won = list(pool.map(lambda value, token=token: store.swap(path, token, value), values))
            assert sum(won) == 1
            now = store.read_reference(path)
            assert now and now.data == values[won.index(True)]
    assert store.references("refs/heads") == [path]
    assert store.swap(path, now.token, now.data)


def test_files_are_put_whole_and_once(store: RemoteStore, tmp_path: Path) -> None:
    assert store.is_empty() and store.read("trees/x") is None and store.size("trees/x") is None
    assert store.paths("trees") == []
    assert store.put_new("trees/x", b"one") and not store.put_new("trees/x", b"two")
    assert (store.read("trees/x"), store.size("trees/x"), store.paths("trees")) == (b"one", 3, ["trees/x"])
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(12 << 20))
    store.upload("objects/ab/abc.parquet", source)
    assert store.download("objects/ab/abc.parquet", target, 12 << 20) and target.read_bytes() == source.read_bytes()
    assert not store.download("objects/ab/abd.parquet", target, 1)
    assert not store.is_empty()


def test_documents_tell_damage() -> None:
    data = seal({"name": "ünïcode", "list": [1, None, True]})
    assert unseal(data, "x").decode() == '{"list":[1,null,true],"name":"ünïcode"}'
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 2
        with pytest.raises(Exception, match="is corrupted") as caught:
            unseal(bytes(damaged), "there/x.json")
        assert "there/x.json" in str(caught.value)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_object_stores_without_credentials(scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(EpochRemoteError, match=f"{scheme}://bucket/x cannot be used") as caught:
        open_store(parse_url(f"{scheme}://bucket/x", Path("/"))).read("epoch.json")
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for url in (file, tmp_path / "file" / "below"):
        with pytest.raises(EpochRemoteError, match=r"cannot be used|there is no folder"):
            open_store(parse_url(str(url), Path("/"))).prepare()


def test_a_folder_without_hard_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(parse_url("store", tmp_path))
    store.prepare()

    def no_links(*given: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(EpochRemoteError, match="has no hard links, which references need"):
        store.put_new("epoch.json", b"x")
    assert list((tmp_path / "store").rglob("*.json")) == [] == list((tmp_path / "store" / "incoming").iterdir())


def test_what_dead_pushes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = open_store(parse_url("store", tmp_path))
    store.prepare()
    old, young = (tmp_path / "store" / "incoming" / name for name in ("a" * 32, "b" * 32))
    for path in (old, young):
        path.write_text("half a file")
    os.utime(old, (0, 0))
    store.prepare()
    assert (old.exists(), young.exists()) == (False, True)
    assert store.is_empty()


def test_obstore_is_imported_for_object_stores_only(tmp_path: Path) -> None:
    program = (
        "import sys; import epoch_sql; con = epoch_sql.connect(sys.argv[1]); con.execute('CALL epoch_init()');"
        "con.execute('CALL epoch_remote_add(?, ?)', ['origin', sys.argv[2]]); con.execute('CALL epoch_push()');"
        "con.close(); print('obstore' in sys.modules, 'boto3' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "shop.duckdb"), str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["False", "False"]
