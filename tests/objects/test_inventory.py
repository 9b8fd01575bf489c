"""Everything that DuckDB can hold: versioned with its comments, named by a warning, or no part of a database."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

VERSIONED = {
    "columns",
    "constraints",
    "functions",
    "indexes",
    "schemas",
    "sequences",
    "tables",
    "triggers",
    "types",
    "views",
}
# What an instance or a session has, and no database file; databases and secrets of their own are others' files.
ELSEWHERE = {
    *("approx_database_count", "available_metrics", "connection_count", "coordinate_systems", "databases", "dialects"),
    *("eviction_queues", "extension_repositories", "extensions", "external_file_cache", "external_resource_types"),
    *(
        "external_resources",
        "grammar_extensions",
        "keywords",
        "live_query_metrics",
        "log_contexts",
        "logs",
        "logs_parsed",
    ),
    *("memory", "optimizers", "prepared_statements", "profiling_settings", "secret_type_parameters", "secret_types"),
    *("secrets", "settings", "temporary_files", "variables"),
}
# What is computed from the rest: the order of creation, and a sample of rows.
COMPUTED = {"dependencies", "table_sample"}


def test_nothing_that_duckdb_lists_is_unknown(repo: Repo) -> None:
    listed = repo(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE starts_with(function_name, 'duckdb_') AND function_type IN ('table', 'table_macro') AND internal"
    )
    assert {name.removeprefix("duckdb_") for (name,) in listed} <= VERSIONED | ELSEWHERE | COMPUTED


def test_what_is_elsewhere_is_not_in_the_file(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER)")
    repo("PREPARE p AS FROM t; SET VARIABLE v = 1; SET default_null_order = 'nulls_first'; CREATE SECRET s (TYPE http)")
    assert repo.status() == []
    repo.reopen()
    for listing in ("duckdb_prepared_statements()", "duckdb_variables()", "duckdb_secrets()"):
        assert repo(f"FROM {listing}") == []
    assert repo.one("SELECT current_setting('default_null_order')") != "NULLS_FIRST"


def test_a_commit_names_what_it_does_not_keep(repo: Repo) -> None:
    repo("CREATE SEQUENCE numbers; CREATE TABLE t (i INTEGER USING COMPRESSION rle); ALTER SEQUENCE numbers OWNED BY t")
    told = repo("SELECT warnings FROM epoch_commit('made')")[0][0]
    # DuckDB 1.x does not tell how a table is compressed.
    compressed = ["table t is compressed"] if duckdb.__version__ >= "2" else []
    assert [warning.partition(" as ")[0].partition(" not ")[0] for warning in told] == [
        "sequence numbers is",
        *compressed,
    ]
    repo("INSERT INTO t VALUES (1)")
    assert repo("SELECT warnings FROM epoch_commit('rows')") == [([],)]


MADE = """
    CREATE SCHEMA s; CREATE TABLE s.t (i INTEGER, j INTEGER); CREATE VIEW s.v AS SELECT i, j + 1 AS n FROM s.t; CREATE VIEW w (a, b) AS SELECT j, i FROM s.t;
    CREATE INDEX x ON s.t (i); CREATE TYPE s.mood AS ENUM ('sad'); CREATE SEQUENCE s.q; CREATE MACRO s.m(a) AS a;
    CREATE MACRO s.f(a) AS a; CREATE MACRO s.f(a) AS TABLE SELECT a;
