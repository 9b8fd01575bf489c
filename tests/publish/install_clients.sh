#!/usr/bin/env bash
# Installs the clients that read published files, dbt and SQLMesh, engines, each in a folder of its own below $1, and a browser.
# $2 is the Python to run them with.
set -euo pipefail
folder=$1 python=$2
mkdir -p "$folder"
into() { "$python" -m pip install --quiet --disable-pip-version-check --target "$folder/$1" "${@:2}" & }

into 1.1 'duckdb==1.1.*'
into 1.3 'duckdb==1.3.*'
into 1.4 'duckdb==1.4.*'
into 1.5 'duckdb==1.5.*'
into cli 'duckdb-cli==1.5.*'
into sqlalchemy duckdb-sqlalchemy 'duckdb==1.5.*'
into engine duckdb-engine sqlalchemy
into harlequin harlequin
# ibis 12 calls what DuckDB 2.0 has no more.
into notebooks 'ibis-framework[duckdb]>=12' pandas polars ipython 'jupysql>=0.11' 'marimo>=0.25' duckdb-sqlalchemy 'duckdb==1.5.*'
# dbt-core 1.12 downloads a part of itself from elsewhere while it is installed.
into dbt 'dbt-core==1.11.*' dbt-duckdb
into sqlmesh 'sqlmesh>=0.236' 'duckdb==1.4.*'
# Engines beyond one machine: Spark, Sail as its light stand-in, and readers of Iceberg tables.
into spark 'pyspark[connect]>=4.0' pandas
into sail 'pysail>=0.7' 'pyspark-client>=4.0' pandas
into duckdb-iceberg 'duckdb==1.5.*' duckdb-extension-iceberg duckdb-extension-avro
npm install --silent --no-audit --no-fund --prefix "$folder/node" @duckdb/node-api &
# What the pages of epoch ui are looked at with: a browser, and axe.
npm install --silent --no-audit --no-fund --prefix "$folder/axe" axe-core &
# The browser, and what Spark runs on.
command -v chromium chromedriver java > "$folder/programs" && [ "$(wc -l < "$folder/programs")" = 3 ] || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver openjdk-17-jre-headless > "$folder/programs"
} &
for job in $(jobs -p); do wait "$job"; done
