-- In: the catalog of version 1.
-- Out: protected branches, reviews of what is to be promoted, checks of the result; and what a squashed merge was made of.
CREATE TABLE {{epoch}}.protections (
    branch VARCHAR NOT NULL,
    require_review BOOLEAN NOT NULL,
    no_force_push BOOLEAN NOT NULL,
    allow_self_review BOOLEAN NOT NULL
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

CREATE TABLE {{epoch}}.squashes (
    commit_id VARCHAR NOT NULL,
    source_commit VARCHAR NOT NULL
);
