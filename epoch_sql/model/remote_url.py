"""Where a remote is: a folder, or an object store of S3, Google Cloud or Azure; and how names become file names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from epoch_sql.errors import EpochRemoteError

BUCKET_SCHEMES = ("s3", "gs", "az")
_LONGEST_NAME = 180
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_KINDS = "a remote is a folder, or s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"


@dataclass(frozen=True)
class RemoteURL:
    """A remote's address: ``scheme`` is ``file``, ``s3``, ``gs`` or ``az``; ``bucket`` is empty for a folder."""

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}://{self.bucket}{'/' if self.path else ''}{self.path}"

    @property
    def last_name(self) -> str:
        """The last part of the address: what a clone of it is called."""
        return (self.path or self.bucket).rstrip("/").rpartition("/")[2]


def parse_url(text: str, start: Path) -> RemoteURL:
    """The address that a text is; a relative folder counts from ``start``.

    Raises EpochRemoteError for other schemes, and for addresses with credentials in them: they are never stored.
    """
    scheme, separator, _ = text.partition("://")
    if not text.strip() or "\0" in text:
        raise EpochRemoteError("the URL of a remote is empty", _KINDS)
    if not separator:
        return _folder(start / Path(text).expanduser())
    parts = _split(text)
    _refuse_credentials(parts, scheme)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise EpochRemoteError(f"file://{parts.netloc}/… names another machine", "file:///PATH, or just the path")
        return _folder(Path(unquote(parts.path)))
    if parts.scheme not in BUCKET_SCHEMES:
        raise EpochRemoteError(f"a remote cannot be at {parts.scheme}://…", _KINDS)
    if not parts.netloc:
        raise EpochRemoteError(f"{parts.scheme}://… names no bucket", _KINDS)
    return RemoteURL(parts.scheme, parts.netloc, parts.path.strip("/"))


def encoded(name: str) -> str:
    """A reference's name as a file name that no file system takes for another one, whatever it does with case.

    Small letters, digits, ``.``, ``_`` and ``-`` stand for themselves, any other byte of UTF-8 is ``%`` and two digits;
    a name that becomes too long ends in its hash. The name itself stands in the file.
    """
    safe = "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in name)
    if len(safe) <= _LONGEST_NAME:
        return safe
    return f"{safe[:100]}~{hashlib.sha256(name.encode()).hexdigest()}"


def _folder(path: Path) -> RemoteURL:
    return RemoteURL("file", "", str(path.resolve()))


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise EpochRemoteError("the URL of the remote cannot be read", _KINDS) from error


def _refuse_credentials(parts: SplitResult, scheme: str) -> None:
    """Said without the address, which would put the secret on the screen and into logs."""
    if "@" in parts.netloc or parts.query or parts.fragment:
        what = "a user name or password" if "@" in parts.netloc else "parameters"
        raise EpochRemoteError(
            f"the {scheme}:// URL has {what} in it, which would be stored",
            "give credentials in the environment (AWS_ACCESS_KEY_ID, …), and the URL without them",
        )
