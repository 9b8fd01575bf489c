"""Systems take turns: operation by operation, round by round, so that a busy machine slows all of them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class System:
    """One system: its script in this folder, and the environment (a folder of install.sh; None: this one) it runs in."""

    name: str
    title: str
    environment: str | None = None


@dataclass(frozen=True)
class Operation:
    """What is measured. ``unit`` is seconds, or bytes; None: nothing is, the systems have to agree."""

    name: str
    title: str
    unit: str | None = "s"
    once: bool = False


@dataclass(frozen=True)
class Result:
    """The median of one operation by one system at one size."""

    rows: int
    operation: str
    system: str
    amount: float


SYSTEMS = (
    System("by_hand", "DuckDB by hand"),
    System("epoch", "Epoch"),
    System("doltlite", "DoltLite", "doltlite"),
    System("ducklake", "DuckLake", "ducklake"),
    System("iceberg", "pyiceberg", "iceberg"),
    System("delta", "delta-rs", "delta"),
)

OPERATIONS = (
    Operation("load", "load the rows, first commit"),
    Operation("size", "size on disk after that", unit="bytes", once=True),
    Operation("branch", "make a branch"),
    Operation("scattered", "change 1,000 scattered rows, commit"),
    Operation("range", "change a range of 1 %, commit"),
    Operation("diff", "difference of two branches, 1,000 rows"),
    Operation("scan", "aggregate of a branch after the change of 1 %"),
    Operation("point", "one row by key, same branch"),
    Operation("merge", "merge 1,000 + 1,000 + 1,000 changes"),
    Operation("merged", "what the merge made", unit=None, once=True),
)


class Disagreement(Exception):
    """Two systems gave different answers, so their times say nothing."""


def race(
    systems: Sequence[System], environments: Path, folder: Path, rows: int, rounds: int
) -> tuple[list[Result], dict[str, str]]:
    """Medians of all that each system can do; and the versions of the systems, by name."""
    results = []
    with ExitStack() as stack:
        runners = [stack.enter_context(Runner(system, environments, folder, rows)) for system in systems]
        for operation in OPERATIONS:
            able = [runner for runner in runners if operation.name in runner.operations]
            taken: dict[str, list[float]] = {runner.system.name: [] for runner in able}
            for number in range(1 if operation.once else rounds):
                answers = {runner.system.title: runner.order(operation.name, number) for runner in able}
                if operation.unit != "bytes":
                    compare(operation, rows, {title: answer["found"] for title, answer in answers.items()})
                for runner in able:
                    answer = answers[runner.system.title]
                    amount = answer["found"] if operation.unit == "bytes" else answer["seconds"]
                    taken[runner.system.name].append(amount)
            if operation.unit:
                found = [Result(rows, operation.name, name, statistics.median(times)) for name, times in taken.items()]
                _tell(rows, operation, found)
                results.extend(found)
        return results, {runner.system.name: runner.version for runner in runners}


class Runner:
    """A system's process, and the conversation with it."""

    def __init__(self, system: System, environments: Path, folder: Path, rows: int) -> None:
        self.system = system
        here = Path(__file__).parent
        script = here / (f"{system.name}.py" if system.name == "by_hand" else f"{system.name}_peer.py")
        python = environments / system.environment / "bin" / "python" if system.environment else Path(sys.executable)
        names = [operation.name for operation in OPERATIONS]
        self.process = subprocess.Popen(
            [str(python), str(script), str(folder / system.name), str(folder / "source"), str(rows), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        hello = self._answer()
        self.version: str = hello["version"]
        self.operations: list[str] = hello["operations"]

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def order(self, operation: str, number: int) -> dict[str, Any]:
        """Have one operation done."""
        assert self.process.stdin
        print(json.dumps({"operation": operation, "round": number}), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.system.title} ended with code {self.process.wait()}; its errors stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def compare(operation: Operation, rows: int, answers: dict[str, Any]) -> None:
    """Refuse answers that differ; ``answers`` are by the title of the system."""
    if len({json.dumps(answer) for answer in answers.values()}) > 1:
        raise Disagreement(f"{operation.title}, {rows:,} rows: {answers}")


def _tell(rows: int, operation: Operation, found: Sequence[Result]) -> None:
    amounts = ", ".join(f"{result.system} {result.amount:.4g}" for result in found)
    print(f"{rows:,} rows, {operation.title}: {amounts}", flush=True)
