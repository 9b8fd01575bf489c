"""A shop on main, and its development branch, made once: what commands work on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from epoch_sql.cli.main import run
from tests.conftest import Epoch


@pytest.fixture
def folder(epoch: Epoch, tmp_path: Path) -> Path:
    """Where command lines run."""
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Callable[[str], None]:
    """Changes the data as any client would: without Epoch."""

    def change_data(sql: str) -> None:
        with duckdb.connect(str(folder / "shop.duckdb")) as connection:
            connection.execute(sql)

    return change_data


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repositories, made once for all tests, which work on copies: `shop`, and `developed` made of it."""
    folder = tmp_path_factory.mktemp("templates")
    database = folder / "shop" / "shop.duckdb"
    database.parent.mkdir()
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR, amount DECIMAL(10, 2))")
        connection.execute("INSERT INTO orders VALUES (1, 'Ada', 12.50), (2, 'Grace', 20.00)")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCH_AUTHOR", "Ada <ada@example.com>")
        assert run(["init", str(database)]) == 0
        database = shutil.copytree(database.parent, folder / "developed") / database.name
        assert run(["--db", str(database), "checkout", "-b", "development"]) == 0
        with duckdb.connect(str(database)) as connection:
            connection.execute("UPDATE orders SET amount = 25 WHERE id = 2")
            connection.execute("DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (3, 'Edsger', NULL)")
        assert run(["--db", str(database), "commit", "-m", "Correct the orders"]) == 0
    return folder


@pytest.fixture
def shop(epoch: Epoch, folder: Path, templates: Path) -> Epoch:
    """A repository with a table of two orders on main."""
    shutil.copytree(templates / "shop", folder, dirs_exist_ok=True)
    return epoch


@pytest.fixture
def developed(epoch: Epoch, folder: Path, templates: Path) -> Epoch:
    """Branch development, checked out, with one row added, one modified and one removed since main."""
    shutil.copytree(templates / "developed", folder, dirs_exist_ok=True)
    return epoch
