"""The progress of a transfer."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock


@dataclass
class Progress:
    """The bytes of Parquet files to transfer, and those transferred so far. Another thread may watch them."""

    total: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()

    def begin(self, total: int) -> None:
        """Start a new transfer."""
        with self._lock:
            self.total, self.done = total, 0

    def add(self, count: int) -> None:
        """Add transferred bytes."""
        with self._lock:
            self.done += count
