"""A bucket, read by an engine: Epoch with the credentials of a remote, and Sail with those of its own environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.test_reading import build, push
from tests.spark.conftest import Engine

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Sail, with the bucket in its environment."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    engine = Engine("sail", tmp_path)
    yield engine
    engine.close()


def test_a_bucket_is_read(s3: str, tmp_path: Path, engine: Engine) -> None:
    repo = build(tmp_path)
    push(repo, "s3", s3)
    rows = sorted(map(list, repo("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM epoch_at('staging', 'orders')")), key=repr)
    assert engine("table", s3, "staging", "orders", [])[1] == rows
    _, found = engine("source", {"path": s3, "table": "orders", "ref": "staging"}, None)
    assert found == rows
    kind, message, *_ = engine("refused", "table", s3 + "-elsewhere", "main", "orders", [])
    assert (kind, message.startswith("there is no Epoch store at s3://")) == ("EpochRemoteError", True)
    repo.close()
