"""docs/format.md and docs/remote-layout.md say what is stored: every column, and every file. And somebody reads it."""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

import epoch_sql
from epoch_sql import render
from epoch_sql.model import forms
from tests.conftest import MakeRepo

_DOCS = Path(__file__).parents[2] / "docs"
_FORMAT = (_DOCS / "format.md").read_text(encoding="utf-8")
_REMOTE = (_DOCS / "remote-layout.md").read_text(encoding="utf-8")
_PARTS = {
    "DD": "[0-9a-f]{2}",
    "ID": "[0-9a-f]{64}",
    "NUMBER": "[0-9a-f]{32}",
    "NAME": "[^/.]+",
    "REF": "[^/]+",
    "<2 digits>": "[0-9a-f]{2}",
    "<name>": r"[^/]+/\d+",
    "<number>": r"\d+",
    "<target>": "[^/]+",
    **dict.fromkeys(("<sha256>", "<content id>", "<commit id>", "<review id>"), "[0-9a-f]{64}"),
}


def _on_the_page() -> dict[str, dict[str, tuple[str, bool]]]:
    """The tables, with the type of each column, and whether it may be NULL."""
    catalog = _FORMAT[_FORMAT.index("## The catalog") : _FORMAT.index("## The remote")]
    return {
        name: {
            column: (kind, "NULL" in meaning)
            for column, kind, meaning in re.findall(r"^\| `(\w+)` \| (\S+) \| (.+) \|$", text, re.MULTILINE)
        }
        for name, text in re.findall(r"### `(\w+)`\n(.*?)(?=\n### |\Z)", catalog, re.DOTALL)
    }


def test_the_page_has_each_table_and_column(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (id INTEGER)")
    stored: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, kind, nullable in repo(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = 'epoch' "
        "AND table_name IN (SELECT table_name FROM duckdb_tables()) ORDER BY table_oid, column_index"
    ):
        stored.setdefault(table, {})[column] = (re.sub(r"\(.*\)", "", kind), nullable)
    page = _on_the_page()
    assert page.keys() == stored.keys()
    assert {name: [*page[name].items()] for name in stored} == {name: [*stored[name].items()] for name in stored}


def _patterns(page: str, heading: str) -> list[str]:
    """The patterns of the paths in the first column of a table."""
    table = page[page.index(heading) :].split("\n\n")[0]
    paths = [path for row in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE) for path in re.findall("`(.+?)`", row)]
    words = "|".join(map(re.escape, sorted(_PARTS, key=len, reverse=True)))
    return [re.sub(rf"\b(?:{words})\b|{words}", lambda m: _PARTS[m[0]], path.replace(".", r"\.")) for path in paths]


def test_the_pages_have_each_file(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, i FROM range(100) AS r(i)"
    )
    store = tmp_path / "store"
    repo("CALL epoch_remote_add('origin', ?)", str(store))
    repo("CALL epoch_branch('Release/1.0'); CALL epoch_tag('v1'); CALL epoch_protect('main', require_review := true)")
    repo("CALL epoch_review('Release/1.0', 'main', 'request')")
    repo("CALL epoch_worktree_add(?)", str(tmp_path / "beside"))
    repo(
        "CALL epoch_checkout('Release/1.0'); ALTER TABLE t ADD COLUMN w INTEGER; UPDATE t SET v = 2 WHERE id = 7; CALL epoch_commit('two')"
    )
    repo(
        "CALL epoch_push(); CALL epoch_push('origin', 'main'); CALL epoch_push(tags := true); CALL epoch_publish(['main']); "
        "CALL epoch_compact(); CALL epoch_push(layout := true); CALL epoch_remote_gc()"
    )
    found = {}
    for folder, patterns in (
        (repo.path.parent, _patterns(_FORMAT, "| path | holds | written |\n")),
        (store, _patterns(_REMOTE, "| path | holds | written |\n")),
    ):
        paths = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        paths = [path for path in paths if folder == store or not path.startswith("store/")]
        found[folder] = {pattern: [path for path in paths if re.fullmatch(pattern, path)] for pattern in patterns}
        assert sorted(path for matched in found[folder].values() for path in matched) == sorted(paths)
    # Only what is being written, and DuckDB's log, may be missing.
    assert [
        p for p, matched in found[repo.path.parent].items() if not matched and "wal" not in p and "incoming" not in p
    ] == []
    assert [p for p, matched in found[store].items() if not matched] == ["incoming/"]


@pytest.mark.parametrize(
    "kind",
    ["Header", "Commit", "Origin", "Version", "Level", "Base", "File", "Ref", "Settings", "Protection", "Garbage"],
)
def test_the_page_names_each_field_of_a_document(kind: str) -> None:
    fields = {field.name for field in msgspec.structs.fields(getattr(forms, kind))}
    assert fields <= set(re.findall(r"`(\w+)`", _REMOTE))


@pytest.mark.slow
def test_somebody_reads_each_column() -> None:
    """A column is named where a query reads its table, or is an attribute that somebody asks for."""
    package = Path(str(files(epoch_sql)))
    texts = [query for file in _queries() for name, query in render.queries(file).items() if name != "upgrade_1"]
    attributes = set()
    for path in [*package.rglob("*.py"), *(package.parent / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                attributes.add(node.attr)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{{epoch}}" in node.value:
                texts.append(render.Sql(node.value))
    reading = [text for text in texts if not text.startswith(("INSERT", "UPDATE"))]
    unread = {
        f"{table}.{column}"
        for table, columns in _on_the_page().items()
        for column in columns
        if column not in attributes and not any(_names(text, table) and _names(text, column) for text in reading)
    }
    # What found_catalog reads of state is in an f-string, rows_… are those of RowCounts, and moves are there to conflict.
    of_state = {"state.catalog_version", "state.rewrites"}
    assert unread == of_state | {"levels.rows_added", "levels.rows_modified", "levels.rows_removed"}


def _queries() -> list[str]:
    return [p.name.removesuffix(".sql") for p in files("epoch_sql.sql").iterdir() if p.name.endswith(".sql")]


def _names(text: str, word: str) -> bool:
    return bool(re.search(rf"\b{word}\b", text))
