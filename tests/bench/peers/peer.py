"""What every system under measurement has in common. It runs in the system's own environment: no import from elsewhere.

A system is a process that reads one order a line (JSON: ``operation``, ``round``) and answers with one line: how many
seconds the operation took, and what it found. Orders come one at a time, so systems can take turns.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

CHANGED = 1_000
COLUMNS = ("customer_id", "status", "amount", "updated_at", "note")

AGGREGATE = "SELECT status, count(*), sum(amount) FROM {rows} GROUP BY status ORDER BY status"
POINT = "SELECT id, amount, note FROM {rows} WHERE id = {key}"
STATE = "SELECT count(*), sum(amount), sum(CASE WHEN note = 'theirs' THEN 1 ELSE 0 END) FROM {rows}"
# In parentheses, which not every parser can do without.
DIFFERENT = " OR ".join(f"(a.{column} IS DISTINCT FROM b.{column})" for column in COLUMNS)
FULL_JOIN = f"SELECT a.*, b.* FROM {{a}} AS a FULL JOIN {{b}} AS b ON a.id = b.id WHERE {DIFFERENT}"


class Peer:
    """One system. A subclass has a method for each operation that the system can do, and no others.

    What comes before an operation and is not timed is a method of the same name that begins with ``before_``.
    """

    version = ""

    def __init__(self, folder: Path, source: Path, rows: int) -> None:
        self.folder, self.source, self.rows = folder, source, rows
        self.step = max(rows // CHANGED, 4)

    @property
    def parquet(self) -> Path:
        """The rows to load, in the order of the key."""
        return self.source / "orders.parquet"

    @property
    def one_percent(self) -> tuple[int, int]:
        """The range of keys that is changed at once: its first key, and the first key after it."""
        return self.rows // 2, self.rows // 2 + max(self.rows // 100, 1)

    @property
    def key(self) -> int:
        """The key of the row to look up: one that the change of 1 % changed."""
        return sum(self.one_percent) // 2

    def keys(self, *offsets: int) -> str:
        """A condition for 1,000 rows, scattered over the table, for each of the offsets."""
        return f"id % {self.step} IN ({', '.join(str(offset % self.step) for offset in offsets)})"

    def begin_anew(self) -> None:
        """Empty the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def size(self, _: int) -> int:
        """Bytes of all files in the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def plain(found: Any) -> Any:
    """What was found, as JSON has it, and the same whatever number type a system has."""
    if isinstance(found, (list, tuple)):
        return [plain(part) for part in found]
    if isinstance(found, (float, Decimal)):
        return f"{found:.2f}"
    return found


def serve(system: type[Peer]) -> None:
    """Carry out the orders that arrive, until there are no more."""
    # Whatever a library prints goes to the errors.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, source, rows, *operations = sys.argv[1:]
    peer = system(Path(folder), Path(source), int(rows))
    able = [operation for operation in operations if hasattr(peer, operation)]
    print(json.dumps({"version": peer.version, "operations": able}), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        operation, number = order["operation"], order["round"]
        getattr(peer, f"before_{operation}", lambda _: None)(number)
        started = time.perf_counter()
        found = getattr(peer, operation)(number)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "found": plain(found)}), file=answers, flush=True)
