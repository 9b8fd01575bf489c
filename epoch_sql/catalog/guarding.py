"""The catalog tables that guard branches: protections, reviews and checks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from epoch_sql.catalog.relation import Relation
from epoch_sql.model.protection import Check, Protection, Review


class Protections(Relation):
    """``epoch.protections``: the protected branches, and what each refuses."""

    name = "protections"
    columns = {
        "branch": "VARCHAR",
        "require_review": "BOOLEAN",
        "no_force_push": "BOOLEAN",
        "allow_self_review": "BOOLEAN",
    }

    def load(self) -> dict[str, Protection]:
        """The protections by branch."""
        return {row[0]: Protection(*row) for row in self.select("ORDER BY branch")}

    def get(self, branch: str) -> Protection:
        """The protection of a branch. Without one, a protection that refuses nothing."""
        rows = self.select("WHERE branch = ?", [branch])
        return Protection(*rows[0]) if rows else Protection(branch)

    def put(self, protection: Protection) -> None:
        """Set the protection of a branch, and replace an earlier one."""
        self.run("DELETE FROM {{epoch}}.protections WHERE branch = ?", [protection.branch])
        if protection.protects:
            self.insert([tuple(vars(protection).values())])


class Reviews(Relation):
    """``epoch.reviews``: verdicts on merging commits into branches. No review is ever changed or removed."""

    name = "reviews"
    columns = {
        "review_id": "VARCHAR",
        "source": "VARCHAR",
        "source_commit": "VARCHAR",
        "target": "VARCHAR",
        "verdict": "VARCHAR",
        "reviewer": "VARCHAR",
        "message": "VARCHAR",
        "reviewed_at": "TIMESTAMP",
    }

    def load(self) -> list[Review]:
        """Every review, oldest first."""
        return [Review(*row) for row in self.select("ORDER BY reviewed_at, review_id")]

    def into(self, target: str) -> list[Review]:
        """The reviews for merges into a branch, oldest first."""
        return [Review(*row) for row in self.select("WHERE target = ? ORDER BY reviewed_at, review_id", [target])]

    def latest(self) -> datetime | None:
        """The time of the latest review."""
        row = self.run("SELECT max(reviewed_at) FROM {{epoch}}.reviews").fetchone()
        return row[0] if row else None

    def add(self, reviews: Iterable[Review]) -> None:
        """Store reviews, local ones and those of a remote. Does not change stored reviews."""
        self.insert_missing(tuple(vars(review).values()) for review in reviews)


class Checks(Relation):
    """``epoch.checks``: queries that must return no row on the result of a merge."""

    name = "checks"
    columns = {"name": "VARCHAR", "query": "VARCHAR", "branch": "VARCHAR"}

    def load(self) -> list[Check]:
        """The checks by name."""
        return [Check(*row) for row in self.select("ORDER BY name")]

    def remove(self, name: str) -> None:
        """Forget a check."""
        self.run("DELETE FROM {{epoch}}.checks WHERE name = ?", [name])
