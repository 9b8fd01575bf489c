"""A store taken to pieces, and put together again with any document changed and all hashes right."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from epoch_sql.catalog.content import tree_of_rows
from epoch_sql.model.commit import commit_identity, origin_of, tree_identity
from epoch_sql.model.remote import content_identity, encoded, seal
from epoch_sql.model.schema import canonical_json, table_from_json

BARE = ("trees", "schemas", "levels")
Document = Any
Spot = tuple[str | int, ...]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Store:
    """The documents of a store: ``documents[kind][name]``, where a name is the path below the folder of its kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: dict[str, dict[str, Document]] = {}
        for path in sorted(folder.rglob("*")):
            kind, *rest = path.relative_to(folder).parts
            if path.is_file() and kind not in ("objects", "incoming"):
                told = json.loads(path.read_bytes())
                self.documents.setdefault(kind, {})["/".join(rest)] = told if kind in BARE else told["content"]
        bases = self.documents.pop("levels", {})
        for version in self.documents.get("versions", {}).values():
            # In one list, as they are read.
            base = {"kind": "base", "rows": [0, 0, 0], "before": None, "after": None}
            deltas = version.pop("deltas")
            version["levels"] = [{**base, **copy.deepcopy(bases[f"{version.pop('base')}.json"])}, *deltas]

    def write(self, folder: Path, objects: bool = True) -> None:
        """The store as it is now, elsewhere, with links to its files unless they are there."""
        if objects:
            shutil.copytree(
                self.folder / "objects", folder / "objects", copy_function=lambda a, b: Path(b).hardlink_to(a)
            )
        documents = {**self.documents, "levels": {}, "versions": {}}
        for name, version in self.documents.get("versions", {}).items():
            documents["versions"][name] = parted(version, documents["levels"])
        for kind, found in documents.items():
            for name, content in found.items():
                path = folder / kind / name if name else folder / kind
                if any(len(os.fsencode(part)) > 255 for part in path.parts):
                    continue  # No file system holds a document of such a name.
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(canonical_json(content).encode() if kind in BARE else seal(content))

    def rebuild(self) -> None:
        """Give everything the name that it ought to have, and let others name it so; raises where that cannot be."""
        renamed = {i: sha(canonical_json(d)) + ".json" for i, d in self.documents["schemas"].items()}
        self._rename("schemas", renamed)
        ids = {i[:-5]: new[:-5] for i, new in renamed.items()}
        contents: dict[str, str] = {}
        for name, version in self.documents["versions"].items():
            version["schema_id"] = ids.get(version["schema_id"], version["schema_id"])
            stated = (version["table_id"], version["schema_id"], version["fingerprint"], version["row_count"])
            contents[name[:-5]] = content_identity(*stated)
        self._rename("versions", {i: f"{contents[i[:-5]]}.json" for i in self.documents["versions"]})
        for version in self.documents["versions"].values():
            self._levels(version["levels"], ids, contents)
        for rows in self.documents["trees"].values():
            for row in rows:
                row[4] = contents.get(row[4], row[4]) if isinstance(row[4], str) else row[4]
            rows.sort(key=lambda row: row[1])
        trees = {i: sha(canonical_json(d)) + ".json" for i, d in self.documents["trees"].items()}
        self._rename("trees", trees)
        self._commits({i[:-5]: new[:-5] for i, new in trees.items()}, ids, contents)

    def _commits(self, trees: dict[str, str], ids: dict[str, str], contents: dict[str, str]) -> None:
        commits: dict[str, str] = {}
        pending = {name[:-5]: found for name, found in self.documents["commits"].items()}
        while pending:
            before = len(pending)
            for old, found in [*pending.items()]:
                if any(parent in pending for parent in found["parents"]):
                    continue
                del pending[old]
                found["parents"] = [commits.get(parent, parent) for parent in found["parents"]]
                found["origin"] = mapped(found["origin"], commits)
                found["subtrees"] = sorted(trees.get(i, i) for i in found["subtrees"])
                found["tree_id"] = self._tree_id(found["subtrees"])
                self._levels(found["deltas"], ids, contents)
                commits[old] = commit_id(found)
            assert len(pending) < before
        self._rename("commits", {f"{i}.json": f"{new}.json" for i, new in commits.items()})
        for kind in ("refs", "reviews"):
            self.documents[kind] = {name: mapped(d, commits) for name, d in self.documents.get(kind, {}).items()}
        self.documents["reviews"] = {reviewed(d): d for d in self.documents["reviews"].values()}

    def _tree_id(self, subtrees: list[str]) -> str:
        rows = [row for i in subtrees for row in self.documents["trees"][f"{i}.json"]]
        tree, tables = tree_of_rows(rows), []
        for entry in tree.tables.values():
            version = self.documents["versions"][f"{entry.version_id}.json"]
            digest = table_from_json(canonical_json(self.documents["schemas"][f"{version['schema_id']}.json"]))
            tables.append((entry, digest.content_digest, version["fingerprint"]))
        return tree_identity(tables, tree)

    def _levels(self, levels: list[Document], ids: dict[str, str], contents: dict[str, str]) -> None:
        for level in levels:
            for end in ("before", "after"):
                level[end] = contents.get(level[end], level[end])
            for file in level["files"]:
                for name in ("schema_id", "old_schema_id"):
                    file[name] = ids.get(file[name], file[name])

    def _rename(self, kind: str, names: dict[str, str]) -> None:
        self.documents[kind] = {names.get(name, name): found for name, found in self.documents[kind].items()}


