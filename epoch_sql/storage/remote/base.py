"""The interface of the store of a remote."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from epoch_sql.model.remote import RemoteURL, damaged
from epoch_sql.storage.remote.parallel import FILES_AT_ONCE, in_parallel

MAX_DOCUMENT = 32 << 20
"""The greatest size of a document, in bytes."""


def file_path(file_id: str) -> str:
    """A Parquet file, by the SHA-256 of its bytes."""
    return f"objects/{file_id[:2]}/{file_id}.parquet"


Token = int | str
"""Identifies the value of a reference: the number of its file in a folder, the ETag in an object store."""


@dataclass(frozen=True)
class Stored:
    """The value of a reference, and the token for replacing it."""

    data: bytes
    token: Token


class RemoteStore(ABC):
    """Immutable files, put once and as a whole, and references, changed by compare-and-swap. Paths have slashes.

    Every method raises EpochRemoteError if the store does not answer or refuses, and EpochStorageError for anything
    that is not a document or file of a store. Threads may share it.
    """

    def __init__(self, url: RemoteURL) -> None:
        self.url = url

    @property
    def where(self) -> str:
        """The location, for messages."""
        return str(self.url)

    @abstractmethod
    def prepare(self) -> None:
        """Prepare for writing. Creates a folder if its parent exists."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether the store is empty, apart from the remains of interrupted pushes."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The bytes of a file, or None if it does not exist."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """The size of a file in bytes, or None if it does not exist."""

    @abstractmethod
    def paths(self, prefix: str) -> list[str]:
        """The files below a folder, which may not exist."""

    @abstractmethod
    def sizes(self, prefix: str) -> dict[str, int]:
        """The sizes of the files below a folder, by their paths."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, which may be gone."""

    @abstractmethod
    def put_new(self, path: str, data: bytes) -> bool:
        """Write a whole file durably. False if it exists already."""

    def put_every_new(self, documents: Mapping[str, bytes]) -> list[str]:
        """Write whole files durably, each unless it exists already. Returns the paths that did."""
        put = in_parallel(lambda path: self.put_new(path, documents[path]), documents)
        return [path for path, is_new in zip(documents, put, strict=True) if not is_new]

    @abstractmethod
    def read_current(self, path: str) -> Stored | None:
        """A document that was put once, or its present value if it was swapped since. None if it does not exist."""

    @abstractmethod
    def swap_current(self, path: str, token: Token, data: bytes) -> bool:
        """Replace a document if it still has the token. Otherwise False."""

    @abstractmethod
    def replace(self, path: str, data: bytes) -> None:
        """Write a whole file durably, and replace an existing one."""

    @abstractmethod
    def upload(self, path: str, source: Path) -> None:
        """Copy a whole local file to the store durably, and replace an existing one."""

    def upload_every(self, sources: Mapping[str, Callable[[], Path]], sent: Callable[[str], None]) -> None:
        """Copy whole local files to the store durably, and replace existing ones. ``sources`` gives each where it is
        wanted; ``sent`` hears of each that is."""

        def upload(path: str) -> None:
            self.upload(path, sources[path]())
            sent(path)

        in_parallel(upload, sources, FILES_AT_ONCE)

    @abstractmethod
    def download(self, path: str, target: Path, size: int) -> bool:
        """Copy a file of exactly this size to a local one. False if it does not exist."""

    def in_place(self, path: str) -> Path | None:
        """The local path of a file that can be read where it lies, whether or not it exists. None for a bucket."""
        return None

    def _require_document(self, path: str, size: int) -> None:
        if size > MAX_DOCUMENT:
            raise damaged(f"{self.where}/{path}", f"is too large for a document: it has {size} bytes")

    def _require_size(self, path: str, size: int, expected: int) -> None:
        if size != expected:
            raise damaged(f"{self.where}/{path}", f"is corrupted: it has {size} bytes instead of {expected}")

    @abstractmethod
    def references(self, folder: str) -> list[str]:
        """The paths of the references in a folder."""

    @abstractmethod
    def read_reference(self, path: str) -> Stored | None:
        """The value of a reference, or None if it does not exist."""

    @abstractmethod
    def swap(self, path: str, token: Token | None, data: bytes) -> bool:
        """Set a reference if it still has the token (None: it does not exist). Otherwise False."""
