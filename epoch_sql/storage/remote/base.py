"""What is asked of the place where a remote is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from epoch_sql.model.remote import damaged
from epoch_sql.model.remote_url import RemoteURL

MAX_DOCUMENT = 32 << 20
"""How many bytes of a document are read: what is larger is none."""

Token = int | str
"""What a reference's value is told by: the number of its file in a folder, the ETag in an object store."""


@dataclass(frozen=True)
class Stored:
    """A reference's value, and the token that replacing it needs."""

    data: bytes
    token: Token


class RemoteStore(ABC):
    """Immutable files, put once and whole, and references, changed by compare-and-swap. Paths have slashes.

    Any method raises EpochRemoteError where the place does not answer, or refuses, and EpochStorageError for what is
    there, and is no document or file of a store. Methods may be called from many threads.
    """

    def __init__(self, url: RemoteURL) -> None:
        self.url = url

    @property
    def where(self) -> str:
        """The address, for messages."""
        return str(self.url)

    @abstractmethod
    def prepare(self) -> None:
        """Make ready for writing: a folder is made, where its parent exists."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether nothing is there, or only what a push left that died."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is none."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """How many bytes a file has; None if there is none."""

    @abstractmethod
    def paths(self, prefix: str) -> list[str]:
        """The files below a folder, which may not exist."""

    @abstractmethod
    def put_new(self, path: str, data: bytes) -> bool:
        """Write a file, whole and for good, unless there is one: then False."""

    @abstractmethod
    def upload(self, path: str, source: Path) -> None:
        """Write a file of the same bytes as a local one, whole and for good, instead of what may be there."""

    @abstractmethod
    def download(self, path: str, target: Path, size: int) -> bool:
        """Write a file's bytes, which have to be so many, to a local one; False if there is none."""

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
        """The value of a reference; None if there is none."""

    @abstractmethod
    def swap(self, path: str, token: Token | None, data: bytes) -> bool:
        """Give a reference a value if it still is as the token says (None: there is none); else False."""