def change_base(version: Path, change: Callable[[list[Document]], None]) -> None:
    """Change the files of the base level of a version in a store."""
    content = json.loads(version.read_bytes())["content"]
    levels = version.parents[1] / "levels"
    base = json.loads((levels / f"{content['base']}.json").read_bytes())
    change(base["files"])
    text = canonical_json(base)
    (levels / f"{sha(text)}.json").write_text(text, encoding="utf-8")
    version.write_bytes(seal({**content, "base": sha(text)}))


def parted(version: Document, bases: dict[str, Document]) -> Document:
    """A version as it is stored, whose base level is a document of its own, if it can be told apart."""
    levels = version.get("levels") if isinstance(version, dict) else None
    if not isinstance(levels, list) or not levels or not isinstance(levels[0], dict):
        return version
    base = {name: value for name, value in levels[0].items() if name not in ("kind", "rows", "before", "after")}
    name = sha(canonical_json(base))
    bases[f"{name}.json"] = base
    rest = {name: value for name, value in version.items() if name != "levels"}
    return {**rest, "base": name, "deltas": levels[1:]}


def commit_id(found: Document) -> str:
    from datetime import datetime

    at = datetime.fromisoformat(found["committed_at"])
    return commit_identity(
        found["tree_id"], found["parents"], found["author"], at, found["message"], origin_of(found["origin"])
    )


def reviewed(review: Document) -> str:
    """The path of a review whose id is made right."""
    names = ("source", "source_commit", "target", "verdict", "reviewer", "message", "reviewed_at")
    review["review_id"] = sha(canonical_json(["review", *(review[name] for name in names)]))
    return f"{encoded(review['target'])}/{review['source_commit']}/{review['review_id']}.json"


def mapped(found: Document, names: dict[str, str]) -> Document:
    """A document in which ids are replaced."""
    if isinstance(found, dict):
        return {name: mapped(value, names) for name, value in found.items()}
    if isinstance(found, list):
        return [mapped(value, names) for value in found]
    return names.get(found, found) if isinstance(found, str) else found


def spots(found: Document, here: Spot = ()) -> Iterator[Spot]:
    """Every place in a document."""
    yield here
    if isinstance(found, dict):
        for name, value in found.items():
            yield from spots(value, (*here, name))
    elif isinstance(found, list):
        for place, value in enumerate(found):
            yield from spots(value, (*here, place))


def at(found: Document, spot: Spot) -> Document:
    for part in spot:
        found = found[part]
    return found


@dataclass(frozen=True)
class Table:
    """What a store says of a table: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def read_table(store: Store, content: str) -> Table:
    """A version as the documents and files of a store say it, by reading them in the simplest way."""
    version = store.documents["versions"][f"{content}.json"]
    schema = store.documents["schemas"][f"{version['schema_id']}.json"]
    wanted = [c for c in schema["columns"] if not c.get("generated")]
    key_names = next(
        (c["columns"] for c in schema["constraints"] if c["kind"] == "PRIMARY KEY"), schema["declared_key"]
    )
    key = [c["id"] for c in wanted if c["name"].lower() in [name.lower() for name in key_names]]
    with duckdb.connect() as con:

        def fill(column: Document) -> Any:
            return con.execute(f"SELECT CAST({column.get('fill', 'NULL')} AS {column['type']})").fetchall()[0][0]

        def rows(file: Document) -> list[dict[str, Any]]:
            path = store.folder / "objects" / file["file_id"][:2] / f"{file['file_id']}.parquet"
            found = con.execute("FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        fills = {c["id"]: fill(c) for c in wanted}
        bag: list[dict[int, Any]] = []
        for file in version["levels"][0]["files"]:
            ids = {c["name"]: c["id"] for c in store.documents["schemas"][f"{file['schema_id']}.json"]["columns"]}
            bag += [{**fills, **{ids[name]: value for name, value in row.items()}} for row in rows(file)]
        for level in version["levels"][1:]:
            for change in (row for file in level["files"] for row in rows(file)):
                stated = {int(name[1:]): value for name, value in change.items() if name[0] in "kn" and name != "n0"}
                same = key or [i for i in stated if i]
                bag = [row for row in bag if any(row.get(i) != stated[i] for i in same)]
                times = (change["op"] != "removed") if key else change["n0"]
                bag += [{**fills, **stated}] * times
    return Table([c["name"] for c in wanted], sorted([tuple(row[c["id"]] for c in wanted) for row in bag], key=repr))
