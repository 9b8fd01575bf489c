"""The functions of the SQL surface for history."""

from __future__ import annotations

from epoch_sql.extension.surface import Procedure, Reading

READINGS: tuple[Reading, ...] = ()
PROCEDURES: tuple[Procedure, ...] = ()
