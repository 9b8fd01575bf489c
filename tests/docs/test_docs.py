"""The documentation is true: its examples run and print what it shows, and every function and command is in it."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest

import epoch_sql
from docs import generate
from epoch_sql.cli.main import run
from epoch_sql.config import find_database
from epoch_sql.errors import EpochError, EpochRepositoryError
from epoch_sql.extension.surface import VERBS
from epoch_sql.verb import Verb
from tests.support.commands import every_command

ROOT = Path(generate.__file__).parents[1]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "reference")
SHOWN_FOLDER = "/home/ada/shop"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?"), "<time>"),
    (re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{7})\b"), "<id>"),
    (re.compile(r"\b[1-9][\d,]* bytes written"), "<some> bytes written"),
    (re.compile(r"\(\d+ kB\)"), "(<some> kB)"),
    (re.compile(r"─+"), "─"),
    (re.compile(r" +"), " "),
]
_NOT_RUN = {"mermaid", "toml", "yaml", "text"}
_SHELL = re.compile(r"[|&;<>$`]")


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    output: str | None


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a page, each with the text block right after it, which is what it prints."""
    text = page.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    for place, block in enumerate(found):
        following = found[place + 1] if place + 1 < len(found) else None
        shown = following and following[1] == "text" and not text[block.end() : following.start()].strip()
        yield Block(block[1], block[2], following[2] if shown and following else None)


def normal(text: str) -> str:
    """What is printed, without what differs from one time to the next."""
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@dataclass
class Reader:
    """Someone who types what a page shows, block after block, in a folder of their own."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        if block.language in _NOT_RUN:
            return
        printed = getattr(self, f"type_{block.language}")(block.text)
        if block.output is not None:
            self.same(printed, block.output)

    def type_console(self, text: str) -> None:
        for command, shown in commands(text):
            code, printed = self.command(command)
            refused = bool(re.search(r"^error: |^  \"kind\": ", shown, re.MULTILINE))
            assert (code != 0) == refused, f"$ {command}\nexit code {code}\n{printed}"
            self.same(printed, shown, f"$ {command}")

    def type_bash(self, text: str) -> str:
        code, printed = self.shell(text)
        assert code == 0, f"{text}\n{printed}"
        return printed

    def type_sql(self, text: str) -> str:
        with epoch_sql.connect(self.database) as connection:
            *before, last = connection.extract_statements(text)
            for statement in before:
                connection.execute(statement)
            result = connection.sql(last.query)
            return "" if result is None else str(result)

    def type_python(self, text: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, "the page", "exec"), self.names)
        for name, value in list(self.names.items()):
            if isinstance(value, duckdb.DuckDBPyConnection):
                value.close()
                del self.names[name]
        return printed.getvalue()

    def type_pycon(self, text: str) -> None:
        test = doctest.DocTestParser().get_doctest(text, self.names, "the page", None, 0)
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test, out=self.printed.append, clear_globs=False)
        self.names.update(test.globs)
        assert not runner.failures, "".join(self.printed)

    @property
    def database(self) -> Path:
        try:
            return find_database(self.folder)
        except EpochRepositoryError:
            return self.folder / "shop.duckdb"

    def command(self, command: str) -> tuple[int, str]:
        """One command: of epoch in this process, which is faster, any other in a shell."""
        first, _, then = command.partition(" && ")
        if then and not _SHELL.search(first):
            code, printed = self.command(first)
            after, more = (0, "") if code else self.command(then)
            return code or after, printed + more
        words = shlex.split(command)
        if words[0] != "epoch" or any(_SHELL.search(word) for word in words if " " not in word):
            return self.shell(command)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = run(words[1:])
        return code, printed.getvalue()

    def shell(self, script: str) -> tuple[int, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return ran.returncode, ran.stdout

    def same(self, printed: str, shown: str, command: str = "") -> None:
        assert normal(printed.replace(str(self.folder), SHOWN_FOLDER)) == normal(shown), command


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command after a ``$``, which goes on while a quote is open, and what follows it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        for count in range(1, len(lines) + 1):
            command = "\n".join(lines[:count])
            with contextlib.suppress(ValueError):
                shlex.split(command)
                yield command, "\n".join(lines[count:])
                break


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path.parent / "home-config"))
    monkeypatch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
    monkeypatch.delenv("EPOCH_DB", raising=False)
    return Reader(tmp_path)


QUICK = ("README.md", "compare.md")
READ = [
    pytest.param(page, id=str(page.relative_to(ROOT)), marks=() if page.name in QUICK else pytest.mark.slow)
    for page in (ROOT / "README.md", *PAGES)
    if page.name != "spark.md"  # needs an engine: tests/spark/test_pages.py
]
"""The pages, of which those that a newcomer reads first are quick."""


@pytest.mark.parametrize("page", READ)
def test_examples_print_what_the_page_shows(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.slow
def test_every_verb_of_the_library_has_an_example_that_runs(reader: Reader) -> None:
    """The examples of the page are one session, from its first line to its last."""
    page = generate.FOLDER / "python.md"
    for section in page.read_text(encoding="utf-8").split("\n### ")[1:]:
        assert "```pycon\n>>> " in section, section.partition("\n")[0]
    (reader.folder / "copy").mkdir()
    for block in blocks(page):
        if block.language == "pycon":
            reader.type_pycon(block.text)


@pytest.mark.parametrize("page", generate.written(), ids=lambda page: page.name)
def test_the_reference_is_what_the_source_says(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == generate.written()[page], "it has changed: run `make docs`"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_is_described(verb: Verb[..., Any]) -> None:
    assert f"### {verb.name}\n" in (generate.FOLDER / "sql.md").read_text(encoding="utf-8")
    assert f"### {verb.name.removeprefix('epoch_')}\n" in (generate.FOLDER / "python.md").read_text(encoding="utf-8")
    assert re.fullmatch(r"[A-Z`].*\.", verb.description), f"{verb.name} needs a sentence that says what it gives"
    for parameter in verb.parameters:
        assert parameter.description, f"{parameter.name} of {verb.name} needs a description"


@pytest.mark.parametrize(("path", "command"), list(every_command()), ids=str)
def test_every_command_is_described(path: tuple[str, ...], command: click.Command) -> None:
    assert f"# epoch {' '.join(path)}\n" in (generate.FOLDER / "cli.md").read_text(encoding="utf-8")
    assert command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, f"{option.name} of {path} needs a description"


@pytest.mark.parametrize("page", [*PAGES, *generate.pages()], ids=lambda page: page.name)
def test_every_page_is_in_the_navigation(page: Path) -> None:
    assert f": {page.relative_to(ROOT / 'docs')}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def every_error(kind: type[EpochError] = EpochError) -> Iterator[type[EpochError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from every_error(narrower)


def test_every_error_is_described() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = {name: int(code) for name, code in re.findall(r"^\| (Epoch\w+) \|.*\| (\d) \|$", page, re.MULTILINE)}
    # Of a checkout, the folder of the command line stands beside the package.
    for package in (epoch_sql, epoch_sql.cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(
                ("epoch_sql.dbt", "epoch_sql.harlequin", "epoch_sql.spark")
            ):  # which others import
                importlib.import_module(module.name)
    assert listed == {kind.__name__: kind.exit_code for kind in every_error() if kind.__name__.startswith("Epoch")}


def test_each_promise_of_security_names_a_test_that_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    promised, _ = page.split("## What Epoch does not promise")
    rows = [row for row in promised.splitlines() if row.startswith("| ") and "`tests/" in row]
    assert len(rows) > 15
    for row in rows:
        for name in re.findall(r"`(tests/[^`]+)`", row):
            assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), name