"""
LISTED = (
    "SELECT 'table', table_name, comment FROM duckdb_tables() UNION ALL SELECT 'view', view_name, comment FROM duckdb_views() "
    "UNION ALL SELECT 'column', table_name || column_name, comment FROM duckdb_columns() "
    "UNION ALL SELECT 'index', index_name, comment FROM duckdb_indexes() "
    "UNION ALL SELECT 'type', type_name, comment FROM duckdb_types() "
    "UNION ALL SELECT 'sequence', sequence_name, comment FROM duckdb_sequences() "
    "UNION ALL SELECT function_type, function_name, comment FROM duckdb_functions()"
)
# DuckDB 1.x calls the columns of a view as its query does.
ALIASED = "b" if duckdb.__version__ >= "2" else "i"
COMMENTS = {
    "TABLE s.t": "s.t",
    "COLUMN s.t.j": "s.t",
    "INDEX s.x": "s.t",
    "VIEW s.v": "s.v",
    "COLUMN s.v.n": "s.v",
    f"COLUMN w.{ALIASED}": "w",
    "TYPE s.mood": "s.mood",
    "SEQUENCE s.q": "s.q",
    "MACRO s.m": "s.m",
    "MACRO s.f": "s.f",
    "MACRO TABLE s.f": "s.f",
}


def comments(repo: Repo) -> list[Any]:
    return sorted(repo(f"FROM ({LISTED}) AS listed (kind, name, comment) WHERE comment IN ('ours', 'theirs', 'it''s')"))


@pytest.mark.slow
def test_each_comment_is_a_change_of_its_own(make_repo: MakeRepo, tmp_path: Any) -> None:
    repo = make_repo(MADE)
    seen = []
    for target, name in COMMENTS.items():
        repo(f"COMMENT ON {target} IS 'it''s'")
        assert repo.status() == [(name, "schema", 0, 0, 0)], target
        (difference,) = repo("FROM epoch_schema_diff('HEAD', 'WORKING')")
        assert "it''s" in difference[-1], target
        repo.commit(target)
        seen.append(comments(repo))
    assert len(seen[-1]) == len(COMMENTS)
    for back in (0, len(COMMENTS) // 2, len(COMMENTS) - 1):
        repo("CALL epoch_checkout(?)", f"main~{len(COMMENTS) - 1 - back}")
        assert (comments(repo), repo.status()) == (seen[back], [])
    repo("CALL epoch_checkout('main')")
    assert comments(repo) == seen[-1]
    repo("CALL epoch_remote_add('origin', ?)", str(tmp_path / "store"))
    repo("CALL epoch_push()")
    clone = make_repo(init=False)
    clone("CALL epoch_clone(?)", str(tmp_path / "store"))
    assert (comments(clone), clone.status()) == (seen[-1], [])
    for target in COMMENTS:
        repo(f"COMMENT ON {target} IS NULL")
    assert comments(repo) == [] and {row[0] for row in repo.status()} == set(COMMENTS.values())
    repo("CALL epoch_reset('HEAD', hard := true)")
    assert comments(repo) == seen[-1]


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("target", COMMENTS)
def test_comments_merge_and_conflict(make_repo: MakeRepo, target: str) -> None:
    repo = make_repo(MADE)
    repo("CALL epoch_checkout('theirs', new_branch := true)")
    repo(f"COMMENT ON {target} IS 'theirs'; CALL epoch_commit('t')")
    repo("CALL epoch_checkout('main'); INSERT INTO s.t VALUES (1, 1); CALL epoch_commit('o')")
    repo("CALL epoch_merge('theirs')")
    assert [row[-1] for row in comments(repo)] == ["theirs"]
    repo(f"CALL epoch_reset('HEAD~1', hard := true); COMMENT ON {target} IS 'ours'; CALL epoch_commit('o')")
    assert "conflict" in repo.refused("CALL epoch_merge('theirs')")
    (conflict,) = repo("SELECT table_name, ours, theirs FROM epoch_conflicts()")
    assert (conflict[0], "ours" in conflict[1], "theirs" in conflict[2]) == (COMMENTS[target], True, True)
    repo("CALL epoch_resolve(?, side := 'theirs')", COMMENTS[target])
    repo("CALL epoch_merge_continue()")
    assert [row[-1] for row in comments(repo)] == ["theirs"]


def test_an_index_keeps_its_options_and_is_not_built_anew_for_a_comment(repo: Repo) -> None:
    repo(
        "CREATE TABLE t (i INTEGER PRIMARY KEY, j INTEGER); CREATE INDEX x ON t (j) WITH (a = 1); INSERT INTO t VALUES (1, 1)"
    )
    repo.commit()
    made = repo("SELECT sql FROM duckdb_indexes()")
    repo("COMMENT ON INDEX x IS 'why'")
    repo.commit()
    assert [s for (s,) in repo("SELECT statement FROM epoch_patch('HEAD~1', 'HEAD')")] == [
        'COMMENT ON INDEX "main"."x" IS \'why\''
    ]
    repo("CALL epoch_checkout('HEAD~2'); CALL epoch_checkout('main')")
    assert repo("SELECT sql FROM duckdb_indexes()") == made
    assert repo("SELECT comment FROM duckdb_indexes()") == [("why",)]
