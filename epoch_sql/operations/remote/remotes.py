"""``remote``: which remotes there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epoch_sql import render
from epoch_sql.catalog.remotes import Remotes
from epoch_sql.errors import EpochReferenceError, EpochRemoteError
from epoch_sql.model.commit import TrackingRoute
from epoch_sql.model.refnames import check_ref_name
from epoch_sql.model.remote import Remote
from epoch_sql.model.remote_url import parse_url
from epoch_sql.operations.remote.connecting import remote_named
from epoch_sql.operations.repository import Repository, now
from epoch_sql.render import Sql


@dataclass(frozen=True)
class Named:
    """A remote and its URL."""

    name: str
    url: str


def add(repository: Repository, name: str, url: str) -> Named:
    """Add a remote; nothing is asked of it yet.

    Raises EpochReferenceError for a name that is none, EpochRemoteError for one that is taken, and for a URL that is
    none, or that has credentials in it.
    """
    check_ref_name(name)
    if "/" in name:
        raise EpochReferenceError(f"the name of a remote has no /, as {name} has", f"try '{name.replace('/', '-')}'")
    parsed = str(parse_url(url, Path.cwd()))
    with repository.moving():
        remotes = Remotes(repository.cursor)
        known = remotes.load().get(name)
        if known:
            raise EpochRemoteError(
                f"there is a remote {name} already, at {known.url}", f"epoch remote remove {name}, or another name"
            )
        remotes.put(Remote(name, parsed))
    return Named(name, parsed)


def remove(repository: Repository, name: str) -> Named:
    """Forget a remote, and what was fetched from it as remote branches; the store itself stays as it is."""
    with repository.moving():
        remote = remote_named(repository, name)
        Remotes(repository.cursor).remove(name)
        for tracking, ref in repository.refs.all("remote").items():
            if tracking.startswith(f"{name}/"):
                repository.refs.remove(ref, TrackingRoute.DELETE, "remote: removed", repository.author(), now())
    return Named(name, remote.url)


def listing(repository: Repository) -> Sql:
    """The remotes."""
    return render.render("remotes")
