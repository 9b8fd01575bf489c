"""Which references are published, and where: the settings, and the names of the files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from epoch_sql import config
from epoch_sql.advice import Suggestion
from epoch_sql.call import Call
from epoch_sql.errors import EpochArgumentError, EpochReferenceError
from epoch_sql.model.revisions import BRANCHES, HEAD, REMOTE_BRANCHES, TAGS, parse_revision

OLDEST_VERSION = "v1.0.0"
SUFFIX = ".duckdb"
_VERSION = re.compile(r"v\d+\.\d+\.\d+|latest")
_KINDS = (("branch", BRANCHES), ("tag", TAGS), ("remote", REMOTE_BRANCHES))
_DIGITS = 12


@dataclass(frozen=True)
class Reference:
    """What is published: a branch, a tag, a remote branch or a commit (``kind``), its name, and its commit."""

    kind: str
    name: str
    commit_id: str


@dataclass(frozen=True)
class Settings:
    """How files are published.

    ``patterns`` are shell patterns of the branches and tags that are published whenever they move. ``storage_version``
    is the oldest DuckDB that reads the files.
    """

    patterns: tuple[str, ...]
    folder: Path
    materialize: bool
    storage_version: str

    def matches(self, name: str) -> bool:
        """Whether a branch or tag of that name is published whenever it moves."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def settings(call: Call, path: str | None = None, materialize: bool = False, version: str | None = None) -> Settings:
    """The settings of a repository, or what a call says instead. A ``path`` is relative to the current folder, and the
    one of the settings to the folder of the database."""
    found = {setting.key: setting.value for setting in reversed(config.settings(call.folder))}
    version = version or found.get("publish.storage_version", OLDEST_VERSION)
    if not _VERSION.fullmatch(version):
        raise EpochArgumentError(
            f"{version} is not a storage version",
            f"{OLDEST_VERSION}, for example",
            function="epoch_publish",
            parameter="storage_version",
        )
    folder = Path(path).expanduser() if path else call.database.parent / found.get("publish.path", "published")
    return Settings(
        tuple(found.get("publish.refs", "").split()),
        Path.cwd() / folder,
        materialize or found.get("publish.materialize") == "true",
        version,
    )


def file_name(name: str) -> str:
    """The name of a reference's file. Two references never share one, and none leads to another folder."""
    encoded = quote(name, safe="")
    return ("%2E" + encoded[1:] if encoded.startswith(".") else encoded) + SUFFIX


def reference(call: Call, text: str) -> Reference:
    """What a text names. Raises EpochReferenceError for nothing, and for WORKING, which is not committed."""
    revision = parse_revision(text)
    if revision.is_working:
        raise EpochReferenceError(
            "WORKING is not committed, so it cannot be published", Suggestion("commit", "what changed and why")
        )
    commit_id = call.resolve(text)
    branch = call.head().branch
    name = branch if revision.base == HEAD and branch else revision.base
    for kind, folder in _KINDS if not revision.steps else ():
        short = name
        for prefix in (folder, folder.removeprefix("refs/")):
            short = short.removeprefix(prefix)
        found = call.refs.get(kind, short)
        if found and found.commit_id == commit_id:
            return Reference(kind, short, commit_id)
    return Reference("commit", commit_id[:_DIGITS], commit_id)


def references(call: Call, texts: Sequence[str] | None, how: Settings) -> list[Reference]:
    """What to publish: what is named, or else what the settings name, or else the checked-out branch."""
    if texts:
        return list(dict.fromkeys(reference(call, text) for text in texts))
    if how.patterns:
        return list(_matching(call, how))
    if call.head().detached:
        raise EpochReferenceError("no branch is checked out to be published", Suggestion("publish", "REF"))
    return [reference(call, HEAD)]


def _matching(call: Call, how: Settings) -> Iterator[Reference]:
    for kind in ("branch", "tag"):
        for name, ref in call.refs.all(kind).items():
            if how.matches(name):
                yield Reference(kind, name, ref.commit_id)
