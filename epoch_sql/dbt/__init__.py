"""A plugin for dbt-duckdb: dbt builds on a branch, and what passed its tests is committed and published.

A profile names it (``plugins: [{module: epoch_sql.dbt, config: {branch: …, publish: …}}]``). The macros in ``PACKAGE``
do what follows the build, because only they see its results.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.flags import get_flags
from dbt_common.invocation import get_invocation_id

from epoch_sql import render
from epoch_sql.errors import EpochDirtyError
from epoch_sql.extension.install import install, raising

PACKAGE = Path(__file__).parent / "package"
"""The dbt package with the macros, for ``local`` in packages.yml."""

BUILDS = ("build", "run", "seed", "snapshot")
"""The commands of dbt that make tables."""

MOST_RUNS = 5
"""How often a build begins again. A branch that moves more often than it can be built needs somebody to look."""


class Plugin(BasePlugin):  # type: ignore[misc] # dbt has no types
    """Installs Epoch on each connection of dbt, and checks out the branch that dbt works on.

    ``branch`` is that branch (default: the one that is checked out). If it is missing, it is made from ``start``
    (default: what it is published to, or else HEAD). ``publish`` is the branch that a build that passed is merged into.
    """

    branch: str | None
    start: str | None
    publish: str | None
    begun: ClassVar[list[Plugin]] = []
    """The plugins that a run of dbt in this process began with: dbt makes them, and does not hand them out."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the settings of the profile."""
        self.branch, self.start, self.publish = (plugin_config.get(name) for name in ("branch", "start", "publish"))
        self.checked_out: str | None = None
        self.begun_at = self.project = ""
        self.invocation: str | None = None
        self.beginning = Lock()

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Install Epoch."""
        self.connection = install(conn)

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Begin the invocation with its first cursor, and give the macros the settings, in a variable.

        A process may run dbt several times on one connection.
        """
        with self.beginning:
            if self.invocation != get_invocation_id():
                self._begin()
                self.invocation = get_invocation_id()
        settings = [self.checked_out, self.publish, self.begun_at, self.project]
        cursor.execute("SET VARIABLE epoch_dbt = {'branch': ?, 'publish': ?, 'begun_at': ?, 'project': ?}", settings)

    def _begin(self) -> None:
        """Check out the branch. A build begins with what the branch that it is published to has.

        That has to be now: next, dbt remembers which tables there are.
        """
        self.begun.append(self)
        flags = get_flags()
        builds = flags.WHICH in BUILDS
        self.checked_out = self._checked_out()
        if builds and self.publish and self.publish != self.checked_out:
            self.begun_at = self._bring_in(self.publish)
        self.project = _revision(Path(flags.PROJECT_DIR)) if builds else ""

    def _checked_out(self) -> str | None:
        branches = {row["name"]: row["is_current"] for row in self._called("epoch_branches")}
        head = next((name for name, is_current in branches.items() if is_current), None)
        if self.branch is None or self.branch == head:
            return head
        if self.branch not in branches:
            self._called("epoch_branch", self.branch, start=self.start or self.publish or "HEAD")
        return str(self._called("epoch_checkout", self.branch)[0]["branch"])

    def _bring_in(self, publish: str) -> str:
        """Merge the branch that the build is published to, and give its commit. What an unfinished build left is
        committed first, if it blocks the merge."""
        try:
            self._called("epoch_merge", publish)
        except EpochDirtyError:
            self._called("epoch_commit", "What an unfinished build of dbt left")
            self._called("epoch_merge", publish)
        return self._tip(publish)

    def _tip(self, name: str) -> str:
        return next(str(row["commit_id"]) for row in self._called("epoch_branches") if row["name"] == name)

    def _called(self, verb: str, *arguments: str, **named: str) -> list[dict[str, Any]]:
        """The rows of a verb, called by SQL: that loads the verb alone, and the library loads all."""
        given = [render.literal(value) for value in arguments]
        for name, value in named.items():
            option = "{{name}} := {{value}}"
            given.append(render.fill(option, name=render.identifier(name), value=render.literal(value)))
        call = render.fill("CALL {{verb}}({{given}})", verb=render.identifier(verb), given=given)
        with raising(self.connection), self.connection.cursor() as cursor:
            found = cursor.execute(call)
            columns = [column[0] for column in found.description]
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def was_overtaken(self) -> bool:
        """Whether the branch to publish to is at another commit than the one that the build began with."""
        return bool(self.publish and self.begun_at and self._tip(self.publish) != self.begun_at)


def run(arguments: Sequence[str], runner: dbtRunner | None = None) -> dbtRunnerResult:
    """Run a command of dbt, and again while it fails and the branch to publish to has moved meanwhile."""
    runner = runner or dbtRunner()
    for _ in range(MOST_RUNS):
        Plugin.begun.clear()
        ran = runner.invoke([*arguments])
        if ran.success or not any(plugin.was_overtaken() for plugin in Plugin.begun):
            break
    return ran


def _revision(project: Path) -> str:
    """The commit of a project in git, with ``-dirty`` if it has changes. Empty if it is not in git."""
    command = ["git", "-C", str(project), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
