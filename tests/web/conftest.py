"""Pages without a server, and their data, made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from epoch_sql.web.app import application
from epoch_sql.web.comparing import Comparisons
from epoch_sql.web.lease import Lease
from epoch_sql.web.page import Site
from tests.web.shop import GRACE, make_hostile, make_shop

if TYPE_CHECKING:
    from selenium import webdriver

    from tests.web.browser import Browser

HOST = "127.0.0.1:4000"
TOKEN = "the-token"

Pages = Callable[..., TestClient]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each repository."""
    folder = tmp_path_factory.mktemp("web")
    for make in (make_shop, make_hostile):
        (folder / make.__name__).mkdir()
        make(folder / make.__name__)
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "make_shop", tmp_path / "shop")
    return tmp_path / "shop" / "shop.duckdb"


@pytest.fixture
def hostile(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "make_hostile", tmp_path / "hostile")
    return tmp_path / "hostile" / "hostile.duckdb"


@pytest.fixture
def pages() -> Iterator[Pages]:
    """The pages of a database, to a browser that has come with the link, unless it is to come ``without`` it."""
    opened: list[TestClient] = []

    def start(database: Path, *, author: str = GRACE, read_only: bool = False, without: bool = False) -> TestClient:
        lease = Lease(database, author)
        site = Site(database, lease, Comparisons(lease.folder), author, read_only, "the-form-token", str)
        app = application(site, frozenset({HOST, "localhost:4000"}), TOKEN, "epoch_ui_4000")
        client = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
        client.__enter__()
        opened.append(client)
        if not without:
            client.get("/", params={"token": TOKEN})
        return client

    yield start
    for client in opened:
        client.__exit__()


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    # Only what runs in a browser waits for its import.
    from tests.web.browser import started

    chromium = started()
    yield chromium
    chromium.quit()


@pytest.fixture(scope="session")
def at_shop(driver: webdriver.Chrome, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from tests.web.browser import opened

    folder = tmp_path_factory.mktemp("looked-at") / "shop"
    shutil.copytree(made / "make_shop", folder)
    with opened(driver, folder / "shop.duckdb") as browser:
        yield browser


@pytest.fixture
def browser(at_shop: Browser) -> Browser:
    """A browser at the shop, for what changes nothing there."""
    from tests.web.browser import complaints

    at_shop.driver.get(at_shop.link)
    complaints(at_shop.driver)
    return at_shop
