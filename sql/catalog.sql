-- name: upgrade_1
-- In: a database without a repository.
-- Out: the catalog of a repository, empty: one table for each idea, all in schema epoch.
CREATE SCHEMA {{epoch}};

CREATE TABLE {{epoch}}.state (
    repository_id VARCHAR NOT NULL,
    catalog_version INTEGER NOT NULL,
    head_branch VARCHAR,
    head_commit VARCHAR,
    moves BIGINT NOT NULL,
    rewrites BIGINT NOT NULL,
    promisor VARCHAR
);

INSERT INTO {{epoch}}.state VALUES ('', 0, NULL, NULL, 0, 0, NULL);

CREATE TABLE {{epoch}}.commits (
    commit_id VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    tree_id VARCHAR NOT NULL,
    root_id VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    committed_at TIMESTAMP NOT NULL,
    message VARCHAR NOT NULL,
    source VARCHAR,
    squashes VARCHAR,
    reverts VARCHAR,
    picks VARCHAR,
    rolls_back_to VARCHAR,
    undoes VARCHAR[] NOT NULL,
    redoes VARCHAR[] NOT NULL,
    restores VARCHAR,
    strategy VARCHAR,
    keep_undone BOOLEAN NOT NULL,
    resolutions STRUCT(table_name VARCHAR, "key" VARCHAR, column_name VARCHAR, side VARCHAR, "value" VARCHAR, forced BOOLEAN)[]
        NOT NULL,
    reapplied STRUCT(undone_by VARCHAR, commits VARCHAR[])[] NOT NULL,
    kept STRUCT(undone_by VARCHAR, commits VARCHAR[])[] NOT NULL
);

