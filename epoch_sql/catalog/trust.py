"""The catalog table of definitions from untrusted remotes, which are not created."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from epoch_sql.catalog.relation import Relation
from epoch_sql.model.schema import ObjectName, SchemaObject, Table, definition_id


@dataclass(frozen=True)
class Withheld:
    """A definition that is kept as data: its id, its remote, its kind and name, and what it does."""

    definition_id: str
    remote: str
    kind: str
    schema_name: str
    object_name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {ObjectName(self.schema_name, self.object_name)} ({self.reason})"


class Untrusted(Relation):
    """``epoch.untrusted``: definitions that are not created or run until their remote is trusted."""

    name = "untrusted"
    columns = {
        "definition_id": "VARCHAR",
        "remote": "VARCHAR",
        "kind": "VARCHAR",
        "schema_name": "VARCHAR",
        "object_name": "VARCHAR",
        "reason": "VARCHAR",
    }

    def load(self) -> dict[str, Withheld]:
        """All of them, by the ids of the definitions."""
        return {row[0]: Withheld(*row) for row in self.select()}

    def add(self, withheld: Iterable[Withheld]) -> None:
        """Keep definitions as data that are not kept so yet."""
        self.insert_missing(astuple(one) for one in withheld)

    def trust(self, remote: str) -> None:
        """Trust all definitions of a remote."""
        self.run("DELETE FROM {{epoch}}.untrusted WHERE remote = ?", [remote])

    def adopt(self, definitions: Iterable[Table | SchemaObject]) -> None:
        """Remove definitions that the user has created, because they are the user's own."""
        own = [definition_id(definition) for definition in definitions]
        self.run("DELETE FROM {{epoch}}.untrusted WHERE definition_id IN (SELECT unnest(CAST(? AS VARCHAR[])))", [own])
