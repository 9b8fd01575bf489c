"""``push``, ``fetch``, ``pull`` and ``clone``. The code that talks to a remote is imported when it is used."""

from __future__ import annotations

from epoch_sql.call import Call
from epoch_sql.remote.connecting import FetchResult, PushResult
from epoch_sql.remote.garbage import StoreRemoved
from epoch_sql.verb import procedure


@procedure("epoch_push", queues=False)
def push(
    call: Call,
    remote: str = "origin",
    branch: str | None = None,
    *,
    force: bool = False,
    tags: bool = False,
    protection: bool = False,
    layout: bool = False,
    delete: bool = False,
) -> PushResult:
    """Sends a branch to a remote: first what the remote lacks, and the reference last. Status: `pushed`, `new`,
    `forced`, `up-to-date` or `deleted`.

    Raises EpochRemoteError when the remote has commits that are not here, unless ``force``, and EpochRemoteRefused when
    the branch is protected there.

    Args:
        remote: the remote
        branch: the branch; default: the current one
        force: push even if the remote's branch loses commits, unless the remote protects it
        tags: push every tag too
        protection: set the remote's protection of the branch to the local one
        layout: store the branch's tables there as they are stored here, such as by compact, unless in more levels
        delete: delete the branch or tag of that name at the remote instead
    """
    from epoch_sql.remote.pushing import delete as delete_there
    from epoch_sql.remote.pushing import push as push_there

    if delete:
        return delete_there(call, remote, branch)
    return push_there(call, remote, branch, force, tags, protection, layout)


@procedure("epoch_fetch", queues=False)
def fetch(call: Call, remote: str = "origin") -> FetchResult:
    """Brings the branches of a remote as `REMOTE/BRANCH`, with its tags and reviews. Status: `fetched` or `up-to-date`.
    The commits are those of the current branch's upstream.

    Raises EpochRemoteError if the remote cannot be used, and EpochStorageError for damaged files there.

    Args:
        remote: the remote
    """
    from epoch_sql.remote.fetching import fetch as fetch_here

    return fetch_here(call, remote)


@procedure("epoch_pull", looks="rows")
def pull(call: Call, remote: str = "origin") -> FetchResult:
    """Fetches, and merges the upstream into the current branch. Status: `fast-forward`, `merged` or `up-to-date`.
    Conflicts are an error, as in a merge.

    Raises what ``fetch`` and ``merge`` raise.

    Args:
        remote: the remote
    """
    from epoch_sql.remote.fetching import pull as pull_here

    return pull_here(call, remote)


@procedure("epoch_clone", needs="database", queues=False)
def clone(call: Call, url: str, remote: str = "origin", *, trust: bool = False, bare: bool = False) -> FetchResult:
    """Creates a repository in an empty database from a remote, and checks out its default branch.

    Each branch of the remote becomes a branch here that follows it, protected as it is there. Raises
    EpochRepositoryError when the database is not empty.

    Args:
        url: a folder, or `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`; no credentials
        remote: the remote
        trust: trust its definitions, even those that read files or reach outside the database
        bare: make no working tables, fetch no files, and read rows where they lie, at the remote
    """
    from epoch_sql.remote.fetching import clone as clone_here

    return clone_here(call, url, remote, trust, bare)


@procedure("epoch_remote_gc", queues=False)
def collect(
    call: Call, remote: str = "origin", *, dry_run: bool = False, grace: str | None = None
) -> list[StoreRemoved]:
    """Removes from a remote what none of its branches, tags and reviews reaches, in two steps: the first call notes it,
    and one after the grace period removes it if it is still unreachable. Status: `noted` or `removed`.

    Raises EpochRemoteError for a grace that is shorter than an hour, and while another gc is removing something there;
    EpochStorageError for a damaged document that is reachable.

    Args:
        remote: the remote
        dry_run: only list what would be noted and removed
        grace: an INTERVAL: keep what was noted since; default: 14 days
    """
    from epoch_sql.remote.collecting import collect as collect_there

    return collect_there(call, remote, dry_run, grace)
