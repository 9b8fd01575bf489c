"""Queries over the catalog: log, branches, tags, tables, reflog and the like."""

from __future__ import annotations

from collections.abc import Sequence

from epoch_sql import render
from epoch_sql.catalog.guarding import Protections
from epoch_sql.catalog.remotes import Upstreams
from epoch_sql.model.names import ObjectName, name_meant
from epoch_sql.operations.reading.diff import union
from epoch_sql.operations.reading.sides import side_of
from epoch_sql.operations.repository import Call
from epoch_sql.operations.tracking import no_table
from epoch_sql.render import Sql
from epoch_sql.storage.shape import aliased


def log(
    call: Call,
    ref: str = "HEAD",
    first_parent: bool = False,
    max_count: int | None = None,
    table_name: str | None = None,
) -> Sql:
    """The commits that a reference reaches, newest first, children before their parents."""
    tip = call.resolve(ref)
    # After the reference, which another thread may move meanwhile: to a commit that an earlier graph lacks.
    graph = call.graph()
    ids = list(graph.first_parents(tip)) if first_parent else graph.topological(graph.ancestors(tip))
    if table_name is not None:
        ids = _touching(call, ids, table_name)
    if max_count is not None:
        ids = ids[: max(max_count, 0)]
    return render.render("log", ids=render.strings(ids))


def branches(call: Call) -> Sql:
    """The branches, with how far each is ahead of and behind its upstream."""
    remote, local = call.refs.all("remote"), call.refs.all("branch")
    graph = call.graph()
    upstreams = Upstreams(call.cursor).load()
    protected = Protections(call.cursor).load()
    rows = []
    head = call.head().branch
    for name, ref in local.items():
        upstream = upstreams[name].tracking if name in upstreams else None
        known = remote.get(upstream or "")
        ahead, behind = graph.ahead_behind(ref.commit_id, known.commit_id) if known else (None, None)
        rows.append((name, ref.commit_id, name == head, name in protected, upstream, ahead, behind))
    return constants(
        rows,
        {
            "name": "VARCHAR",
            "commit_id": "VARCHAR",
            "is_current": "BOOLEAN",
            "is_protected": "BOOLEAN",
            "upstream": "VARCHAR",
            "ahead": "BIGINT",
            "behind": "BIGINT",
        },
    )


def tags(call: Call) -> Sql:
    """The tags."""
    return render.render("tags")


def tables(call: Call, ref: str = "HEAD") -> Sql:
    """The tables and views of a commit or of the working database, with their keys and sizes."""
    side = side_of(call, ref)
    selects = []
    for table_side in sorted(side.tables.values(), key=lambda t: str(t.table.name)):
        table = table_side.table
        selects.append(
            render.render(
                "table_row",
                table_name=render.literal(str(table.name)),
                key_columns=render.fill(Sql("CAST({{k}} AS VARCHAR[])"), k=render.strings(table.key_names)),
                row_count=_row_count(call, table_side.version_id, table.name),
                bytes=_bytes(call, table_side.version_id),
            )
        )
    views = [o for o in side.objects if o.kind == "view"]
    selects.extend(render.render("view_row", table_name=render.literal(str(o.name))) for o in views)
    return union(selects, "no_tables")


def reflog(call: Call, branch: str | None = None) -> Sql:
    """Where references were, newest first."""
    return render.render("reflog", name=render.literal(branch))


def stashes(call: Call) -> Sql:
    """The stashes, newest first."""
    return render.render("stashes")


def audit(call: Call) -> Sql:
    """What was guarded, approved, refused and promoted."""
    return render.render("audit")


def ignored(call: Call) -> Sql:
    """The patterns of names that are not versioned."""
    return render.render("ignored")


def head(call: Call) -> Sql:
    """What is checked out."""
    checked_out = call.head()
    columns = {"branch": "VARCHAR", "commit_id": "VARCHAR", "detached": "BOOLEAN"}
    return constants([(checked_out.branch, checked_out.commit_id, checked_out.detached)], columns)


def merge_base(call: Call, a: str, b: str) -> Sql:
    """The best common ancestors of two references; no row when their histories are unrelated."""
    left, right = call.resolve(a), call.resolve(b)
    bases = call.graph().merge_bases(left, right)
    return constants([(base,) for base in bases[:1]], {"commit_id": "VARCHAR"})


def constants(rows: Sequence[Sequence[str | int | bool | None]], columns: dict[str, str]) -> Sql:
    """A relation of constants with the given columns and types."""
    typed = Sql("CAST({{v}} AS {{t}})")
    selects = [
        render.fill(
            Sql("SELECT {{values}}"),
            values=[
                aliased(render.fill(typed, v=render.literal(value), t=Sql(kind)), name)
                for value, (name, kind) in zip(row, columns.items(), strict=True)
            ],
        )
        for row in rows or [[None] * len(columns)]
    ]
    relation = render.joined(selects, "\nUNION ALL\n")
    return relation if rows else render.fill(Sql("FROM ({{r}}) AS nothing WHERE false"), r=relation)


def _touching(call: Call, ids: Sequence[str], table_name: str) -> list[str]:
    """Those of the commits whose version of a table is not the one of their first parent."""
    commits = call.commits.load(ids)
    versions: dict[str, str | None] = {}

    def version(commit_id: str | None) -> str | None:
        if commit_id is None:
            return None
        if commit_id not in versions:
            root = call.commits.get(commit_id).root_id if commit_id not in commits else commits[commit_id].root_id
            entries = call.trees.load(root).tables.values()
            meant = name_meant(table_name, (e.name for e in entries))
            entry = next((e for e in entries if e.name == meant), None)
            versions[commit_id] = entry.version_id if entry else None
        return versions[commit_id]

    found = [i for i in ids if version(i) != version(commits[i].parents[0] if commits[i].parents else None)]
    if not found:
        names = {str(e.name) for i in ids[:1] for e in call.trees.load(commits[i].root_id).tables.values()}
        raise no_table(table_name, sorted(names), "that history")
    return found


def _row_count(call: Call, version_id: str | None, name: ObjectName) -> Sql:
    if version_id is None:
        return render.fill(Sql("(SELECT count(*) FROM {{t}})"), t=render.table(name))
    return render.to_sql(render.literal(call.contents.version(version_id).row_count))


def _bytes(call: Call, version_id: str | None) -> Sql:
    if version_id is None:
        return Sql("NULL")
    levels = call.contents.levels(version_id)
    return render.to_sql(render.literal(sum(file.bytes for level in levels for file in level.files)))
