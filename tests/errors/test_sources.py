"""The texts of the sources: the library names verbs by suggestions, and nothing reads a message of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.errors.sources import LIBRARY, SOURCES, parsed, texts

COMMAND = re.compile(
    r"\bepoch (?:-|init|config|status|commit|stash|diff|log|show|reflog|branch|checkout|tag|reset|merge|revert|"
    r"cherry-pick|conflicts|review|check|changelog|remote|push|fetch|pull|clone|table|query|export|gc|compact|fsck|demo)"
    r"|\bepoch_\w+ ?\(|\brepo\.\w+\("
)


def test_the_library_names_verbs_only_by_suggestions() -> None:
    """No text that it raises, warns of or advises has a command of any surface in it."""
    for source in LIBRARY:
        tree = parsed(source)
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                where = f"{source.parent.name}/{source.name}:{node.lineno}: {node.value}"
                assert not COMMAND.search(node.value) or "{{" in node.value, where


SEARCHES = ("compile", "search", "match", "fullmatch", "sub", "findall", "finditer")
PARTS = ("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "find", "index")


def looked_for(source: Path) -> Iterator[str]:
    """The texts that a module looks for in others: by ``in``, the methods of str, or regular expressions."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            yield texts(node.left)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in PARTS:
                yield from (
                    n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                )
            elif node.func.attr in SEARCHES and ast.unparse(node.func.value) == "re":
                yield from re.findall(
                    r"[A-Za-z][A-Za-z ]{4,}", re.sub(r"\\.|\[[^]]*\]|\?P<\w+>", "|", texts(node.args[0]))
                )


def sentences(source: Path) -> Iterator[str]:
    """The texts of a module that people read: of several words, and no SQL."""
    tree = parsed(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in docs:
            text = texts(node)
            if len(re.findall(r"\b[a-z']+\b", text)) >= 2 and not re.search(r'SELECT|{{|\(\?P<|VARCHAR|\)"?\$', text):
                yield text


NAMES = {
    "Epoch",
    "epoch_",
    "duckdb",
    ".lock",
    "table",
    "trigger",
    "macros",
    "value",
    "element",
    "detail",
    "from_",
    "create",
    "table_name",
    "refs/",
    ".json",
    "Infinity",
    "latest",
    "copies",
    "schema",
}
"""What is looked for in names, kinds and keys, and stands in a sentence as well."""


def test_no_message_of_our_own_is_read_back() -> None:
    """What a module looks for in a text is no part of what Epoch says: facts travel as fields."""
    said = list(dict.fromkeys(text for source in SOURCES for text in sentences(source)))
    assert len(said) > 500
    assert any("nobody" in text for text in said)
    everything = "\n".join(said)
    for source in SOURCES:
        for text in looked_for(source):
            if re.search(r"[a-z]{4}", text) and text not in NAMES and text in everything:
                found = [sentence for sentence in said if text in sentence and text != sentence]
                assert not found, f"{source.parent.name}/{source.name} looks for {text!r}: {found}"
