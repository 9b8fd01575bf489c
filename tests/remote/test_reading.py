"""A store is read without a clone: the same history, rows and differences as here, from proved documents only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import duckdb
import pytest

from epoch_sql.errors import (
    EpochReferenceError,
    EpochRemoteError,
    EpochStorageError,
    ReferenceAmbiguous,
    ReferenceNotFound,
    TableNotFound,
)
from epoch_sql.model.remote import ref_fields, seal
from epoch_sql.remote.reading import StoredRepository, open_stored
from epoch_sql.render import column
from epoch_sql.storage.encoding import decode
from epoch_sql.storage.remote.folder import FolderStore
from epoch_sql.storage.shape import aliased
from tests.conftest import Repo
from tests.remote.conftest import SHOP
from tests.remote.forging import Store

REFS = ("main", "staging", "v1", "feature")


def build(folder: Path, sql: str = "") -> Repo:
    """Branches that differ in rows and definitions, a merge, a bag, and a store of all of it in the folder."""
    repo = Repo(folder / "shop.duckdb")
    repo(SHOP)
    repo("CALL epoch_init()")
    repo(f"CREATE VIEW big AS SELECT * FROM orders WHERE amount > 10; {sql}")
    repo.commit("a view")
    repo("CALL epoch_tag('v1', message := 'first'); CALL epoch_branch('staging'); CALL epoch_branch('feature')")
    repo("UPDATE orders SET note = 'm' WHERE id < 5; DELETE FROM log WHERE n = 2")
    repo.commit("on main")
    repo("CALL epoch_checkout('staging')")
    repo("ALTER TABLE orders ADD COLUMN paid BOOLEAN DEFAULT false; ALTER TABLE orders RENAME note TO remark")
    repo("UPDATE orders SET paid = true, amount = amount + 1 WHERE id BETWEEN 10 AND 20")
    repo("DELETE FROM orders WHERE id > 90; INSERT INTO log VALUES (7), (7)")
    repo.commit("columns")
    repo("UPDATE orders SET amount = 0 WHERE id % 7 = 0")
    repo.commit("more rows")
    repo("CALL epoch_checkout('feature')")
    repo("ALTER TABLE orders DROP COLUMN note; INSERT INTO orders VALUES (500, 1)")
    repo.commit("a column less")
    repo("CALL epoch_checkout('main'); CALL epoch_merge('staging')")
    push(repo, "origin", str(folder / "store"))
    return repo


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """The repository."""
    repo = build(tmp_path_factory.mktemp("shop"))
    yield repo
    repo.close()


def push(repo: Repo, remote: str, url: str) -> None:
    repo("CALL epoch_remote_add(?, ?)", remote, url)
    for branch in ("main", "staging", "feature"):
        repo("SELECT * FROM epoch_push(?, ?, tags := true)", remote, branch)


@pytest.fixture
def url(shop: Repo, tmp_path: Path) -> str:
    """A copy of the store, to do anything to."""
    return str(shutil.copytree(shop.path.parent / "store", tmp_path / "store"))


def native(stored: StoredRepository, ref: str, name: str) -> list[tuple[object, ...]]:
    """The rows of a table as DuckDB reads them from the store."""
    entry = stored.entry(stored.resolve(ref), name, ref)
    table = stored.contents.table(entry.version_id)
    outputs = ", ".join(aliased(decode(column(f"c{c.id}"), c.type), c.name) for c in table.stored_columns)
    with duckdb.connect() as con:
        return sorted(con.execute(f"SELECT {outputs} FROM ({stored.contents.state(entry.version_id)})").fetchall())


def net(stored: StoredRepository, before: str, after: str, name: str) -> dict[str, int]:
    """How many rows of a table differ, by the kind of change."""
    ids = [stored.resolve(ref) for ref in (before, after)]
    stored.load_between(*ids)
    versions = [stored.entry(i, name, i).version_id for i in ids]
    with duckdb.connect() as con:
        sql = f"SELECT op, count(*) FROM ({stored.contents.changes(*versions)}) GROUP BY op"
        return dict(con.execute(sql).fetchall())


@pytest.mark.parametrize("place", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_store_has_the_same_rows_and_differences(shop: Repo, place: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue("url" if place == "folder" else place))
    if place == "s3":
        push(shop, "s3", url)
    # DuckDB reads the files of a bucket by an extension. A folder has the same ones.
    stored = open_stored(url, str(shop.path.parent / "store"))
    for ref in (*REFS, "main~1", "main^2", shop.one("SELECT commit_id FROM epoch_log() LIMIT 1")[:9]):
        assert native(stored, ref, "orders") == sorted(shop.at(ref, "orders")), ref
        assert native(stored, ref, "log") == sorted(shop.at(ref, "log")), ref
        assert stored.prove_tree(stored.resolve(ref)).tables
        views = [o.name.name for o in stored.tree(stored.resolve(ref)).objects]
        assert views == ["big"]
    for before, after in permutations(REFS, 2):
        told = shop(
            "SELECT diff_type, count(*) FROM epoch_diff(?, ?, table_name := 'orders') GROUP BY 1", before, after
        )
        assert net(stored, before, after, "orders") == dict(told), (before, after)


def test_a_difference_is_composed_of_the_deltas_between(shop: Repo, url: str) -> None:
    """It reads no base file, and no commit that both sides have."""
    stored = open_stored(url)
    before, after = stored.resolve("v1"), stored.resolve("staging")
    stored.load_between(before, after)
    versions = [stored.entry(i, "orders", "there").version_id for i in (before, after)]
    steps = stored.contents.path(*versions)
    assert steps and [level.kind for level, _ in steps] == ["delta", "delta"]
    bases = [file.file_id for i in versions for file in stored.contents.levels(i)[0].files]
    assert not any(i in stored.contents.changes(*versions) for i in bases)
    graph = stored.graph(stored.resolve("main"))
    assert len(graph) == shop.one("SELECT count(*) FROM epoch_log('main')")
    assert graph.merge_bases(before, after) == [before]


def test_names_mean_what_they_mean_in_a_clone(shop: Repo, url: str) -> None:
    stored = open_stored(url)
    with pytest.raises(ReferenceNotFound, match="unknown reference 'stagin'") as unknown:
        stored.resolve("stagin")
    assert unknown.value.suggestions[0] == "staging"
    for text, said in (("HEAD", "a store has no HEAD"), ("main@{1}", "no earlier values"), ("WORKING", "not a commit")):
        with pytest.raises(EpochReferenceError, match=said):
            stored.resolve(text)
    ref = {**ref_fields(stored.references().tags["v1"].ref), "name": "staging"}
    tag = Path(url) / "refs/tags/staging/1"
    tag.parent.mkdir()
    tag.write_bytes(seal(ref))
    with pytest.raises(ReferenceAmbiguous):
        stored.resolve("staging")
    with pytest.raises(TableNotFound, match="there is no table order in main") as missing:
        stored.entry(stored.resolve("main"), "order", "main")
    assert missing.value.suggestions == ("orders",)
    gone = {**ref_fields(stored.references().heads["feature"].ref), "commit_id": None, "previous": "0" * 64}
    (Path(url) / "refs/heads/feature/2").write_bytes(seal(gone))
    with pytest.raises(ReferenceNotFound, match="feature"):
        stored.resolve("feature")


def test_what_is_damaged_is_refused(shop: Repo, url: str) -> None:
    store, main = Path(url), open_stored(url).resolve("main")
    entry = open_stored(url).entry(main, "orders", "main")
    version = open_stored(url).contents.version(entry.version_id)
    subtrees = open_stored(url).commit(main).subtrees
    paths = [f"commits/{main}.json", f"versions/{entry.version_id}.json", f"schemas/{version.schema_id}.json"]
    for path in (*paths, *(f"trees/{i}.json" for i in subtrees), "epoch.json"):
        kept = (store / path).read_bytes()
        (store / path).write_bytes(kept.replace(b"a", b"b", 1))
        with pytest.raises(EpochStorageError, match="corrupted"):
            native(open_stored(url), "main", "orders")
        (store / path).unlink()
        with pytest.raises((EpochStorageError, EpochRemoteError), match=r"is missing|no Epoch store"):
            native(open_stored(url), "main", "orders")
        (store / path).write_bytes(kept)
    contents = open_stored(url).contents
    file = contents.levels(entry.version_id)[0].files[0]
    where = store / "objects" / file.file_id[:2] / f"{file.file_id}.parquet"
    kept = where.read_bytes()
    where.write_bytes(kept[:-1])
    with pytest.raises(EpochStorageError, match=f"{file.file_id}.*bytes instead of {file.bytes}"):
        contents.state(entry.version_id)
    where.unlink()
    with pytest.raises(EpochStorageError, match=f"{file.file_id}.* is missing"):
        contents.state(entry.version_id)


def forged(url: str, tmp_path: Path, change: Callable[[Store], None]) -> StoredRepository:
    """A copy of a store with changed documents, all of whose hashes are right."""
    store = Store(Path(url))
    change(store)
    store.write(tmp_path / "forged")
    return open_stored(str(tmp_path / "forged"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("fill", "(SELECT content FROM read_text('/etc/passwd'))", "is no definition of one.*it has a query"),
        ("fill", "getenv('SECRET')", "value of earlier rows that is not a constant"),
        ("fill", "1) FROM read_text('/etc/passwd') --", "is no definition of one"),
        ("type", "INTEGER) FROM read_text('/etc/passwd') --", "is no definition of one"),
        ("default", "1; DROP TABLE t", "is no definition of one"),
    ],
)
def test_sql_in_a_definition_is_refused(
    shop: Repo, url: str, tmp_path: Path, field: str, value: str, said: str
) -> None:
    def forge(store: Store) -> None:
        for table in store.documents["schemas"].values():
            if table["name"] == "orders":
                table["columns"][1][field] = value
        store.rebuild()

    with pytest.raises(EpochRemoteError, match=said):
        native(forged(url, tmp_path, forge), "main", "orders")


def test_a_tree_that_is_not_the_commits_is_refused(shop: Repo, url: str, tmp_path: Path) -> None:
    tip, other = (open_stored(url).resolve(ref) for ref in ("main", "v1"))

    def forge(store: Store) -> None:
        commits = store.documents["commits"]
        commits[f"{tip}.json"]["subtrees"] = commits[f"{other}.json"]["subtrees"]

    stored = forged(url, tmp_path, forge)
    with pytest.raises(EpochStorageError, match=f"{tip[:7]} at the remote does not hold the content that it names"):
        stored.prove_tree(tip)


def test_a_store_of_a_newer_epoch_is_refused(shop: Repo, url: str) -> None:
    header = json.loads((Path(url) / "epoch.json").read_bytes())["content"]
    (Path(url) / "epoch.json").write_bytes(seal({**header, "format": 99}))
    with pytest.raises(EpochRemoteError, match=r"was written by a newer Epoch \(format 99") as newer:
        open_stored(url)
    assert newer.value.hint == "pip install --upgrade epoch-sql"
    with pytest.raises(EpochRemoteError, match="no Epoch store at"):
        open_stored(f"{url}-nowhere")


def test_each_document_is_read_once(shop: Repo, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    opened = FolderStore.read
    monkeypatch.setattr(FolderStore, "read", lambda store, path: read.append(path) or opened(store, path))
    stored = open_stored(url)
    for _ in range(2):
        net(stored, "v1", "staging", "orders")
        native(stored, "staging", "orders")
        stored.graph(stored.resolve("main"))
    fixed = [path for path in read if not path.startswith("refs/")]
    assert len(fixed) == len(set(fixed))
    assert not any(path.startswith("objects/") for path in read)
