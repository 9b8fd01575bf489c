"""The progress of a transfer or an import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass
class Progress:
    """The bytes of files to transfer or to import, and those done so far. Another thread may watch them."""

    total: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._part: Callable[[], float] | None = None

    def begin(self, total: int) -> None:
        """Start a new transfer."""
        with self._lock:
            self.total, self.done, self._part = total, 0, None

    def add(self, count: int) -> None:
        """Add transferred bytes."""
        with self._lock:
            self.done += count

    @contextmanager
    def measuring(self, count: int, percent: Callable[[], float]) -> Iterator[None]:
        """Add bytes that are read meanwhile; ``percent`` says how many of them are, or is negative."""
        self._part = lambda: count * min(max(percent(), 0), 100) / 100
        try:
            yield
        finally:
            self._part = None
        self.add(count)

    def so_far(self) -> int:
        """The bytes done, with those of what is being read."""
        part = self._part
        return self.done + (int(part()) if part else 0)
