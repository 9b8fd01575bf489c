"""A remote in an object store, through obstore. Conditional puts change references."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from epoch_sql.errors import EpochRemoteError
from epoch_sql.model.remote import RemoteURL
from epoch_sql.storage.remote.base import RemoteStore, Stored, Token

if TYPE_CHECKING:
    from obstore.store import ObjectStore


_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def s3_settings() -> dict[str, Any]:
    """The settings of S3Store besides the environment, which it reads itself.

    In the order of the AWS command line: keys in the environment, roles of the environment, the profile of
    ``~/.aws/credentials`` and ``~/.aws/config``, then what boto3 finds if it is installed (single sign-on, assumed
    roles), then the role of the machine.
    """
    profile = _profile()
    settings: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")) and profile.get("region"):
        settings["region"] = profile["region"]
    if os.environ.get("AWS_ACCESS_KEY_ID") or any(os.environ.get(name) for name in _ROLES):
        return settings
    if profile.get(_KEYS[0]) and profile.get(_KEYS[1]):
        return {**settings, **{name: profile[name] for name in _KEYS if profile.get(name)}}
    provider = _from_boto3()
    return {**settings, "credential_provider": provider} if provider else settings


def _profile() -> Mapping[str, str]:
    """The settings of the profile that AWS_PROFILE names, from both files. The credentials file comes first."""
    name = os.environ.get("AWS_PROFILE") or "default"
    home = Path("~/.aws").expanduser()
    files = (
        (os.environ.get("AWS_CONFIG_FILE") or home / "config", name if name == "default" else f"profile {name}"),
        (os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials", name),
    )
    found: dict[str, str] = {}
    for file, section in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(file).expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            # The text of the error could quote a line with a secret key.
            raise EpochRemoteError(
                f"{file} cannot be read: {type(error).__name__}", "correct it, or set AWS_ACCESS_KEY_ID"
            ) from None
        if parser.has_section(section):
            found.update(parser.items(section))
    return found


def _from_boto3() -> Any:
    """A provider over boto3's own chain, or None if boto3 is not installed or finds nothing."""
    if not importlib.util.find_spec("boto3"):
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    session: Any = importlib.import_module("boto3").Session()
    return Boto3CredentialProvider(session) if session.get_credentials() else None


CONNECT_SECONDS = 5
SILENCE_SECONDS = 20
BULK_SILENCE_SECONDS = 300
PARTS_AT_ONCE = 2
RETRIES = 2
RETRY_SECONDS = 20

_WHO = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, of someone who may use the bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the key file of someone who may use the bucket",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY of someone who may use the container",
}
_CREDENTIALS = (
    "169.254.169.254",
    "metadata.google",
    "credential",
    "401 unauthorized",
    "403 forbidden",
    "invalidaccesskeyid",
    "signaturedoesnotmatch",
    "account must be specified",
)


