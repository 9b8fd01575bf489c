"""Two clones that push at the same time: one wins, the other is told to fetch, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import MakeRepo
from tests.remote.conftest import Clone, sound

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROUNDS = 50
"""For each kind of remote: a hundred in all."""


class Racer:
    """A process that works on a clone of its own."""

    def __init__(self, database: Path, who: int) -> None:
        program = [sys.executable, "-m", "tests.remote.worker", "race", str(database), str(who)]
        self.process = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.communicate()


def both(racers: list[Racer], word: str) -> list[str]:
    for racer in racers:
        racer.say(word)
    return [racer.answer() for racer in racers]


@pytest.mark.timeout(600)
def test_fifty_rounds_of_two_pushes_at_once(make_repo: MakeRepo, clone: Clone, url: str, tmp_path: Path) -> None:
    repo = make_repo("CREATE TABLE work (who INTEGER, n INTEGER, PRIMARY KEY (who, n))")
    repo("CALL epoch_remote_add('origin', ?)", url)
    repo("CALL epoch_push()")
    copies = [clone(url) for _ in range(2)]
    for copy in copies:
        copy.close()
    wins = [0, 0]
    with ExitStack() as running:
        racers = [Racer(copy.path, who) for who, copy in enumerate(copies)]
        for racer in racers:
            running.callback(racer.close)
        for _ in range(ROUNDS):
            assert both(racers, "commit") == ["done", "done"]
            answers = both(racers, "push")
            assert sorted(answer.split()[0] for answer in answers) == ["pushed", "told"], answers
            winner = answers.index("pushed")
            wins[winner] += 1
            assert "EpochRemoteError" in answers[1 - winner]
            assert "fetch first: CALL epoch_pull('origin')" in answers[1 - winner]
            racers[1 - winner].say("settle")
            assert racers[1 - winner].answer() == "pushed"
            racers[winner].say("settle")
            assert racers[winner].answer() == "up-to-date"
    assert sum(wins) == ROUNDS
    final = clone(url)
    assert final("SELECT who, count(*), max(n) FROM work GROUP BY who ORDER BY who") == [
        (0, ROUNDS, ROUNDS),
        (1, ROUNDS, ROUNDS),
    ]
    assert final.one("SELECT count(*) FROM epoch_log() WHERE message LIKE '_/%'") == 2 * ROUNDS
    assert sound(final)
