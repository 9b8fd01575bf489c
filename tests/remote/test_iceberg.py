"""Iceberg tables in a bucket read the files of a store in a bucket, and keep no credentials."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from pyiceberg.catalog import load_catalog

from tests.conftest import MakeRepo
from tests.remote.conftest import KEY, SECRET
from tests.support.lakes import differences

pytestmark = pytest.mark.slow


def test_in_a_bucket(make_repo: MakeRepo, s3: str, tmp_path: Path, s3_server: tuple[str, object]) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v HUGEINT); INSERT INTO t SELECT i, i FROM range(1000) AS r(i)"
    )
    repo("CREATE TABLE u AS SELECT i AS id FROM range(1000) AS r(i); CALL epoch_commit('u')")
    repo("CALL epoch_remote_add('origin', ?)", s3)
    warehouse, uri = s3.replace("store", "lake"), f"sqlite:///{tmp_path}/catalog.db"
    with (repo.path.parent / ".epoch" / "config.toml").open("a") as stream:
        stream.write(f'\n[iceberg]\nrefs = "*"\nwarehouse = "{warehouse}"\ncatalog = "{uri}"\n')
    assert repo("SELECT warnings FROM epoch_push()") == [([],)]
    repo("DELETE FROM t WHERE id % 100 = 3; INSERT INTO u VALUES (-1)")
    repo.commit()
    assert repo("SELECT warnings FROM epoch_push()") == [([],)]
    catalog = load_catalog("epoch", type="sql", uri=uri, **{"s3.endpoint": s3_server[0]})
    for name, columns in (("t", "id, CAST(v AS VARCHAR) AS v"), ("u", "id")):
        found = catalog.load_table(("main", name))
        assert differences(repo, found.scan().to_arrow(), f"SELECT {columns} FROM epoch_at('main', '{name}')") == []
    files = [task.file.file_path for task in catalog.load_table(("main", "u")).scan().plan_files()]
    assert sorted(path.startswith(f"{s3}/objects/") for path in files) == [False, True]
    bucket, prefix = urlsplit(warehouse).netloc, urlsplit(warehouse).path[1:]
    client = boto3.client("s3", endpoint_url=s3_server[0], region_name="us-east-1")
    kept = [
        client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        for one in client.list_objects(Bucket=bucket, Prefix=prefix)["Contents"]
    ]
    kept += [path.read_bytes() for path in repo.path.parent.rglob("*") if path.is_file()]
    kept.append((tmp_path / "catalog.db").read_bytes())
    assert len(kept) > 10 and not any(secret.encode() in one for one in kept for secret in (KEY, SECRET))
