"""One session of each engine for all tests of a process, since the JVM of Spark takes 15 seconds to start.

The engines lie in folders of their own (``install_clients.sh``), so a session runs in another process, and tests have it
call functions of ``inside.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote.conftest import s3, s3_server  # noqa: F401 (fixtures)

ROOT = Path(__file__).parents[2]
ENGINES = ("sail", "spark")


class Engine:
    """A session of an engine in another process."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        clients = Path(os.environ["EPOCH_CLIENTS"]) / name
        assert clients.is_dir(), f"make test-all installs {name} below EPOCH_CLIENTS"
        # As setup.py installs it.
        (folder / "pyspark_epoch").symlink_to(ROOT / "epoch_sql/spark/pyspark_epoch")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (clients, ROOT, folder)))}
        environment["PYSPARK_PYTHON"] = sys.executable
        self.log = folder / f"{name}.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.spark.inside", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
            env=environment,
            cwd=folder,
        )

    def __call__(self, function: str, *arguments: Any) -> Any:
        """What a function of ``inside.py`` returns, for the session and some arguments. Fails with what it raises."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([function, arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            pytest.fail(f"{self.name} ended: {self.log.read_text()[-3000:]}")
        failed, result = json.loads(answer)
        if failed:
            pytest.fail(result, pytrace=False)
        return result

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Engine]]:
    """Gives the session of an engine, which is started when it is first asked for."""
    started: dict[str, Engine] = {}

    def of(name: str) -> Engine:
        if name not in started:
            started[name] = Engine(name, tmp_path_factory.mktemp(name))
        return started[name]

    yield of
    for engine in started.values():
        engine.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Engine:
    """Each engine."""
    return engines(request.param)
