"""``epoch worktree``: other databases to work in, which share objects and history."""

from __future__ import annotations

import click

from epoch_sql.characters import visible

from . import diagnostics, output
from .grammar import DefaultGroup, json_option
from .remotes import trust_option
from .session import Session, call, pass_session, pass_to_read
from .wording import short


@click.group(cls=DefaultGroup, bare="list")
def worktree() -> None:
    """Manage the worktrees of a repository.

    A worktree is another database with tables of its own, which shares objects and history with this one. Each branch
    belongs to one worktree: only there does it move. Without a command: list.
    """


@worktree.command(name="add")
@click.argument("path")
@click.argument("branch", required=False)
@click.option("-b", "new_branch", metavar="NEW", help="Make this branch where branch is, and check it out instead.")
@trust_option
@json_option
@pass_session
def worktree_add(
    session: Session, path: str, branch: str | None, new_branch: str | None, trust: bool, form: str
) -> None:
    """Make a database in the new folder PATH, with BRANCH checked out.

    BRANCH is by default the one with the name of the folder, which is made at HEAD if it is missing.
    """
    asked = call("epoch_worktree_add", path, branch=branch, new_branch=new_branch, trust=trust)
    made = session.do(asked, "making the worktree")
    diagnostics.message(f"Made {made['path']} (branch {made['branch']}, commit {short(made['commit_id'])})")
    if form == "json":
        output.document([made])


@worktree.command(name="list")
@json_option
@pass_to_read
def worktree_list(session: Session, form: str) -> None:
    """List the worktrees: their databases, and what is checked out in each."""
    found = session.read(call("epoch_worktrees"))
    if form == "json":
        output.document(found)
        return
    output.lines(
        output.aligned(
            [
                [(visible(row["path"]), "bold")],
                short(row["commit_id"]) if row["commit_id"] else "",
                visible(f"[{row['branch']}]") if row["branch"] else "(detached)",
                "" if row["status"] == "there" else row["status"],
            ]
            for row in found
        )
    )


@worktree.command(name="remove")
@click.argument("path")
@click.option("-f", "--force", is_flag=True, help="Remove it even if uncommitted changes or stashes are lost.")
@json_option
@pass_session
def worktree_remove(session: Session, path: str, force: bool, form: str) -> None:
    """Remove the worktree in PATH, or forget it if it is gone. Its branches stay, and belong to this database."""
    gone = session.do(call("epoch_worktree_remove", path, force=force), "removing the worktree")
    diagnostics.message(f"Removed {gone['path']}" + (f" (branch {gone['branch']} stays)" if gone["branch"] else ""))
    if form == "json":
        output.document([gone])


COMMANDS = (worktree,)
