"""Protections, reviews and checks as relations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epoch_sql import render
from epoch_sql.model.protection import Protection, Review
from epoch_sql.operations.guarding.checking import CheckInfo
from epoch_sql.operations.guarding.reviewing import State, reviews_with_states
from epoch_sql.operations.repository import Call
from epoch_sql.render import Sql
from epoch_sql.verb import query, reading


@dataclass(frozen=True)
class ReviewState(Review):
    """A review, and how a merge would find what it is about."""

    verdict: Literal["approve", "reject", "request"]
    state: State


@query("epoch_protections", Protection)
def protections(call: Call) -> Sql:
    """The protected branches, and what each refuses."""
    return render.render("protections")


@reading("epoch_reviews")
def reviews(call: Call) -> list[ReviewState]:
    """The reviews, newest first. The state is `open`, `approved` or `rejected`, or `stale` if the source has moved
    to another commit."""
    return [ReviewState(**vars(review), state=state) for review, state in reviews_with_states(call)]


@query("epoch_checks", CheckInfo)
def checks(call: Call) -> Sql:
    """The checks: their queries, and the branches that each guards."""
    return render.render("checks")
