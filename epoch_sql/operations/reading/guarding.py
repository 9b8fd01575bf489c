"""Protections, reviews and checks as relations."""

from __future__ import annotations

from epoch_sql import render
from epoch_sql.catalog.guarding import Reviews
from epoch_sql.operations.guarding.reviewing import reviews_with_states
from epoch_sql.operations.reading.listing import constants
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql


def protections(call: Call) -> Sql:
    """The protected branches, and what they are protected from."""
    return render.render("protections")


def reviews(call: Call) -> Sql:
    """The reviews, newest first, each with the state of what it is about."""
    rows = [
        (*(str(value) if value is not None else None for value in vars(review).values()), state)
        for review, state in reviews_with_states(call)
    ]
    return constants(rows, {**Reviews.columns, "state": "VARCHAR"})


def checks(call: Call) -> Sql:
    """The checks."""
    return render.render("checks")
