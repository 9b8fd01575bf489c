"""Checks the catalog: each id is the hash of its content, and everything that is named exists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from epoch_sql.catalog.content import root_identity, subtree_identity
from epoch_sql.model.schema import table_from_json, table_to_json
from epoch_sql.model.version import level_identity, version_identity
from epoch_sql.operations.upkeep.inventory import Inventory, StoredLevel

Found = tuple[str, str, str]

_KINDS = {
    "schemas": "schema",
    "files": "file",
    "levels": "level",
    "versions": "version",
    "roots": "root",
    "commits": "commit",
}


def duplicates(inventory: Inventory) -> Iterator[Found]:
    """Ids that the catalog has twice."""
    for name, object_id in inventory.duplicates:
        yield _KINDS[name], object_id, f"is more than once in epoch.{name}"


def broken_definitions(inventory: Inventory) -> Iterator[Found]:
    """Definitions of tables that do not match their id, or cannot be read."""
    for schema_id, definition in inventory.schemas.items():
        if hashlib.sha256(definition.encode()).hexdigest() != schema_id:
            yield "schema", schema_id, "the definition of the table does not match its id"
            continue
        try:
            same = table_to_json(table_from_json(definition)) == definition
        except (ValueError, KeyError, TypeError) as error:
            yield "schema", schema_id, f"the definition of the table cannot be read: {type(error).__name__} {error}"
            continue
        if not same:
            yield "schema", schema_id, "the definition of the table holds what this version of Epoch does not know"


def broken_levels(inventory: Inventory) -> Iterator[Found]:
    """Levels whose files are not in the catalog, and those that do not match their id."""
    for level in inventory.levels.values():
        missing = [i for i in level.file_ids if i not in inventory.files]
        if missing:
            yield "level", level.level_id, f"needs file {missing[0]}, which is not in the catalog"
        if level.kind not in ("base", "delta"):
            yield "level", level.level_id, f"is neither a base nor a delta but {level.kind}"
        elif not _level_is_itself(inventory, level):
            yield "level", level.level_id, "its files, or the versions that it leads from and to, do not match its id"
    for file in inventory.files.values():
        for schema_id in (file.schema_id, file.old_schema_id):
            if schema_id and schema_id not in inventory.schemas:
                yield "file", file.file_id, f"needs definition {schema_id}, which is not in the catalog"


def _level_is_itself(inventory: Inventory, level: StoredLevel) -> bool:
    """Whether the id matches the content. A delta to a removed version cannot say."""
    if level.kind == "base":
        return level.level_id == level_identity("base", level.file_ids, None, None)
    end = inventory.versions.get(level.to_version or "")
    if end is None:
        return True
    content = f"{end.schema_id}:{end.fingerprint}"
    return level.level_id == level_identity("delta", level.file_ids, level.from_version, content)


def broken_versions(inventory: Inventory) -> Iterator[Found]:
    """Versions whose levels or definition are missing, and those that do not match their id."""
    for version in inventory.versions.values():
        i = version.version_id
        if i != version_identity(version.table_id, version.schema_id, version.fingerprint, version.level_ids):
            yield "version", i, "its definition, fingerprint or levels do not match its id"
        if version.schema_id not in inventory.schemas:
            yield "version", i, f"needs definition {version.schema_id}, which is not in the catalog"
        missing = [level for level in version.level_ids if level not in inventory.levels]
        if missing:
            yield "version", i, f"needs level {missing[0]}, which is not in the catalog"
        elif [inventory.levels[level].kind for level in version.level_ids[:1]] != ["base"] or any(
            inventory.levels[level].kind != "delta" for level in version.level_ids[1:]
        ):
            yield "version", i, "is not made of one base level and deltas on it"


def broken_trees(inventory: Inventory) -> Iterator[Found]:
    """Trees whose parts or versions are missing, and those that do not match their id."""
    for subtree_id, rows in inventory.subtrees.items():
        if subtree_identity(rows) != subtree_id:
            yield "tree", subtree_id, "its tables and objects do not match its id"
        for row in rows:
            if row[0] == "table" and row[4] not in inventory.versions:
                yield "tree", subtree_id, f"needs version {row[4]} of table {row[3]}, which is not in the catalog"
    for root_id, subtree_ids in inventory.roots.items():
        if root_identity(subtree_ids) != root_id:
            yield "root", root_id, "its subtrees do not match its id"
        missing = [i for i in subtree_ids if i not in inventory.subtrees]
        if missing:
            yield "root", root_id, f"needs subtree {missing[0]}, which is not in the catalog"