CREATE TABLE {{epoch}}.parents (
    commit_id VARCHAR NOT NULL,
    ordinal INTEGER NOT NULL,
    parent_id VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.roots (
    root_id VARCHAR NOT NULL,
    subtree_ids VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.trees (
    subtree_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    identity VARCHAR NOT NULL,
    schema_name VARCHAR NOT NULL,
    object_name VARCHAR NOT NULL,
    version_id VARCHAR,
    definition VARCHAR,
    comment VARCHAR,
    state VARCHAR,
    part_comments VARCHAR
);

CREATE TABLE {{epoch}}.schemas (
    schema_id VARCHAR NOT NULL,
    definition VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.versions (
    version_id VARCHAR NOT NULL,
    table_id VARCHAR NOT NULL,
    schema_id VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    fingerprint VARCHAR NOT NULL,
    level_ids VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.levels (
    level_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    from_version VARCHAR,
    to_version VARCHAR,
    rows_added BIGINT NOT NULL,
    rows_modified BIGINT NOT NULL,
    rows_removed BIGINT NOT NULL,
    file_ids VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.files (
    file_id VARCHAR NOT NULL,
    schema_id VARCHAR NOT NULL,
    old_schema_id VARCHAR,
    row_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    least_key VARCHAR,
    greatest_key VARCHAR
);

CREATE TABLE {{epoch}}.refs (
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    commit_id VARCHAR NOT NULL,
    author VARCHAR,
    moved_at TIMESTAMP NOT NULL,
    message VARCHAR
);

CREATE TABLE {{epoch}}.reflog (
    sequence BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    old_commit VARCHAR,
    new_commit VARCHAR,
    route VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    moved_at TIMESTAMP NOT NULL
);

CREATE TABLE {{epoch}}.stashes (
    stash_id VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    branch VARCHAR,
    commit_id VARCHAR NOT NULL,
    root_id VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    message VARCHAR,
    tables_changed BIGINT NOT NULL
);

CREATE TABLE {{epoch}}.patterns (
    kind VARCHAR NOT NULL,
    pattern VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.freshness (
    table_id VARCHAR NOT NULL,
    stale BOOLEAN NOT NULL,
    fingerprint VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.declared_keys (
    schema_name VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    columns VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.unmade (
    kind VARCHAR NOT NULL,
    schema_name VARCHAR NOT NULL,
    object_name VARCHAR NOT NULL,
    definition VARCHAR NOT NULL,
    comment VARCHAR,
    state VARCHAR,
    part_comments VARCHAR,
    reason VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.audit (
    sequence BIGINT NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    ref VARCHAR,
    commit_id VARCHAR,
    detail VARCHAR
);

CREATE TABLE {{epoch}}.fingerprints (
    table_id VARCHAR NOT NULL,
    version_id VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    checksum HUGEINT NOT NULL,
    buckets INTEGER NOT NULL,
    bucket_column INTEGER
);

CREATE TABLE {{epoch}}.buckets (
    table_id VARCHAR NOT NULL,
    bucket UINTEGER NOT NULL,
    checksum HUGEINT NOT NULL
);

CREATE TABLE {{epoch}}.merges (
    target VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    ours_commit VARCHAR NOT NULL,
    theirs_commit VARCHAR NOT NULL,
    base_root VARCHAR NOT NULL,
    theirs_root VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    author VARCHAR NOT NULL,
    squash BOOLEAN NOT NULL,
    strategy VARCHAR NOT NULL,
    keep_undone BOOLEAN NOT NULL,
    started_at TIMESTAMP NOT NULL
);

CREATE TABLE {{epoch}}.resolutions (
    target VARCHAR NOT NULL,
    sequence BIGINT NOT NULL,
    table_name VARCHAR,
    key VARCHAR,
    column_name VARCHAR,
    side VARCHAR NOT NULL,
    value VARCHAR,
    forced BOOLEAN NOT NULL,
    cause_table VARCHAR,
    cause_key VARCHAR
);

CREATE TABLE {{epoch}}.conflicts (
    target VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    key VARCHAR,
    column_name VARCHAR,
    kind VARCHAR NOT NULL,
    base VARCHAR,
    ours VARCHAR,
    theirs VARCHAR,
    resolved BOOLEAN NOT NULL
);

CREATE TABLE {{epoch}}.violations (
    target VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    constraint_name VARCHAR,
    kind VARCHAR NOT NULL,
    key VARCHAR,
    detail VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.protections (
    branch VARCHAR NOT NULL,
    require_review BOOLEAN NOT NULL,
    no_force_push BOOLEAN NOT NULL,
    allow_self_review BOOLEAN NOT NULL,
    require_fresh BOOLEAN NOT NULL
);

CREATE TABLE {{epoch}}.reviews (
    review_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    source_commit VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    reviewer VARCHAR NOT NULL,
    message VARCHAR,
    reviewed_at TIMESTAMP NOT NULL
);

CREATE TABLE {{epoch}}.checks (
    name VARCHAR NOT NULL,
    query VARCHAR NOT NULL,
    branch VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.remotes (
    name VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    store_id VARCHAR,
    trusted BOOLEAN NOT NULL,
    readers VARCHAR
);

CREATE TABLE {{epoch}}.untrusted (
    definition_id VARCHAR NOT NULL,
    remote VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    schema_name VARCHAR NOT NULL,
    object_name VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.upstreams (
    branch VARCHAR NOT NULL,
    remote VARCHAR NOT NULL,
    remote_branch VARCHAR NOT NULL
);

CREATE TABLE {{epoch}}.compacted (
    version_id VARCHAR NOT NULL,
    table_id VARCHAR NOT NULL,
    file_ids VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.published (
    sequence BIGINT NOT NULL,
    path VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    ref VARCHAR NOT NULL,
    commit_id VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    modified_ns BIGINT NOT NULL,
    tables BIGINT NOT NULL,
    file_ids VARCHAR[] NOT NULL,
    replaced_at TIMESTAMP
);

CREATE TABLE {{epoch}}.exported (
    place VARCHAR NOT NULL,
    table_id VARCHAR NOT NULL,
    identifier VARCHAR[] NOT NULL,
    version_id VARCHAR NOT NULL,
    file_ids VARCHAR[] NOT NULL
);

CREATE TABLE {{epoch}}.worktrees (
    worktree_id VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    trusted BOOLEAN NOT NULL
);

CREATE TABLE {{epoch}}.elsewhere (
    branch VARCHAR NOT NULL,
    worktree_id VARCHAR NOT NULL,
    checked_out BOOLEAN NOT NULL
);
