"""The rows of a difference as texts for people, which DuckDB makes."""

from __future__ import annotations

from collections.abc import Sequence

from epoch_sql import render
from epoch_sql.render import Sql


def columns_of(names: Sequence[str]) -> list[str]:
    """The columns of the table, given those of its typed ``epoch_diff``."""
    return list(dict.fromkeys(n.split("_", 1)[1] for n in names if n.startswith(("from_", "to_"))))


def as_texts(query: str, names: Sequence[str], apart: bool) -> Sql:
    """The rows of ``query``, a typed ``epoch_diff`` with columns ``names``: a sign, and a text for each column of the
    table, with both values where they differ. If these are ``apart``, two texts: the value, and the new one or NULL."""
    aliases = {name: Sql(f"c{i}") for i, name in enumerate(names)}
    sides = [[aliases.get(f"{side}_{name}", Sql("NULL")) for side in ("from", "to")] for name in columns_of(names)]
    return render.render(
        "diff.apart" if apart else "diff.together",
        columns=[{"before": before, "after": after} for before, after in sides],
        aliases=[*aliases.values()],
        kind=aliases["diff_type"],
        rows=render.verbatim(query),
    )
