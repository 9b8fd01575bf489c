"""What an error suggests: each surface spells it in its own words, and it is a call that there is."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator

import click
import duckdb
import pytest

import epoch_sql
from epoch_sql import Repository
from epoch_sql.advice import Suggestion, Value
from epoch_sql.cli.main import program
from epoch_sql.cli.suggested import command
from epoch_sql.extension.failing import in_sql
from epoch_sql.extension.index import ACTING
from epoch_sql.extension.surface import VERBS
from epoch_sql.model.protection import REQUEST
from tests.errors.sources import SOURCES, called, calls

SPELLINGS = [
    (Suggestion("status"), "FROM epoch_status()", "epoch status", "repo.status()"),
    (Suggestion("checkout", "x"), "CALL epoch_checkout('x')", "epoch checkout x", 'repo.checkout("x")'),
    (
        Suggestion("checkout", "NAME", new_branch=True),
        "CALL epoch_checkout('NAME', new_branch := true)",
        "epoch checkout -b NAME",
        'repo.checkout("NAME", new_branch=True)',
    ),
    (
        Suggestion("merge", "staging", into="production"),
        "CALL epoch_merge('staging', target := 'production')",
        "epoch merge staging --into production",
        'repo.merge("staging", into="production")',
    ),
    (
        Suggestion("resolve", side="theirs", into=None),
        "CALL epoch_resolve(side := 'theirs')",
        "epoch conflicts resolve --theirs",
        'repo.resolve(side="theirs")',
    ),
    (
        Suggestion("commit", 'it\'s "done" $HOME `x`'),
        "CALL epoch_commit('it''s \"done\" $HOME `x`')",
        "epoch commit -m 'it'\"'\"'s \"done\" $HOME `x`'",
        """repo.commit('it\\'s "done" $HOME `x`')""",
    ),
    (
        Suggestion("key", "my table", ("a", "b c")),
        "CALL epoch_key('my table', ['a', 'b c'])",
        "epoch table key 'my table' a 'b c'",
        'repo.key("my table", ["a", "b c"])',
    ),
    (
        Suggestion("ignore", "-x;rm -rf *", remove=True),
        "CALL epoch_ignore('-x;rm -rf *', remove := true)",
        "epoch table ignore --remove -- '-x;rm -rf *'",
        'repo.ignore("-x;rm -rf *", remove=True)',
    ),
    (
        Suggestion("review", "NAME", "main", verdict="request"),
        "CALL epoch_review('NAME', 'main', verdict := 'request')",
        "epoch review request NAME --into main",
        'repo.review("NAME", "main", verdict="request")',
    ),
    (
        Suggestion("push", "origin", "v1", delete=True),
        "CALL epoch_push('origin', 'v1', delete := true)",
        "epoch push origin --delete v1",
        'repo.push("origin", "v1", delete=True)',
    ),
    (
        Suggestion("init"),
        "CALL epoch_init()",
        "epoch init",
        'epoch_sql.init("DATABASE")',
    ),
    (
        Suggestion("clone", "URL"),
        "CALL epoch_clone('URL')",
        "epoch clone URL",
        'epoch_sql.clone("URL", "DATABASE")',
    ),
    (
        Suggestion("log", "abc", max_count=1),
        "FROM epoch_log('abc', max_count := 1)",
        "epoch log abc --max-count 1",
        'repo.log("abc", max_count=1)',
    ),
]


@pytest.mark.parametrize(("suggestion", "sql", "words", "python"), SPELLINGS, ids=[row[2] for row in SPELLINGS])
def test_each_surface_spells_a_suggestion_in_its_own_words(
    suggestion: Suggestion, sql: str, words: str, python: str
) -> None:
    assert (in_sql(suggestion, ACTING), command(suggestion), str(suggestion)) == (sql, words, python)


def test_values_come_back_from_each_language_as_they_were() -> None:
    hostile = "a'b\"c\\d $(x) `y` ; -- \U0001f389 {z}"
    told = Suggestion("commit", hostile)
    call = ast.parse(str(told), mode="eval").body
    assert isinstance(call, ast.Call) and ast.literal_eval(call.args[0]) == hostile
    assert shlex.split(command(told)) == ["epoch", "commit", "-m", hostile]
    literal = in_sql(told, ACTING).removeprefix("CALL epoch_commit(").removesuffix(")")
    assert duckdb.sql(f"SELECT {literal}").fetchall() == [(hostile,)]


def suggested() -> list[tuple[str, ast.Call]]:
    """The calls that make a suggestion, and where they are."""
    return [
        (f"{source.parent.name}/{source.name}:{call.lineno}", call)
        for source in SOURCES
        for call in calls(source)
        if called(call) == "Suggestion"
    ]


def examples(call: ast.Call) -> Iterator[Suggestion]:
    """The suggestions that a call may make, with ``x`` for what is not constant."""

    def value(node: ast.expr) -> Value:
        try:
            found: Value = ast.literal_eval(node)
        except ValueError:
            known = {"REQUEST": REQUEST}
            return ("x",) if isinstance(node, ast.Tuple) else known.get(ast.unparse(node), "x")
        return found

    verb, *arguments = call.args
    options = {str(keyword.arg): value(keyword.value) for keyword in call.keywords}
    for name in (verb.body, verb.orelse) if isinstance(verb, ast.IfExp) else (verb,):
        assert isinstance(name, ast.Constant), ast.unparse(call)
        yield Suggestion(name.value, *map(value, arguments), **options)


def test_every_suggestion_is_a_call_that_there_is() -> None:
    verbs = {verb.name: verb for verb in VERBS}
    found_calls = suggested()
    assert len(found_calls) > 80
    for where, call in found_calls:
        for found in examples(call):
            told = f"{where}: {in_sql(found, ACTING)} | {command(found)} | {found}"
            parameters = verbs[f"epoch_{found.verb}"].parameters
            given = [p.name for p in parameters[: len(found.arguments)]]
            named = re.findall(r"(\w+) := ", in_sql(found, ACTING))
            assert len(found.arguments) <= len(parameters), told
            assert {*named} <= {p.name for p in parameters} - {*given}, told
            assert {p.name for p in parameters if p.default is None} <= {*given, *named}, told
            in_python = ast.parse(str(found), mode="eval").body
            assert isinstance(in_python, ast.Call) and isinstance(in_python.func, ast.Attribute), told
            of_module = ast.unparse(in_python.func.value) == "epoch_sql"
            function = getattr(epoch_sql if of_module else Repository, in_python.func.attr)
            arguments = [ast.literal_eval(argument) for argument in in_python.args]
            options = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in in_python.keywords}
            signature = inspect.signature(function) if of_module else function.signature
            signature.bind(*arguments, **options)
            try:
                parse(shlex.split(command(found))[1:])
            except click.UsageError as error:
                pytest.fail(f"{told}: {error.format_message()}")


def parse(words: list[str]) -> None:
    """Fails for what is no command line; nothing is run."""
    found: click.Command = program
    context = program.make_context("epoch", words)
    while isinstance(found, click.Group):
        name, inner, words = found.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        found, context = inner, inner.make_context(name, words, parent=context)
