"""The paths of the layout of a remote (docs/remote-layout.md)."""

from __future__ import annotations

import re

from epoch_sql.model.remote_url import encoded

HEADS = "refs/heads"
TAGS = "refs/tags"
COMMITS = "commits"
REVIEWS = "reviews"

_ID = re.compile(r"[0-9a-f]{64}")


def file_path(file_id: str) -> str:
    """A Parquet file, by the SHA-256 of its bytes."""
    return f"objects/{file_id[:2]}/{file_id}.parquet"


def schema_path(schema_id: str) -> str:
    """The definition of a table, by the SHA-256 of its bytes."""
    return f"schemas/{schema_id}.json"


def subtree_path(subtree_id: str) -> str:
    """A subtree, by the SHA-256 of its bytes."""
    return f"trees/{subtree_id}.json"


def manifest_path(content_id: str) -> str:
    """How a version is stored, by its content."""
    return f"versions/{content_id}.json"


def commit_path(commit_id: str) -> str:
    """A commit."""
    return f"{COMMITS}/{commit_id}.json"


def head_path(branch: str) -> str:
    """The reference of a branch."""
    return f"{HEADS}/{encoded(branch)}"


def tag_path(tag: str) -> str:
    """The reference of a tag."""
    return f"{TAGS}/{encoded(tag)}"


def protection_path(branch: str) -> str:
    """The protection of a branch, which changes as references do."""
    return f"protections/{encoded(branch)}"


def review_path(target: str, source_commit: str, review_id: str) -> str:
    """A review of merging a commit into a branch."""
    return f"{REVIEWS}/{encoded(target)}/{source_commit}/{review_id}.json"


def is_id(text: object) -> bool:
    """Whether a text from a remote is an id. Only ids may become part of a local path."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None
