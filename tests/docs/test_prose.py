"""The linter of the project's English finds what reads badly, wherever it stands, and names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import prose

CHECKS = prose.checks()


def findings(suffix: str, text: str) -> list[tuple[int, str]]:
    return sorted((line, name) for line, name, _ in prose.READERS[suffix](text).findings(CHECKS))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A second fault is none.", "is-none"),
        ("The same value is no change.", "is-no"),
        ("The user is told to retry.", "told"),
        ("It is opened to read for want of permission.", "for-want-of"),
        ("The table is made anew.", "anew"),
        ("No branch of here moves.", "of-here"),
        ("A name stands for a commit.", "stands-for"),
        ("What is not committed is in the way.", "in-the-way"),
        ("It protects the remote. Who pushes there is checked.", "who"),
        ("A hash by which it is known.", "by-which"),
        ("A new commit mends it.", "mend"),
        ("Refused lest it be lost.", "old"),
        ("So it is with tables.", "so-it-is"),
        ("First this. It is the key that decides.", "it-is-that"),
        ("First this. Refused are pushes.", "passive"),
        ("In order to push, fetch.", "wordy"),
        ("Look at the the table.", "twice"),
        (" ".join(["word"] * (prose.LONGEST + 1)) + ".", "long-sentence"),
    ],
)
def test_each_rule_finds_its_fault(text: str, name: str) -> None:
    assert findings(".md", text) == [(1, f"epoch.{name}")]


def test_every_rule_has_an_example() -> None:
    examples = {parameters[1] for parameters in test_each_rule_finds_its_fault.pytestmark[0].args[1]}
    assert examples == {*prose.RULES, "long-sentence"}


def test_the_general_checks_of_proselint_are_on() -> None:
    assert findings(".md", "It is a very big table.") == [(1, "weasel_words.very")]


@pytest.mark.parametrize(
    "text",
    [
        "There is none, and there is no other.",
        "```\nThe table is made anew.\n```",
        "`is made anew` is a name.",
        "<!-- made anew -->",
        "See [the page](https://example.com/anew).",
        "\n".join(f"| {'word ' * 30} | {'word ' * 30} |" for _ in range(3)),
        "\n".join(f"- {'word ' * 30}" for _ in range(3)),
    ],
)
def test_code_addresses_and_short_parts_are_left_alone(text: str) -> None:
    assert findings(".md", text) == []


def test_a_page_is_read_with_the_lines_of_its_file() -> None:
    page = "# Title\n\n```sql\nSELECT 1\n```\n\nFirst line.\nIt is made\nanew.\n"
    assert findings(".md", page) == [(9, "epoch.anew")]


def test_of_python_docstrings_comments_and_messages_are_read() -> None:
    source = '''"""A module made anew."""

# A comment
# made anew.
anew = "anew"
raise ValueError(f"the table {anew} is made anew")
QUERY = "SELECT anew FROM made AS anew"
'''
    assert findings(".py", source) == [(1, "epoch.anew"), (4, "epoch.anew"), (6, "epoch.anew")]


def test_of_sql_comments_are_read() -> None:
    assert findings(".sql", "-- In: rows.\n-- Out: rows made anew.\nSELECT anew\n") == [(2, "epoch.anew")]


def test_findings_end_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("It is made anew.\n")
    assert prose.main(["docs"]) == 1
    assert capsys.readouterr().out == "docs/page.md:1: epoch.anew: 'anew': say 'again'.\n"
    (tmp_path / "docs" / "page.md").write_text("It is made again.\n")
    assert prose.main(["docs"]) == 0
