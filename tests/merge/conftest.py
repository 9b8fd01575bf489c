"""What tests of undone promotions and of rollbacks begin with."""

from __future__ import annotations

import pytest

from tests.merge.environments import Environments, begun


@begun
def env(env: Environments) -> None:
    """Nothing but the branches."""


@begun
def undoing(env: Environments) -> None:
    """+a promoted to p, and the promotion reverted there.

    d  o---a
            \\
    s  o-----S
              \\
    p  o-------M---U
    """
    env.add("d", "a")
    env.promote("dsp")
    env.revert("p")
    env.expect(p="", s="a", d="a")


@pytest.fixture
def undone(undoing: Environments) -> tuple[Environments, str]:
    """The environments of ``undoing``, and the short id of the undo."""
    return undoing, undoing.tip("p")[:7]


@begun
def released(env: Environments) -> None:
    """Three promotions, tagged; p rolled back to the first by a commit that restores it; a hotfix, promoted everywhere.

    d  o---a-------b-------c-----------------D
            \\       \\       \\               /
    s  o-----S-------S-------S---------S   /
              \\       \\       \\       /   /
    p  o-------v1------v2------v3--U-/-M /
                                    \\/_//
    h                                x--
    """
    for number, letter in enumerate("abc", 1):
        env.add("d", letter)
        env.promote("dsp")
        env.tag(f"v{number}", "p")
    moved = env.roll_back("v1")
    assert moved[1:] == (0, 0, 2, [])
    env.expect(p="a", s="abc", d="abc")
    env.branch("h", "p")
    env.add("h", "x")
    for target in "psd":
        env.merge("h", target)
