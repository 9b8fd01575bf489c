"""Suggestions of Epoch's errors as commands to type."""

from __future__ import annotations

import shlex

from epoch_sql.advice import Suggestion, Value

_COMMANDS = {
    "branches": "branch list",
    "branch": "branch create",
    "branch_delete": "branch delete",
    "branch_rename": "branch rename",
    "check_add": "check add",
    "check_remove": "check remove",
    "check_run": "check run",
    "checks": "check list",
    "cherry_pick": "cherry-pick",
    "commit": "commit -m {}",
    "conflicts": "conflicts show",
    "derived": "table derived",
    "derived_patterns": "table derived",
    "diff": "diff {}..{}",
    "export_iceberg": "export iceberg",
    "ignore": "table ignore",
    "ignored": "query 'FROM epoch_ignored()'",
    "key": "table key",
    "merge_abort": "merge --abort",
    "merge_continue": "merge --continue",
    "preview_merge": "merge --dry-run",
    "protect": "branch protect",
    "protections": "branch list",
    "rebuilt": "table rebuilt",
    "remote_add": "remote add",
    "remote_remove": "remote remove",
    "remote_gc": "remote gc",
    "remote_trust": "remote trust",
    "remotes": "remote list",
    "resolve": "conflicts resolve",
    "review": "review approve {} --into {}",
    "reviews": "review list",
    "stash_drop": "stash drop",
    "stash_pop": "stash pop",
    "stashes": "stash list",
    "tables": "table list",
    "tag_delete": "tag delete",
    "tags": "tag list",
    "unprotect": "branch unprotect",
    "violations": "conflicts show",
    "worktree_add": "worktree add",
    "worktree_remove": "worktree remove",
    "worktrees": "worktree list",
}
"""The commands that are not called like their function. ``{}`` takes an argument in its order; others come last."""
_FORMS = {
    ("checkout", "new_branch"): "checkout -b {}",
    ("import_files", "table"): "import --table {table} --{mode}",
    ("import_files", "mode"): "import --{mode}",
    ("push", "delete"): "push {} --delete {}",
    ("reset", "hard"): "reset --hard {}",
    ("resolve", "side"): "conflicts resolve --{side}",
    ("review", "verdict"): "review {verdict} {} --into {}",
    ("worktree_add", "new_branch"): "worktree add -b {new_branch}",
}
"""The commands that are called otherwise with an option."""
_OPTIONS = {"column": "--field", "key": "--record", "start": "--from"}
_REMARKS = {"resolve": " (or --ours, --interactive)"}
"""What people on the command line have besides."""
_IN_PLACE = ("branch", "ref", "remote", "table")
"""Options of functions that are arguments of their command."""


def as_command(suggestion: Suggestion) -> str:
    """A suggestion as a command line, and what else there is."""
    return command(suggestion) + _REMARKS.get(suggestion.verb, "")


def command(suggestion: Suggestion) -> str:
    """A suggestion as a command line."""
    verb, options = suggestion.verb, dict(suggestion.options)
    form = next((_FORMS[verb, name] for name in options if (verb, name) in _FORMS), _COMMANDS.get(verb, verb))
    arguments = [_word(one) for argument in suggestion.arguments for one in _each(argument)]
    arguments += [_word(options.pop(name)) for name in _IN_PLACE if name in options and (verb, name) not in _FORMS]
    taken = form.count("{}")
    words = form.format(*arguments[:taken], **{name: _word(value) for name, value in options.items()})
    given = [_option(name, value) for name, value in options.items() if (verb, name) not in _FORMS]
    left = arguments[taken:]
    if any(argument.lstrip("'").startswith("-") for argument in left):
        return " ".join(["epoch", words, *given, "--", *left])
    return " ".join(["epoch", words, *left, *given])


def _option(name: str, value: Value) -> str:
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return option if value is True else f"{option} {_word(value)}"


def _each(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)


def _word(value: Value) -> str:
    return shlex.quote(str(value))
