#!/usr/bin/env bash
# Installs the other systems, each in an environment of its own below $1. $2 is the Python to make them with.
set -euo pipefail
folder=$1 python=$2
mkdir -p "$folder"
into() {
    "$python" -m venv --without-pip "$folder/$1"
    "$python" -m pip --python "$folder/$1/bin/python" install --quiet --disable-pip-version-check "${@:2}" &
}

into doltlite 'doltlite>=0.51'
# The extension stands inside the package, built for this DuckDB.
into ducklake 'duckdb==1.5.5' 'duckdb-extension-ducklake==1.5.5'
into iceberg 'pyiceberg[sql-sqlite,pyarrow]>=0.12' duckdb
into delta 'deltalake>=1.6' pyarrow duckdb
for job in $(jobs -p); do wait "$job"; done