class BucketStore(RemoteStore):
    """A remote in S3 (or a store with its protocol), Google Cloud Storage or Azure Blob Storage."""

    def __init__(self, url: RemoteURL) -> None:
        super().__init__(url)
        with self._telling():
            self._store = _opened(url, SILENCE_SECONDS)
            # While a file is sent the server is silent, for a long time on a slow line.
            self._bulk = _opened(url, BULK_SILENCE_SECONDS)

    def prepare(self) -> None:
        """Does nothing: a bucket has no folders, and Epoch does not create buckets."""

    def is_empty(self) -> bool:
        """Whether there is no object below the path."""
        with self._telling():
            return not any(page for page in self._store.list(chunk_size=1))

    def read(self, path: str) -> bytes | None:
        """The bytes of an object, or None if it does not exist."""
        stored = self.read_reference(path)
        return stored.data if stored else None

    def size(self, path: str) -> int | None:
        """The size of an object in bytes, or None if it does not exist."""
        with self._telling():
            try:
                return int(self._store.head(path)["size"])
            except FileNotFoundError:
                return None

    def paths(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        with self._telling():
            return sorted(str(found["path"]) for page in self._store.list(prefix) for found in page)

    def sizes(self, prefix: str) -> dict[str, int]:
        """The sizes of the objects below a prefix."""
        with self._telling():
            return {str(one["path"]): int(one["size"]) for page in self._store.list(f"{prefix}/") for one in page}

    def remove(self, path: str) -> None:
        """Delete an object."""
        with self._telling(), suppress(FileNotFoundError):
            self._store.delete(path)

    def put_new(self, path: str, data: bytes) -> bool:
        """Put an object on condition that it does not exist."""
        return self._put(path, data, "create")

    def read_current(self, path: str) -> Stored | None:
        """The object and its ETag."""
        return self.read_reference(path)

    def swap_current(self, path: str, token: Token, data: bytes) -> bool:
        """Put on condition that the object has the ETag."""
        return self.swap(path, token, data)

    def replace(self, path: str, data: bytes) -> None:
        """Put an object, whatever is there."""
        self._put(path, data, "overwrite")

    def upload(self, path: str, source: Path) -> None:
        """Put an object. A large one is sent in parts, and appears after the last one."""
        with self._telling():
            self._bulk.put(path, source, max_concurrency=PARTS_AT_ONCE)

    def download(self, path: str, target: Path, size: int) -> bool:
        """Get an object. False if it does not exist."""
        with self._telling():
            try:
                found = self._bulk.get(path)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return False
            self._require_size(path, int(found.meta["size"]), size)
            with target.open("wb") as stream:
                for chunk in found:
                    stream.write(chunk)
            return True

    def references(self, folder: str) -> list[str]:
        """The paths of the references in a folder."""
        return self.paths(folder)

    def read_reference(self, path: str) -> Stored | None:
        """The object and its ETag."""
        with self._telling():
            try:
                found = self._store.get(path)
                self._require_document(path, int(found.meta["size"]))
                return Stored(bytes(found.bytes()), str(found.meta["e_tag"]))
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def swap(self, path: str, token: Token | None, data: bytes) -> bool:
        """Put on condition that the object has the ETag, or that it does not exist.

        A put that is repeated because its answer was lost finds its own object, which does not count as a refusal.
        """
        return self._put(path, data, "create" if token is None else {"e_tag": token}) or self.read(path) == data

    def _put(self, path: str, data: bytes, mode: Any) -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._telling():
            try:
                self._store.put(path, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            except FileNotFoundError as error:
                self._require_bucket(error)
                return False
            return True

    def _require_bucket(self, error: Exception) -> None:
        text = str(error)
        if "NoSuchBucket" in text or "ContainerNotFound" in text or "bucket does not exist" in text:
            raise EpochRemoteError(
                f"there is no bucket {self.url.bucket} at {self.url.scheme}://", "make it, or correct the URL"
            ) from error

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turns errors of obstore, which quote whole requests and answers, into one line."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> EpochRemoteError:
        text = str(error).partition("\n\nDebug source")[0].lower()
        if any(sign in text for sign in _CREDENTIALS):
            return EpochRemoteError(
                f"{self.where} cannot be used: the credentials are missing or refused", _WHO[self.url.scheme]
            )
        if isinstance(error, OSError) and error.strerror:
            return EpochRemoteError(f"{self.where} cannot be used: {error.strerror}", "free space, then retry")
        reason = "its bucket or host is unknown" if "dns" in text else "it does not answer, or not as a store does"
        return EpochRemoteError(
            f"{self.where} cannot be used: {reason}", "check the URL, the endpoint (AWS_ENDPOINT_URL) and the network"
        )


def _opened(url: RemoteURL, silence: int) -> ObjectStore:
    """The client. It gives up on a server that does not answer within a bounded time."""
    from obstore.store import AzureStore, GCSStore, S3Store

    endpoints = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
    plain = any(os.environ.get(name, "").startswith("http://") for name in endpoints)
    options: Any = {
        "client_options": {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=silence),
            # The limit of a whole request. A large file takes long, and the other limits end silence.
            "timeout": timedelta(hours=12),
            **({"allow_http": True} if plain else {}),
        },
        "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        "prefix": url.path or None,
    }
    if url.scheme == "s3":
        return S3Store(url.bucket, **options, **s3_settings())
    if url.scheme == "gs":
        return GCSStore(url.bucket, **options)
    return AzureStore(url.bucket, **options)
