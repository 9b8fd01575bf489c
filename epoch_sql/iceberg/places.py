"""What is exported to Iceberg, and where: the settings, the warehouse, the catalog, and the names of tables there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from epoch_sql import config
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.errors import EpochArgumentError, EpochReferenceError
from epoch_sql.model.names import shown
from epoch_sql.model.revisions import HEAD
from epoch_sql.model.schema import ObjectName
from epoch_sql.publish.places import Reference, reference

VERB = "epoch_export_iceberg"
MAIN = "main"
"""The branch of an Iceberg table that engines read when they name none."""
_SCHEMES = ("s3", "gs", "abfss")
_LONGEST = 255
_NOT_IN_A_URI = re.compile(r"[?#%\\]")


@dataclass(frozen=True)
class Place:
    """A warehouse, the catalog that has its tables, and the namespace of the tables of schema main.

    ``main`` is the reference that is the branch main of the Iceberg tables, if one is named. ``remote`` is the remote
    whose files readers read, instead of those beside the database.
    """

    warehouse: str
    catalog: str
    namespace: tuple[str, ...] = ()
    main: str | None = None
    remote: str | None = None

    def identifier(self, name: ObjectName) -> tuple[str, ...]:
        """The namespace and the name of a table in the catalog."""
        schema = name.schema_path
        inside = schema[1:] if self.namespace and schema[0] == MAIN else schema
        return (*self.namespace, *inside, name.name)


@dataclass(frozen=True)
class Settings:
    """The settings of exports. ``patterns`` are those of the references that are exported after each push."""

    patterns: tuple[str, ...]
    warehouse: str | None
    catalog: str | None
    namespace: str | None
    main: str | None

    def matches(self, name: str) -> bool:
        """Whether a branch or tag of that name is exported after a push."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def settings(folder: Path) -> Settings:
    """The settings of a repository."""
    found = {setting.key: setting.value for setting in reversed(config.settings(folder))}
    named = [found.get(f"iceberg.{name}") or None for name in ("warehouse", "catalog", "namespace", "main")]
    return Settings(tuple(found.get("iceberg.refs", "").split()), *named)


def place(
    call: Call,
    how: Settings,
    warehouse: str | None = None,
    catalog: str | None = None,
    namespace: str | None = None,
    main: str | None = None,
    remote: str | None = None,
) -> Place:
    """Where to export to. A folder that a call names is relative to the current one, and that of the settings to the
    folder of the database. A bare clone has no files but those of its remote. Raises EpochArgumentError for what cannot
    be used."""
    stated, remote = warehouse or how.warehouse, remote or call.promisor
    if not stated:
        raise EpochArgumentError(
            "no warehouse is named, in which the Iceberg tables are to lie",
            "name a folder or s3://BUCKET/PATH, or set iceberg.warehouse",
            function=VERB,
            parameter="warehouse",
        )
    where = _warehouse(stated, Path.cwd() if warehouse else call.database.parent, remote)
    given = catalog or how.catalog
    return Place(
        where,
        _catalog(given, Path.cwd() if catalog else call.database.parent) if given else _own_catalog(where),
        tuple(filter(None, (namespace or how.namespace or "").split("."))),
        main or how.main,
        remote,
    )


def is_folder(warehouse: str) -> bool:
    """Whether a warehouse is a folder of this machine."""
    return warehouse.startswith("/")


def wanted_references(call: Call, texts: Sequence[str] | None, how: Settings) -> list[Reference]:
    """What to export: what is named, or else what the settings name, or else the checked-out branch.

    Raises EpochReferenceError for what is neither branch nor tag, and for a branch and a tag of one name.
    """
    found = [reference(call, text) for text in texts or ()]
    if not texts and how.patterns:
        found = [
            Reference(kind, name, ref.commit_id)
            for kind in ("branch", "tag")
            for name, ref in call.refs.all(kind).items()
            if how.matches(name)
        ]
    elif not texts:
        if call.head().detached:
            raise EpochReferenceError("no branch is checked out to be exported", Suggestion("export_iceberg", ("REF",)))
        found = [reference(call, HEAD)]
    for text, one in zip(texts or (), found, strict=False):
        if one.kind == "commit":
            raise EpochReferenceError(
                f"{shown(text)} is neither a branch nor a tag, which is what an Iceberg table has",
                ("give it a name: ", Suggestion("tag", "NAME", shown(text))),
                name=text,
            )
    names: dict[str, Reference] = {}
    for one in found:
        other = names.setdefault(one.name, one)
        if other.kind != one.kind:
            raise EpochReferenceError(
                f"{one.name} is a {other.kind} and a {one.kind}, and an Iceberg table has one name for both",
                f"export one of them: refs/heads/{one.name} or refs/tags/{one.name}",
                name=one.name,
            )
    return [*names.values()]


def unusable(identifier: Sequence[str]) -> str | None:
    """Why a catalog cannot hold a name, or None."""
    for part in identifier:
        if not part.isprintable() or "." in part or "/" in part or part != part.strip() or len(part) > _LONGEST:
            return f"catalogs of Iceberg tables cannot hold the name {shown(part)}"
    return None


def _warehouse(text: str, start: Path, remote: str | None) -> str:
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme in ("", "file"):
        folder = Path(urlsplit(text).path if scheme else text).expanduser()
        path = str((start / folder).resolve())
        if _NOT_IN_A_URI.search(path) or not path.isprintable():
            raise _refused("warehouse", "a warehouse cannot have ?, #, % or \\ in its path", "name another folder")
        return path
    if scheme not in _SCHEMES:
        known = ", ".join(f"{one}://" for one in _SCHEMES)
        raise _refused("warehouse", f"a warehouse cannot be at {shown(scheme)}://", f"name a folder, or one of {known}")
    if "@" in urlsplit(text).netloc and scheme != "abfss":
        raise _refused(
            "warehouse", "the warehouse has credentials in it, which would be stored", "set them as AWS_… do"
        )
    if not remote:
        raise _refused(
            "remote",
            f"readers of {shown(text)} cannot read the files of this machine",
            "name the remote whose store has them: after a push to it, remote := 'origin'",
        )
    return text.rstrip("/")


def _catalog(text: str, start: Path) -> str:
    parts = urlsplit(text)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1 and not _NOT_IN_A_URI.search(text):
        return f"sqlite:///{(start / parts.path[1:]).resolve()}"
    if parts.scheme in ("http", "https") and parts.netloc:
        if "@" in parts.netloc or parts.query:
            raise _refused(
                "catalog",
                "the catalog has credentials in its URI, which would be stored",
                "set PYICEBERG_CATALOG__EPOCH__CREDENTIAL or PYICEBERG_CATALOG__EPOCH__TOKEN",
            )
        return text
    raise _refused("catalog", f"{shown(text)} is not a catalog", "sqlite:///FILE, or https://HOST of a REST catalog")


def _own_catalog(warehouse: str) -> str:
    if is_folder(warehouse):
        return f"sqlite:///{warehouse}/catalog.db"
    raise _refused("catalog", f"{warehouse} needs a catalog", "sqlite:///FILE, or https://HOST of a REST catalog")


def _refused(parameter: str, message: str, advice: str) -> EpochArgumentError:
    return EpochArgumentError(message, advice, function=VERB, parameter=parameter)
