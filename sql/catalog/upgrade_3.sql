-- In: the catalog of version 2.
-- Out: the remotes of this repository, and which remote branch each branch follows.
CREATE TABLE {{epoch}}.remotes (
    name VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    store_id VARCHAR
);

CREATE TABLE {{epoch}}.upstreams (
    branch VARCHAR NOT NULL,
    remote VARCHAR NOT NULL,
    remote_branch VARCHAR NOT NULL
);
