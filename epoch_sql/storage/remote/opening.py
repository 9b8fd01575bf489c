"""From an address to the place that it names."""

from __future__ import annotations

from epoch_sql.model.remote_url import RemoteURL
from epoch_sql.storage.remote.base import RemoteStore
from epoch_sql.storage.remote.folder import FolderStore


def open_store(url: RemoteURL) -> RemoteStore:
    """The store at an address; obstore is imported only for one that is no folder. Nothing is asked of it yet."""
    if url.scheme == "file":
        return FolderStore(url)
    from epoch_sql.storage.remote.bucket import BucketStore

    return BucketStore(url)
