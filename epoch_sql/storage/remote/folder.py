"""A remote in a folder. Hard links make files appear whole, and references are numbered files.

A store is somebody else's folder. A link in it could lead a push to other files. So links are refused, and everything
else that is not a regular file.

A reference is a folder of files ``1``, ``2``, …, and the highest number counts. Its next value is linked as the next
number. The file system does that for one process only, so it is a compare-and-swap, and no crash can leave a lock
behind.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, TypeVar

from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.names import shown
from epoch_sql.model.remote import RemoteURL, damaged
from epoch_sql.storage.remote.base import MAX_DOCUMENT, RemoteStore, Stored, Token
from epoch_sql.storage.remote.parallel import FILES_AT_ONCE, in_parallel
from epoch_sql.storage.writing import sync_folder

Moved = TypeVar("Moved")
_ASIDE = "incoming"
_BEING_WRITTEN = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ABANDONED_SECONDS = 86_400
_MANY = 100
"""For so many files, one sync of the whole file system is faster than one for each of them, and for its name."""
_WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FolderStore(RemoteStore):
    """A remote in a folder, on this machine or on a network share."""

    def __init__(self, url: RemoteURL) -> None:
        super().__init__(url)
        self.folder = Path(url.path)

    def prepare(self) -> None:
        """Create the folder. Removes temporary files of pushes that died more than a day ago."""
        with self._telling():
            if not self.folder.parent.is_dir():
                raise EpochRemoteError(
                    f"there is no folder {self.folder.parent} to make the remote {self.folder.name} in",
                    "make it, or mount it",
                )
            self.folder.mkdir(exist_ok=True)
            aside = self._path(_ASIDE)
            aside.mkdir(exist_ok=True)
            for path in aside.iterdir():
                # Another push may have just finished with it.
                with suppress(FileNotFoundError):
                    if _BEING_WRITTEN.fullmatch(path.name) and _abandoned(path.lstat()):
                        path.unlink()

    def is_empty(self) -> bool:
        """Whether the folder is empty or missing."""
        with self._telling():
            try:
                return all(path.name == _ASIDE for path in self.folder.iterdir())
            except FileNotFoundError:
                return True

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, or None if it does not exist."""
        with self._telling():
            try:
                with self._opened(path) as stream:
                    self._require_document(path, os.fstat(stream.fileno()).st_size)
                    return stream.read(MAX_DOCUMENT)
            except FileNotFoundError:
                return None

    def size(self, path: str) -> int | None:
        """The size of a file in bytes, or None if it does not exist."""
        with self._telling():
            try:
                return self._path(path).stat().st_size
            except FileNotFoundError:
                return None

    def paths(self, prefix: str) -> list[str]:
        """The files below a folder."""
        with self._telling():
            found = []
            for folder, folders, files in os.walk(self._path(prefix)):
                for name in (*folders, *files):
                    path = Path(folder, name)
                    if path.is_symlink():
                        raise self._is_link(path)
                found += [Path(folder, name).relative_to(self.folder).as_posix() for name in files]
            return sorted(found)

    def sizes(self, prefix: str) -> dict[str, int]:
        """The sizes of the files below a folder. One that is gone meanwhile is left out."""
        return {path: size for path in self.paths(prefix) if (size := self.size(path)) is not None}

    def remove(self, path: str) -> None:
        """Remove a file. Its folder stays, because a push may be about to write there."""
        with self._telling():
            self._path(path).unlink(missing_ok=True)

    def put_new(self, path: str, data: bytes) -> bool:
        """Write a file aside and link it to its path, which fails if the path exists."""
        with self._telling(), self._aside() as aside:
            target = self._path(path)
            self._prepare(aside, data, target)
            if not self._linked(aside, target):
                return False
            sync_folder(target.parent)
            return True

    def put_every_new(self, documents: Mapping[str, bytes]) -> list[str]:
        """Write many files aside, sync them at once, and then link them."""
        if not _worth_one_sync(documents):
            return super().put_every_new(documents)
        with self._telling(), self._asides(documents) as asides:
            for path, aside in asides.items():
                aside.write_bytes(documents[path])
            appeared = self._appear(asides, self._linked)
        return [path for path, is_new in appeared.items() if not is_new]

    def read_current(self, path: str) -> Stored | None:
        """The file, or that of the highest number behind its name: the numbers follow each other."""
        found, number = None, 1
        while data := self.read(_numbered(path, number)):
            found, number = Stored(data, number), number + 1
        return found

    def swap_current(self, path: str, token: Token, data: bytes) -> bool:
        """Write the next number, unless another writer has."""
        next_one = _numbered(path, int(token) + 1)
        return self.put_new(next_one, data) or self.read(next_one) == data

    def replace(self, path: str, data: bytes) -> None:
        """Write a file aside and move it to its path."""
        with self._telling(), self._aside() as aside:
            target = self._path(path)
            self._prepare(aside, data, target)
            aside.replace(target)
            sync_folder(target.parent)

    def upload(self, path: str, source: Path) -> None:
        """Copy a file aside and move it to its path."""
        with self._telling(), self._aside() as aside:
            target = self._path(path)
            shutil.copyfile(source, aside)
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            self._make_folder(target.parent)
            aside.replace(target)
            sync_folder(target.parent)

    def upload_every(self, sources: Mapping[str, Callable[[], Path]], sent: Callable[[str], None]) -> None:
        """Copy many files aside, sync them at once, and then move them."""
        if not _worth_one_sync(sources):
            super().upload_every(sources, sent)
            return
        with self._telling(), self._asides(sources) as asides:

            def copy(path: str) -> None:
                shutil.copyfile(sources[path](), asides[path])
                sent(path)

            in_parallel(copy, sources, FILES_AT_ONCE)
            self._appear(asides, Path.replace)

    def download(self, path: str, target: Path, size: int) -> bool:
        """Copy a file. False if it does not exist."""
        with self._telling():
            try:
                with self._opened(path) as stream, target.open("wb") as copy:
                    self._require_size(path, os.fstat(stream.fileno()).st_size, size)
                    shutil.copyfileobj(stream, copy, 1 << 20)
            except FileNotFoundError:
                return False
            return True

    def in_place(self, path: str) -> Path | None:
        """The local path of a file. Raises EpochStorageError for anything else there, because it could block."""
        with self._telling():
            found = self._path(path)
            if found.exists() and not found.is_file():
                raise damaged(f"{self.where}/{path}", "is not a file")
            if not found.exists() and not self.folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return found

    def references(self, folder: str) -> list[str]:
        """The paths of the references in a folder."""
        with self._telling():
            try:
                names = sorted(path.name for path in self._path(folder).iterdir())
            except FileNotFoundError:
                return []
            return [f"{folder}/{name}" for name in names if self._numbers(f"{folder}/{name}")]

    def read_reference(self, path: str) -> Stored | None:
        """The value of the highest number."""
        with self._telling():
            number = max(self._numbers(path), default=0)
            data = self.read(f"{path}/{number}") if number else None
            return None if data is None else Stored(data, number)

    def swap(self, path: str, token: Token | None, data: bytes) -> bool:
        """Write the next number, unless another writer has. A network share may repeat a request, so its own file
        does not count."""
        next_one = f"{path}/{int(token or 0) + 1}"
        return self.put_new(next_one, data) or self.read(next_one) == data

    def _numbers(self, folder: str) -> list[int]:
        try:
            return [int(path.name) for path in self._path(folder).iterdir() if _NUMBER.fullmatch(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        path = self._path(f"{_ASIDE}/{uuid.uuid4().hex}")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _asides(self, paths: Iterable[str]) -> Iterator[dict[str, Path]]:
        with ExitStack() as stack:
            yield {path: stack.enter_context(self._aside()) for path in paths}

    def _appear(self, asides: Mapping[str, Path], move: Callable[[Path, Path], Moved]) -> dict[str, Moved]:
        """Sync files, give each its path, and sync the names. Nothing has its path before it is on disk."""
        sync_file_system(self.folder)
        moved = {}
        for path, aside in asides.items():
            target = self._path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            moved[path] = move(aside, target)
        sync_file_system(self.folder)
        return moved

    def _linked(self, aside: Path, target: Path) -> bool:
        """Whether a file got its path, which it does not if the path exists."""
        try:
            os.link(aside, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _WITHOUT_LINKS:
                raise EpochRemoteError(
                    f"the file system of {self.folder} has no hard links, which references need",
                    "put the remote on another file system or in an object store",
                ) from error
            raise
        return True

    def _prepare(self, aside: Path, data: bytes, target: Path) -> None:
        """Write a file aside, as far as the disk, and make the folder that it will be in."""
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        self._make_folder(target.parent)

    def _path(self, path: str) -> Path:
        """The local path of a file. None of its folders is a link."""
        found = self._root(path)
        for part in path.split("/"):
            found /= part
            if found.is_symlink():
                raise self._is_link(found)
        return found

    def _root(self, path: str) -> Path:
        """The folder that a path starts from."""
        return self.folder

    def _is_link(self, path: Path) -> EpochRemoteError:
        return EpochRemoteError(
            f"{shown(str(path), 400)} in the remote is a link, and could lead out of it; nothing was changed",
            "remove it, or copy what it leads to in its place",
        )

    @contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO]:
        """Opens a regular file to read. Others could be endless, or block."""
        descriptor = os.open(self._path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                raise damaged(f"{self.where}/{path}", "is not a file")
            yield stream

    def _make_folder(self, folder: Path) -> None:
        """Create a folder durably, so that a crash does not lose it with its files."""
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise EpochRemoteError(
                f"the remote {self.folder} cannot be used: {reason}", "check that it is mounted, writable, and not full"
            ) from error


def _numbered(path: str, number: int) -> str:
    return path if number == 1 else f"{path}.{number}"


def _abandoned(stat: os.stat_result) -> bool:
    """Whether it is the temporary file of a push that must have died."""
    return S_ISREG(stat.st_mode) and stat.st_mtime < time.time() - _ABANDONED_SECONDS


def open_store(url: RemoteURL) -> RemoteStore:
    """The store at a location. Imports obstore only for object stores. Does not contact the store yet."""
    if url.scheme == "file":
        return FolderStore(url)
    from epoch_sql.storage.remote.bucket import BucketStore

    return BucketStore(url)


def sync_file_system(folder: Path) -> None:
    """Sync all that was written to the file system of a folder to disk, on Linux."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)


def _worth_one_sync(files: Collection[str]) -> bool:
    return len(files) >= _MANY and sys.platform == "linux"
