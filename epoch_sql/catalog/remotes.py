"""The catalog tables of remotes: their locations, and the branches that follow them."""

from __future__ import annotations

from epoch_sql.catalog.relation import Relation
from epoch_sql.model.remote import Remote, Upstream


class Remotes(Relation):
    """``epoch.remotes``: the remotes by name. A URL has no credentials in it."""

    name = "remotes"
    columns = {"name": "VARCHAR", "url": "VARCHAR", "store_id": "VARCHAR", "trusted": "BOOLEAN"}

    def load(self) -> dict[str, Remote]:
        """The remotes by name."""
        return {row[0]: Remote(*row) for row in self.select("ORDER BY name")}

    def put(self, remote: Remote) -> None:
        """Add or change a remote."""
        self.run("DELETE FROM {{epoch}}.remotes WHERE name = ?", [remote.name])
        self.insert([tuple(vars(remote).values())])

    def remove(self, name: str) -> None:
        """Delete a remote, and the upstreams at it."""
        self.run("DELETE FROM {{epoch}}.remotes WHERE name = ?", [name])
        self.run("DELETE FROM {{epoch}}.upstreams WHERE remote = ?", [name])


class Upstreams(Relation):
    """``epoch.upstreams``: the remote branch that a branch follows."""

    name = "upstreams"
    columns = {"branch": "VARCHAR", "remote": "VARCHAR", "remote_branch": "VARCHAR"}

    def load(self) -> dict[str, Upstream]:
        """The upstreams by branch."""
        return {row[0]: Upstream(*row) for row in self.select()}

    def put(self, upstream: Upstream) -> None:
        """Set the upstream of a branch, and replace an earlier one."""
        self.remove(upstream.branch)
        self.insert([tuple(vars(upstream).values())])

    def remove(self, branch: str) -> None:
        """Remove the upstream of a branch."""
        self.run("DELETE FROM {{epoch}}.upstreams WHERE branch = ?", [branch])

    def rename(self, old: str, new: str) -> None:
        """Move the upstream of a branch to its new name."""
        self.run("UPDATE {{epoch}}.upstreams SET branch = ? WHERE branch = ?", [new, old])
