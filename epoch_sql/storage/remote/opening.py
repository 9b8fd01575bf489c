"""Opens the store at a location."""

from __future__ import annotations

from epoch_sql.model.remote_url import RemoteURL
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import FolderStore


def open_store(url: RemoteURL) -> RemoteStore:
    """The store at a location. Imports obstore only for object stores. Does not contact the store yet."""
    if url.scheme == "file":
        return FolderStore(url)
    from epoch_sql.storage.remote.bucket import BucketStore

    return BucketStore(url)
