"""Options say what the verbs declare: the same text, default and choices.

Commands do not read this from the declarations, because their modules import DuckDB (docs/architecture.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Parameter, Verb
from tests.support.commands import every_command

VERB = {verb.name.removeprefix("epoch_"): verb for verb in VERBS}
VERBS_OF = {
    "branch create": "branch",
    "branch delete": "branch_delete",
    "branch protect": "protect",
    "check add": "check_add",
    "conflicts resolve": "resolve",
    "conflicts show": "conflicts",
    "import": "import_files",
    "remote add": "remote_add",
    "review approve": "review",
    "review reject": "review",
    "export files": "export",
    "export iceberg": "export_iceberg",
    "review request": "review",
    "stash push": "stash",
    "table derived": "derived",
    "table ignore": "ignore",
    "tag create": "tag",
    "worktree add": "worktree_add",
    "worktree remove": "worktree_remove",
}
"""The verbs of the commands that are not called like theirs."""
PARAMETERS = {
    "branch create --from": "start",
    "checkout -b": "new_branch",
    "conflicts resolve --field": "column",
    "conflicts resolve --record": "key",
    "export files --format": "form",
    "log --all": "all_refs",
    "log --max-count": "max_count",
    "publish --to": "path",
    "worktree add -b": "new_branch",
}
"""The parameters of the options that are not called like theirs."""
OF_THEIR_OWN = {
    "commit --author",  # names `epoch config`
    "conflicts resolve --value",  # goes with other options
    "import --append",  # these are one value of a parameter each
    "import --replace",
    "import --upsert",
    "log --max-count",  # has -N
    "push --delete",  # takes the name
    "query --ref",  # needs no reference
}
"""The options with a text of their own."""


def declared() -> Iterator[tuple[str, click.Option, Verb[..., Any], Parameter]]:
    """The options that are parameters of the verb of their command."""
    for path, command in ((" ".join(words), command) for words, command in every_command()):
        verb = VERB.get(VERBS_OF.get(path, path.replace("-", "_")))
        parameters = {parameter.python: parameter for parameter in verb.parameters} if verb else {}
        for option in command.params:
            if isinstance(option, click.Option) and verb:
                name = f"{path} {max(option.opts, key=len)}"
                spelled = PARAMETERS.get(name, option.opts[-1].lstrip("-").replace("-", "_"))
                values = {"append": "mode", "replace": "mode", "upsert": "mode"} if path == "import" else {}
                if parameter := parameters.get(values.get(spelled, spelled)):
                    yield name, option, verb, parameter


def as_help(parameter: Parameter, option: click.Option) -> str:
    """The text of a parameter as the help of an option."""
    text, _, default = parameter.description.replace("`", "").partition("; default: ")
    unsaid = option.show_default or option.is_flag or parameter.default in (None, "NULL")
    default = default or ("" if unsaid else str(parameter.default).strip("'"))
    return f"{text[0].upper()}{text[1:]}{f' (default: {default})' if default else ''}."


def choices_of(verb: Verb[..., Any], parameter: Parameter) -> set[str]:
    hint = get_type_hints(verb.function)[parameter.python]
    literal = next((one for one in (hint, *get_args(hint)) if get_origin(one) is Literal), None)
    return set(get_args(literal))


def test_options_say_what_their_verbs_declare() -> None:
    told = {name: (option.help, as_help(parameter, option)) for name, option, _, parameter in declared()}
    assert {name for name, (said, meant) in told.items() if said != meant} == OF_THEIR_OWN, [
        pair for name, pair in told.items() if pair[0] != pair[1] and name not in OF_THEIR_OWN
    ]
    assert {*PARAMETERS, *OF_THEIR_OWN} <= told.keys()
    assert VERBS_OF.keys() <= {re.sub(" -.*", "", name) for name in told}


def test_options_have_the_defaults_of_their_verbs() -> None:
    """An option that is not given leaves the default to the verb, or has the same."""
    for name, option, _, parameter in declared():
        given = option.to_info_dict()["default"]
        if option.is_flag and not isinstance(option.flag_value, str):
            assert (parameter.default, bool(given)) == ("false", False), name
        else:
            assert given is None or f"'{given}'" == parameter.default, name


def test_options_have_the_choices_of_their_verbs() -> None:
    flags: dict[str, set[str]] = {}
    for name, option, verb, parameter in declared():
        choices = choices_of(verb, parameter)
        if isinstance(option.type, click.Choice):
            assert set(option.type.choices) == choices, name
        elif choices and isinstance(option.flag_value, str):
            flags.setdefault(verb.name, {str(parameter.default).strip("'")}).add(option.flag_value)
            assert flags[verb.name] <= choices
        else:
            assert not choices, f"{name} takes any text"
    assert flags == {"epoch_import_files": choices_of(VERB["import_files"], VERB["import_files"].parameters[3])}
