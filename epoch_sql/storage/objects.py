"""Content-addressed files under ``.epoch/objects``. Each is written aside, synced, and named by the SHA-256 of its
bytes."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epoch_sql.errors import EpochStorageError
from epoch_sql.model.version import DataFile

_VERIFIED: dict[tuple[str, int, int], bool] = {}
VERIFY_BYTES = 32 << 20
_INCOMING = "incoming"
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{64}")


class ObjectStore:
    """The files of one repository; ``folder`` is its ``objects`` folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, file_id: str) -> Path:
        """The path of the file with that id."""
        return self.folder / file_id[:2] / f"{file_id}.parquet"

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A temporary path to write a file to. Removes the file afterwards if it is still there."""
        aside = self.folder / _INCOMING
        path = aside / f"{uuid.uuid4().hex}.parquet"
        try:
            aside.mkdir(parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise EpochStorageError(
                f"cannot write to {self.folder}: {error.strerror or error}",
                "free space or make the folder writable",
                path=str(self.folder),
            ) from error
        finally:
            if path.exists():
                path.unlink()

    def keep(self, path: Path, expected: str | None = None) -> str:
        """Sync a written file, move it to its path, and return its id.

        Replaces an existing file, which repairs a damaged one and makes it young for gc. A file that is not
        ``expected`` stays where it is.
        """
        file_id = sync_and_hash(path)
        if expected not in (None, file_id):
            return file_id
        target = self.path(file_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)
        sync_folder(self.folder)
        return file_id

    def check(self, file: DataFile, whole: bool = False) -> str | None:
        """The problem of a stored file, or None: it is missing, or has another size or content.

        Reads the content once in a process, and of files over 32 MiB only if the ``whole`` file is used.
        """
        path = self.path(file.file_id)
        try:
            stat = path.stat()
        except FileNotFoundError:
            return "is missing"
        if stat.st_size != file.bytes:
            return f"is corrupted: it has {stat.st_size} bytes instead of {file.bytes}"
        if file.bytes > VERIFY_BYTES and not whole:
            return None
        mark = (str(path), stat.st_mtime_ns, stat.st_size)
        if mark not in _VERIFIED:
            _VERIFIED[mark] = content_hash(path) == file.file_id
        return None if _VERIFIED[mark] else "is corrupted: its content does not match its name"

    def verify(self, file: DataFile) -> str | None:
        """Like ``check``, but always reads the whole file."""
        path = self.path(file.file_id)
        if not path.exists():
            return "is missing"
        if path.stat().st_size != file.bytes:
            return f"is corrupted: it has {path.stat().st_size} bytes instead of {file.bytes}"
        return None if content_hash(path) == file.file_id else "is corrupted: its content does not match its name"

    def all_files(self) -> Iterator[Path]:
        """Every file of the store, with those that are being written. Ignores other files, and follows no links."""
        for folder in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
            aside = folder.name == _INCOMING
            if folder.is_symlink() or not folder.is_dir() or not (aside or _FOLDER.fullmatch(folder.name)):
                continue
            for path in sorted(folder.glob("*.parquet")):
                own = aside or (_FILE.fullmatch(path.stem) and path.stem.startswith(folder.name))
                if own and not path.is_symlink() and path.is_file():
                    yield path


def content_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_and_hash(path: Path) -> str:
    """Sync a file to disk, and return the SHA-256 of its bytes."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
