"""Histories in which something was undone.

Letters: d development, s staging, p production, h a hotfix, f a feature. In the pictures time runs to the right, M are
promotions into p, S promotions into s, D merges into d, U an undo.
"""

from __future__ import annotations

import pytest

from tests.model.promotions import History


@pytest.fixture
def promoted() -> History:
    """+a on d, promoted to p, and the promotion reverted there.

    d  o---a
            \\
    s  o-----S
              \\
    p  o-------M---U
    """
    history = History("d", "s", "p")
    history.add("d", "a")
    history.promote("d", "s", "p")
    history.revert("p")
    return history


@pytest.fixture
def released() -> History:
    """Three promotions, tagged; p was rolled back to the first and got a hotfix, which went everywhere.

    d  o---a-------b-------c-----------------D
            \\       \\       \\               /
    s  o-----S-------S-------S-----------S  /
              \\       \\       \\         /  /
    p  o-------v1------v2------v3--U---M  /
                                    \\ / \\/
    h                                h---
    """
    history = History("d", "s", "p")
    for line in "abc":
        history.add("d", line)
        history.promote("d", "s", "p")
    first = next(c for c in history.graph.first_parents(history.tip("p")) if history.content[c] == {"a"})
    history.roll_back("p", first)
    history.branch("h", "p")
    history.add("h", "h")
    for target in "psd":
        history.merge("h", target)
    return history


@pytest.fixture
def feature() -> History:
    """A feature is merged and promoted, then its merge is reverted on d: the undo is promoted like any change.

    f  o---f
            \\
    d  o-----D-------U
              \\       \\
    s  o-------S-------S
    """
    history = History("f", "d", "s")
    history.add("f", "f")
    history.merge("f", "d")
    merge = history.tip("d")
    history.merge("d", "s")
    assert history["s"] == "f"
    history.revert("d", merge)
    return history


@pytest.fixture
def redone(promoted: History) -> History:
    """V reverts U.

    p  o-------M---U---V
    """
    promoted.revert("p")
    return promoted
