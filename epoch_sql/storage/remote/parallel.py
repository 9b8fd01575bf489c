"""Many requests to a store at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
WORKERS = 16
FILES_AT_ONCE = 8


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS) -> list[Result]:
    """The results in the order of the items. Raises the first error, and starts no further items after it."""
    wanted = list(items)
    if len(wanted) < 2:
        return [function(item) for item in wanted]
    results: list[Result | None] = [None] * len(wanted)
    left = iter(range(len(wanted)))
    failed = Event()

    # A task for each worker, not for each item: to hand over one costs as much as to write a small file.
    def work() -> None:
        for number in left:
            if failed.is_set():
                return
            try:
                results[number] = function(wanted[number])
            except BaseException:
                failed.set()
                raise

    with ThreadPoolExecutor(min(workers, len(wanted))) as pool:
        tasks = [pool.submit(work) for _ in range(min(workers, len(wanted)))]
    for task in tasks:
        task.result()
    return cast("list[Result]", results)
