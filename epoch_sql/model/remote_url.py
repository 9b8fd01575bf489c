"""Locations of remotes: folders, and object stores of S3, Google Cloud and Azure. Also turns names into file names."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from epoch_sql.errors import EpochRemoteError

BUCKET_SCHEMES = ("s3", "gs", "az")
_LONGEST_NAME = 180
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,15}")
_NO_NAME = re.compile(r"[%;\\]")
_LOGIN = re.compile(r":[^/]*@|:[^@]*@[^/]*:|^[^/:]*@[^/]*:")
_KINDS = "a remote is a folder, or s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"


@dataclass(frozen=True)
class RemoteURL:
    """The location of a remote. ``scheme`` is ``file``, ``s3``, ``gs`` or ``az``. ``bucket`` is empty for a folder."""

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}://{self.bucket}{'/' if self.path else ''}{self.path}"

    @property
    def last_name(self) -> str:
        """The last part of the location, which is the default name of a clone."""
        return (self.path or self.bucket).rstrip("/").rpartition("/")[2]


def parse_url(text: str, start: Path) -> RemoteURL:
    """The location in a text. A relative folder starts at ``start``.

    Raises EpochRemoteError for other schemes, and for credentials in the URL, because they are never stored.
    """
    if not text.strip():
        raise EpochRemoteError("the URL of a remote is empty", _KINDS)
    if not text.isprintable():
        raise EpochRemoteError("the URL of the remote has a control character in it", _KINDS)
    scheme = _scheme(text)
    if scheme is None:
        _refuse_login(text)
        return _folder(start / _expanded(text))
    parts = _split(text)
    _refuse_credentials(parts, scheme)
    if scheme == "file":
        return _file(parts)
    if not text[len(scheme) :].startswith("://") or not parts.netloc:
        raise EpochRemoteError(f"the {scheme}: URL names no bucket", f"{scheme}://BUCKET/PATH")
    if not _BUCKET.fullmatch(parts.netloc):
        raise EpochRemoteError(f"what the {scheme}:// URL names is not a bucket", f"{scheme}://BUCKET/PATH")
    path = parts.path[1:].removesuffix("/")
    if path and any(name in ("", ".", "..") or _NO_NAME.search(name) for name in path.split("/")):
        raise EpochRemoteError(
            f"the path of the {scheme}:// URL has . or .., //, % or ; in it, which are not names in a bucket",
            f"{scheme}://BUCKET/PATH, with names of letters, digits, -, _ and .",
        )
    return RemoteURL(scheme, parts.netloc, path)


def encoded(name: str) -> str:
    """The file name of a reference. Different names have different file names, also on file systems that ignore case.

    Lowercase letters, digits, ``.``, ``_`` and ``-`` stay, and any other byte of UTF-8 becomes ``%`` and two hex
    digits. A name that becomes too long ends in its hash. The file holds the whole name.
    """
    safe = "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in name)
    if len(safe) <= _LONGEST_NAME:
        return safe
    return f"{safe[:100]}~{hashlib.sha256(name.encode()).hexdigest()}"


def _scheme(text: str) -> str | None:
    """The scheme of a URL, even with too few slashes, or None for a path. Raises EpochRemoteError for an unknown
    scheme."""
    head, separator, rest = text.partition(":")
    scheme = head.lower()
    if not separator:
        return None
    if scheme in (*BUCKET_SCHEMES, "file"):
        return scheme
    if rest.startswith("//") or (rest.startswith("/") and _SCHEME.fullmatch(scheme)):
        # The text before :// may be anything, even a secret.
        known = f"{scheme}://…" if _SCHEME.fullmatch(scheme) else "such a URL"
        raise EpochRemoteError(f"a remote cannot be at {known}", _KINDS)
    return None


def _file(parts: SplitResult) -> RemoteURL:
    if parts.netloc not in ("", "localhost"):
        raise EpochRemoteError("the file:// URL names another machine", "file:///PATH, or just the path")
    path = _unquoted(parts.path)
    if not path.startswith("/") or not path.isprintable() or _LOGIN.search(unquote(path)):
        raise EpochRemoteError("the file:// URL names no folder", "file:///PATH, or just the path")
    return _folder(Path(path))


def _refuse_login(text: str) -> None:
    """Refuse ``USER:PASSWORD@HOST:PATH``, the form of scp. As the name of a folder, its secret would be stored."""
    if not text.startswith(("/", "./", "../", "~")) and _LOGIN.search(unquote(unquote(text))):
        raise EpochRemoteError(
            "the URL has a user name or password in it, which would be stored", f"{_KINDS}; ./PATH for any folder"
        )


def _unquoted(path: str) -> str:
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return ""


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise EpochRemoteError("the path of the remote begins with ~ and a user that is unknown", _KINDS) from error


def _folder(path: Path) -> RemoteURL:
    try:
        return RemoteURL("file", "", str(path.resolve()))
    except (OSError, ValueError, RuntimeError) as error:
        raise EpochRemoteError("the path of the remote cannot be followed", _KINDS) from error


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise EpochRemoteError("the URL of the remote cannot be read", _KINDS) from error


def _refuse_credentials(parts: SplitResult, scheme: str) -> None:
    """Refuse credentials. The message leaves out the URL, which would bring the secret to the screen and into logs."""
    whole = unquote(unquote(f"{parts.netloc}{parts.path}"))
    login = "@" in whole or ":" in unquote(unquote(parts.netloc))
    if scheme == "file":
        login = parts.netloc not in ("", "localhost") and ("@" in parts.netloc or ":" in parts.netloc)
    if login or parts.query or parts.fragment or (scheme != "file" and ("?" in whole or "#" in whole)):
        what = "a user name or password" if login else "parameters"
        raise EpochRemoteError(
            f"the {scheme}:// URL has {what} in it, which would be stored",
            "give credentials in the environment (AWS_ACCESS_KEY_ID, …), and the URL without them",
        )
