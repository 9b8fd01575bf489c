"""What an import reads: files by their suffix, the files of folders, and the tables that they are named for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Literal

from epoch_sql.errors import EpochFileError

Form = Literal["csv", "json", "parquet", "arrow", "duckdb"]

SUFFIXES: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".duckdb": "duckdb",
    ".db": "duckdb",
}
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class Source:
    """A file or a folder of files in one form, and the name of the table that it is for."""

    path: str
    form: Form
    name: str
    files: tuple[str, ...]


def sources_of(paths: Sequence[str]) -> list[Source]:
    """The sources that paths name. Patterns are expanded, unless there is such a file.

    Raises EpochFileError for a file that does not exist or whose suffix is unknown.
    """
    if not paths:
        raise EpochFileError("there is nothing to import", "name a file", file=None)
    return [_source(path) for given in paths for path in _expanded(given)]


def is_remote(path: str) -> bool:
    """Whether DuckDB reads it through an extension: ``s3://…``, ``https://…``."""
    return "://" in path


def size_of(file: str) -> int:
    """The bytes of a file; 0 for a remote one."""
    return 0 if is_remote(file) else Path(file).stat().st_size


def _expanded(path: str) -> list[str]:
    if is_remote(path) or os.path.lexists(path) or not has_magic(path):
        return [path]
    found = sorted(glob(path, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        raise EpochFileError(f"no file matches {path}", "correct the pattern", file=path)
    return found


def _source(path: str) -> Source:
    if is_remote(path):
        return Source(path, _form(path), _stem(path.rstrip("/")), (path,))
    if not Path(path).exists():
        raise EpochFileError(f"there is no file {path}", "correct the path", file=path)
    if not Path(path).is_dir():
        return Source(path, _form(path), _stem(path), (path,))
    files = [str(file) for file in _files_in(Path(path))]
    forms = {_form(file) for file in files}
    if len(forms) != 1 or "duckdb" in forms:
        raise EpochFileError(
            f"{path} has no data files" if not forms else f"{path} has files of several kinds",
            f"a folder holds the files of one table, each with the suffix {_listed(SUFFIXES)}",
            file=path,
        )
    return Source(path, forms.pop(), Path(path).resolve().name, tuple(files))


def _files_in(folder: Path) -> Iterator[Path]:
    """The files of a folder and its partitions, without those that programs hide: ``_SUCCESS``, ``.crc``."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _files_in(path)
        else:
            yield path


def _form(path: str) -> Form:
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    compressed = bool(suffixes) and suffixes[-1] in _COMPRESSED
    suffix = "".join(suffixes[-2:-1] if compressed else suffixes[-1:])
    form = SUFFIXES.get(suffix)
    if form is None or (compressed and form not in ("csv", "json")):
        raise EpochFileError(
            f"the suffix of {path} does not say what it is",
            f"rename it: {_listed(SUFFIXES)}; CSV and JSON also with {_listed(_COMPRESSED)}",
            file=path,
        )
    return form


def _stem(path: str) -> str:
    """The name of a file without its suffixes: ``orders`` of ``data/orders.csv.gz``."""
    name = PurePosixPath(path)
    if name.suffix.lower() in _COMPRESSED:
        name = name.with_suffix("")
    return name.stem


def _listed(suffixes: Iterable[str]) -> str:
    return ", ".join(suffixes)
