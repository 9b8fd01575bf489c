"""Epoch on Apache Spark: ``connect`` opens the repository of a store for a Spark session.

It uses the DataFrame API only, so it works on Spark 4 in one process, through Spark Connect, and on engines that speak
it. Nothing else of ``epoch_sql`` imports pyspark.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from epoch_sql.remote.reading import open_stored

if TYPE_CHECKING:
    from epoch_sql.spark.repository import SparkRepository


def connect(
    spark: Any, url: str, *, files: str | None = None, author: str | None = None, clone: str | Path | None = None
) -> SparkRepository:
    """Open the repository of a store for a Spark session.

    Epoch reads the store's documents itself, with the credentials of its environment, as it does for a remote. Spark
    reads the Parquet files, with its own. Raises EpochRemoteError if there is no store, if a newer Epoch wrote it, and
    for credentials that are refused.

    Args:
        spark: the session: of Spark 4 or newer, classic or Connect
        url: a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`
        files: the same place in Spark's words, where they differ: `s3a://BUCKET/PATH`
        author: the author of commits: `Name <mail>`
        clone: the database of the bare clone for writing; default: one in a temporary folder
    """
    # What tasks import of this room needs no pyspark.
    from epoch_sql.spark.repository import SparkRepository

    return SparkRepository(spark, open_stored(url, files.rstrip("/") if files else None), author, clone)
