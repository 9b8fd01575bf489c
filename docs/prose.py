"""Lints the project's English with proselint and rules of our own: docs, docstrings, comments, messages and help.

``python -m docs.prose`` names each finding by file and line, and exits with 1 if there is one. It reads the help of
commands and the descriptions of SQL functions in docs/reference, which is generated from them.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from proselint.checks import __register__ as general_checks
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckResult
from proselint.registry.checks.engine import Fancy
from proselint.registry.checks.types import ExistenceSimple
from proselint.tools import LintFile

ROOT = Path(__file__).parents[1]
PLACES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "tests/README.md",
    "docs",
    "cli",
    "epoch_sql",
    "sql",
)
LONGEST = 40

# Checks of proselint that do not suit a text about data: marks that Markdown sets, "key key", "the only".
OFF = ("typography", "uncomparables", "lexical_illusions", "misc.phrasal_adjectives", "annotations")

# A pattern in Python's syntax, whatever the letter case, and what to write instead.
RULES = {
    "is-none": (r"(?<!there )\b(is|are|was|were) (?-i:none)\b", "say 'there is no …'"),
    "is-no": (r"(?<!\bthere )(?<!\bthat )\b(is|are) no (?!longer|more)", "say 'is not …' or 'does not count as …'"),
    "told": (r"\b(is|are|be|been|being|was|were|if) told\b|\btells? (so|of)\b", "name the speaker"),
    "for-want-of": (r"\bfor want of\b", "say 'without' or 'because … lacks …'"),
    "anew": (r"\banew\b", "say 'again'"),
    "of-here": (r"\bof here\b", "say 'local'"),
    "stands-for": (r"\bstands? for\b", "say 'means' or 'represents'"),
    "in-the-way": (r"\bin (the|its|their) way\b", "say what blocks what"),
    "who": (r"(?<=[.:;] )Who [^?.]*[.]|\b(for|to|by|from|as|where|and) who\b", "name the person: 'a user who …'"),
    "by-which": (r"\bby which\b", "make it a sentence of its own"),
    "mend": (r"\bmend(s|ed|ing)?\b", "say 'fix'"),
    "old": (r"\b(lest|thereby|whereupon|hitherto|thereof|wherein|therein)\b", "use a plain word"),
    "so-it-is": (r"\bso it is with\b|\bas is the case\b", "state the second fact"),
    "it-is-that": (r"(?<=[.:;] )It is [^.,;]{1,40} (that|who)\b", "start with the subject"),
    "passive": (r"(?:(?<=[.] )|(?<=\n\n))(Not )?[A-Z][a-z]+ed (is|are|was|were) ", "start with the subject"),
    "wordy": (r"\b(in order to|due to the fact that|at this point in time|(is|are) able to)\b", "be brief"),
    "twice": (r"\b(a|an|the|of|to|in|is|it|that|and|or) \1\b", "say it once"),
}

# A sentence ends at a stop; the end of a cell, an item or a paragraph ends it, too.
_ENDS = re.compile(r"[.!?][)\"'*]*(?=\s|$)|\n\s*\n|\n(?=\s*([-*:#>]|\d+\.|\w+:) )|\|")
_SENTENCE = re.compile(r"\w+[,:]? \w+.* \w+", re.DOTALL)
_STATEMENT = re.compile(
    r"\s*(SELECT|FROM|WITH|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|CALL|COPY|SET|CASE|VALUES|AND|OR|WHERE|JOIN|ON)\b|.*{{"
)


def long_sentences(text: str, check: Check) -> Iterator[CheckResult]:
    """Sentences of more than ``LONGEST`` words. A list of columns is none."""
    start = 0
    for end in chain((stop.end() for stop in _ENDS.finditer(text)), (len(text),)):
        words = len(re.findall(r"[^\W_][\w'./-]*", text[start:end]))
        if words > LONGEST and not text[start:end].lstrip().startswith("Columns: "):
            first = end - len(text[start:end].lstrip("\n |"))
            yield CheckResult(check.path, f"A sentence of {words} words: say it in two.", (first, end), None)
        start = end


@cache
def checks() -> dict[str, bool]:
    """Registers all checks, and says which are on."""
    registry = CheckRegistry()
    registry.register_many(general_checks)
    for name, (pattern, advice) in RULES.items():
        registry.register(Check(ExistenceSimple(pattern), Fancy(), f"epoch.{name}", f"'{{}}': {advice}."))
    registry.register(Check(long_sentences, Fancy(), "epoch.long-sentence"))
    return {**dict.fromkeys(sorted(OFF, key=len, reverse=True), False), "epoch": True} | {
        name: on for name, on in DEFAULT["checks"].items() if name not in OFF
    }


class Prose:
    """The prose of a file, in paragraphs, and the line of the file that each of its lines is on."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.origins: list[int] = []

    def add(self, text: str, line: int) -> None:
        """Adds a paragraph that begins on that line of the file, without code, addresses and targets of links."""
        text = re.sub(r"``?[^`]+``?", lambda span: re.sub(r"[^\n]+", "code", span[0]), text)
        text = re.sub(r"https?://\S+", "address", re.sub(r"(?<=\])\([^)\s]*\)", "", text))
        for number, part in enumerate([*text.splitlines(), ""]):
            self.lines.append(part)
            self.origins.append(line + number)

    def findings(self, enabled: dict[str, bool]) -> Iterator[tuple[int, str, str]]:
        """Line, check and message of each finding."""
        text = "\n".join(self.lines)
        if text.strip():
            for result in LintFile("prose", text).lint({"max_errors": 1000, "checks": enabled}):
                name, message, (start, _), _ = result.check_result
                # proselint puts a line break before the text.
                line = text.count("\n", 0, max(start - 1, 0))
                yield self.origins[line], name, " ".join(message.split())


