"""What Spark finds by its name: packages that begin with ``pyspark_`` and have a ``DefaultSource``. So it is installed
beside epoch_sql.

``spark.read.format("epoch")`` then works without registering anything.
"""

from epoch_sql.spark.source import EpochSource as DefaultSource

__all__ = ["DefaultSource"]
