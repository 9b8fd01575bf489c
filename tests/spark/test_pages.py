"""The page about Spark is true: its blocks run on each engine, and print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT, Reader, blocks
from tests.spark.conftest import Engine

pytestmark = pytest.mark.slow


class EngineReader(Reader):
    """Someone who types Python where a session is."""

    engine: Engine

    def type_python(self, text: str) -> str:
        return str(self.engine("page", str(self.folder), text))


def test_examples_print_what_the_page_shows(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path.parent / "home-config"))
    monkeypatch.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
    reader = EngineReader(tmp_path)
    reader.engine = engine
    for block in blocks(ROOT / "docs/how-to/spark.md"):
        reader.follow(block)