def markdown(text: str) -> Prose:
    """A page without its code and comments."""
    text = re.sub(r"^```.*?^```|<!--.*?-->", _blank, text, flags=re.MULTILINE | re.DOTALL)
    prose = Prose()
    prose.add(text, 1)
    return prose


def python(text: str) -> Prose:
    """Docstrings, comments, and the strings that look like a sentence."""
    prose = Prose()
    parts: set[ast.AST] = set()
    for node in ast.walk(ast.parse(text)):
        said = ""
        if isinstance(node, ast.JoinedStr):
            said = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            parts.update(node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            said = node.value
        if _SENTENCE.search(said) and not _STATEMENT.match(said):
            prose.add(said, node.lineno)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = ((t.start[0], t.string.lstrip("#!: ")) for t in tokens if t.type == tokenize.COMMENT)
    _add_comments(prose, comments)
    return prose


def sql(text: str) -> Prose:
    """The comments that have their lines to themselves."""
    prose = Prose()
    lines = enumerate(text.splitlines(), 1)
    _add_comments(prose, ((line, part.strip().lstrip("- ")) for line, part in lines if part.strip().startswith("--")))
    return prose


def _blank(code: re.Match[str]) -> str:
    return "\n" * code[0].count("\n")


def _add_comments(prose: Prose, comments: Iterable[tuple[int, str]]) -> None:
    """Adds comments, those on consecutive lines as one text."""
    texts: list[str] = []
    first = 0
    for line, text in comments:
        if texts and line != first + len(texts):
            prose.add("\n".join(texts), first)
            texts = []
        first = first if texts else line
        texts.append(text)
    prose.add("\n".join(texts), first)


READERS = {".md": markdown, ".py": python, ".sql": sql}


def files(places: Iterable[str]) -> Iterator[Path]:
    """The files to read: each place, or what is below it."""
    for place in places:
        path = ROOT / place
        below = sorted(p for p in path.rglob("*") if p.suffix in READERS) if path.is_dir() else [path]
        yield from (p for p in below if p != Path(__file__).resolve())


def main(places: Iterable[str]) -> int:
    """Prints the findings in these places; 1 if there are any."""
    enabled = checks()
    count = 0
    for path in files(places):
        for line, name, message in READERS[path.suffix](path.read_text(encoding="utf-8")).findings(enabled):
            print(f"{path.relative_to(ROOT)}:{line}: {name}: {message}")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PLACES))
