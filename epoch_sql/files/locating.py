"""Where a value is that a table does not take: a load that failed is read once more, for its file, line and column."""

from __future__ import annotations

import duckdb

from epoch_sql import render
from epoch_sql.errors import EpochFileError
from epoch_sql.files.loading import Unfit
from epoch_sql.files.readers import Column
from epoch_sql.model.names import shown

_LONGEST_VALUE = 40


def located(cursor: duckdb.DuckDBPyConnection, unfit: Unfit) -> EpochFileError:
    """The error for a row that does not fit, as precise as it can be found."""
    reader = unfit.reader
    if reader.again:
        try:
            return _rejected(cursor, unfit) or _at_fault(cursor, unfit) or _as_told(unfit)
        except duckdb.Error:
            # Its second reading fails for the same reason, so DuckDB's own words have to do.
            return _as_told(unfit)
    return _as_told(unfit)


def _rejected(cursor: duckdb.DuckDBPyConnection, unfit: Unfit) -> EpochFileError | None:
    """The first line that the reader of CSV files rejects, for the number of its values, or a date in another form."""
    reader = unfit.reader
    if reader.rejecting is None:
        return None
    counted = "SELECT count(COLUMNS(*)) FROM {{relation}}"
    cursor.execute(render.fill(counted, relation=reader.rejecting(reader.as_texts()))).fetchall()
    found = cursor.execute(render.load("import.first_reject")).fetchone()
    cursor.execute("DROP TABLE epoch_rejects")
    cursor.execute("DROP TABLE epoch_reject_scans")
    if found is None:
        return None
    line, name, told = found
    column = next((column for column in unfit.wanted.values() if column.name == name and name in reader.direct), None)
    return _error(unfit, str(told).strip().splitlines()[0], line, None, column)


def _at_fault(cursor: duckdb.DuckDBPyConnection, unfit: Unfit) -> EpochFileError | None:
    """The first value that cannot be cast, or that the cast would change."""
    reader = unfit.reader
    found = cursor.execute(reader.first_fault(unfit.wanted)).fetchone()
    if found is None:
        return None
    row, position, value = found
    column = [*unfit.wanted.values()][position]
    line = None if reader.first_line is None else reader.first_line + row - 1 + _breaks(cursor, unfit, row - 1)
    return _error(unfit, f"'{shown(value, _LONGEST_VALUE)}' is not of type {column.type}", line, row, column)


def _breaks(cursor: duckdb.DuckDBPyConnection, unfit: Unfit, rows: int) -> int:
    """The line breaks within the values of the rows at the beginning of a CSV file."""
    reader = unfit.reader
    texts = reader.relation(dict.fromkeys(reader.columns, "VARCHAR"))
    return int(cursor.execute(render.render("import.line_breaks", relation=texts), [rows]).fetchall()[0][0])


def _as_told(unfit: Unfit) -> EpochFileError:
    return _error(unfit, str(unfit.reason).strip().splitlines()[0], None, None, None)


def _error(unfit: Unfit, reason: str, line: int | None, row: int | None, column: Column | None) -> EpochFileError:
    places = [unfit.reader.file]
    if line is not None or row is not None:
        places.append(f"line {line:,}" if line is not None else f"row {row:,}")
    if column:
        places.append(f"column {column.name}")
    return EpochFileError(
        f"{', '.join(places)}: {reason}",
        "correct the file, or give the column another type",
        file=unfit.reader.file,
        line=line,
        row=row,
        column=column.name if column else None,
    )
