"""Many requests at once, and their progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

WORKERS = 16
FILES_AT_ONCE = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TransferResult:
    """The result of a push, a fetch, a pull or a clone.

    ``old_commit_id`` and ``new_commit_id`` are the commits of the branch before and after: at the remote for a push,
    and locally otherwise. ``moved`` names every moved reference. ``objects`` and ``bytes`` count the Parquet files that
    were transferred.
    """

    remote: str
    branch: str | None
    status: str
    old_commit_id: str | None
    new_commit_id: str | None
    moved: list[str]
    objects: int
    bytes: int


@dataclass(frozen=True)
class FetchResult(TransferResult):
    """What a fetch, a pull or a clone did."""

    warnings: list[str] = field(default_factory=list)


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS) -> list[Result]:
    """The results in the order of the items. Raises the first error, and starts no further items after it."""
    wanted: Sequence[Item] = list(items)
    if len(wanted) < 2:
        return [function(item) for item in wanted]
    with ThreadPoolExecutor(min(workers, len(wanted))) as pool:
        futures = [pool.submit(function, item) for item in wanted]
        finished, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
        for future in finished:
            future.result()
        return [future.result() for future in futures]
