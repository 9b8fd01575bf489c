"""The pages in a real browser: keys, what other sites try, the policy, accessibility, and what needs JavaScript."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import epoch_sql
from tests.web.shop import HOSTILE_CHECK, HOSTILE_TABLE, make_shop
from tests.web.test_lease import holder
from tests.web.test_serving import served

pytestmark = pytest.mark.slow

PROMOTION = "/promotion?source=staging&into=production"
ROWS = "/rows?source=staging&into=production&table=orders"
EVERY = (
    "/",
    PROMOTION,
    ROWS,
    f"{ROWS}&view=split&columns=all",
    "/history",
    "/data?ref=production&table=customers",
    "/conflicts",
)


class Browser:
    """Chromium, at the pages of one start."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def go(self, address: str) -> None:
        self.driver.get(self.base + address)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def all(self, selector: str) -> list[str]:
        return [element.text for element in self.driver.find_elements(By.CSS_SELECTOR, selector)]

    def text(self, selector: str = "main") -> str:
        return " ".join(self.driver.find_element(By.CSS_SELECTOR, selector).text.split())

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                if condition():
                    return
            except Exception as error:  # noqa: BLE001  # an element that was just replaced
                last: object = error
            else:
                last = self.text("body")[:2000]
            assert time.monotonic() < deadline, last
            time.sleep(0.05)

    def script(self, source: str) -> object:
        """What a script of the test's own gives, which the page's policy does not concern."""
        found = self.driver.execute_cdp_cmd(
            "Runtime.evaluate", {"expression": source, "awaitPromise": True, "returnByValue": True}
        )
        return found["result"].get("value")


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    switches = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,900", "--disable-dev-shm-usage")
    for switch in (*switches, "--host-resolver-rules=MAP evil.example 127.0.0.1"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    started = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield started
    started.quit()


@contextmanager
def opened(driver: webdriver.Chrome, database: Path, *options: str) -> Iterator[Browser]:
    with served(database, *options) as (_, link):
        driver.get(link)
        yield Browser(driver, link.partition("/?")[0])


def complaints(driver: webdriver.Chrome) -> list[str]:
    """What the browser says of the pages: scripts that fail, and what the policy stopped."""
    return [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]


def test_a_table_is_walked_by_keys(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        browser.go(ROWS)
        first = browser.all(".diff tbody tr")[0]
        browser.press("n")
        browser.until(lambda: "51–100 of 112" in browser.text(".pager"))  # noqa: RUF001
        assert browser.all(".diff tbody tr")[0] != first
        browser.press("p")
        browser.until(lambda: browser.all(".diff tbody tr")[0] == first)
        driver.find_element(By.LINK_TEXT, "last").click()
        browser.until(lambda: len(browser.all(".diff tbody tr")) == 12)
        driver.back()
        browser.until(lambda: len(browser.all(".diff tbody tr")) == 50)
        browser.press("s")
        browser.until(
            lambda: "view=split" in driver.current_url and driver.find_elements(By.CSS_SELECTOR, "table.split")
        )
        driver.find_element(By.TAG_NAME, "body").send_keys("s")
        browser.until(lambda: not driver.find_elements(By.CSS_SELECTOR, "table.split"))
        few = len(browser.all(".diff thead th"))
        driver.find_element(By.TAG_NAME, "body").send_keys("c")
        browser.until(lambda: len(browser.all(".diff thead th")) > few)
        driver.find_element(By.TAG_NAME, "body").send_keys("/")
        browser.press("-2000", Keys.ENTER)
        browser.until(lambda: "1–1 of 1 row" in browser.text(".pager"))  # noqa: RUF001
        browser.press(Keys.ESCAPE)
        driver.find_element(By.TAG_NAME, "body").send_keys("j")
        browser.press(Keys.ENTER)
        browser.until(lambda: "Modified" in browser.text("#record"))
        browser.press(Keys.ESCAPE)
        browser.until(lambda: not driver.find_element(By.ID, "record").text)
        browser.press("?")
        browser.until(lambda: driver.find_element(By.ID, "help").is_displayed())
        browser.press(Keys.ESCAPE)
        browser.until(lambda: not driver.find_element(By.ID, "help").is_displayed())
        driver.find_element(By.TAG_NAME, "body").send_keys("u")
        browser.until(lambda: "/promotion?" in driver.current_url)
        assert complaints(driver) == []


def test_a_promotion_is_walked_by_keys_and_what_was_viewed_is_remembered(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        browser.go(PROMOTION)
        assert "0 of 2 viewed" in browser.text()
        driver.find_element(By.TAG_NAME, "body").send_keys("j")
        browser.press("v")
        browser.until(lambda: "1 of 2 viewed" in browser.text())
        driver.refresh()
        browser.until(lambda: "1 of 2 viewed" in browser.text())
        driver.find_element(By.TAG_NAME, "body").send_keys("j")
        browser.press(Keys.ENTER)
        browser.until(lambda: "/rows?" in driver.current_url)


def test_what_takes_longer_comes_when_it_is_there(driver: webdriver.Chrome, tmp_path: Path) -> None:
    shop = make_shop(tmp_path, orders=60_000)
    with opened(driver, shop) as browser:
        browser.go(PROMOTION)
        browser.until(lambda: "amount: -2 in 30,000 of 30,001" in browser.text())
        assert not driver.find_elements(By.CSS_SELECTOR, "[data-load]")
        assert complaints(driver) == []


def test_approve_merge_and_settle_by_clicks(driver: webdriver.Chrome, shop: Path) -> None:
    with epoch_sql.open(shop) as repo:
        repo.check_remove("amounts-are-positive")
    with opened(driver, shop, *("--read-only",)) as browser:
        browser.go(PROMOTION)
        assert "This page is read-only." in browser.text() and not driver.find_elements(By.TAG_NAME, "textarea")
    os.environ["EPOCH_AUTHOR"] = "Grace <grace@example.com>"
    try:
        with opened(driver, shop) as browser:
            browser.go(PROMOTION)
            assert not driver.find_element(By.CSS_SELECTOR, "button.wide").is_enabled()
            driver.find_element(By.TAG_NAME, "textarea").send_keys("As we said")
            driver.find_element(By.CSS_SELECTOR, "button[value=approve]").click()
            browser.until(lambda: "Approved staging" in browser.text("body"))
            driver.find_element(By.CSS_SELECTOR, "button.wide").click()
            browser.until(lambda: "Merged staging into production" in browser.text("body"))
            assert "Nothing to merge" in browser.text()
            browser.go("/conflicts")
            driver.find_element(By.CSS_SELECTOR, "button[data-take=theirs]").click()
            browser.until(lambda: "1 of 2 conflicts settled" in browser.text())
            assert complaints(driver) == []
    finally:
        del os.environ["EPOCH_AUTHOR"]


class Evil(http.server.BaseHTTPRequestHandler):
    """A page of another site on the same machine."""

    base = ""

    def do_GET(self) -> None:
        form = (
            f'<form id=f method=post action="{self.base}/do"><input name=action value=give_up>'
            "<input name=into value=development></form><script>f.submit()</script>"
        )
        read = (
            f'<iframe id=i src="{self.base}/"></iframe><script>fetch("{self.base}/", {{credentials: "include"}})'
            '.then(r => r.text()).then(t => document.title = "read " + t.length, e => document.title = "blocked")</script>'
        )
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write((form if self.path == "/form" else read).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_other_sites_and_other_names_get_nothing(driver: webdriver.Chrome, shop: Path) -> None:
    with served(shop) as (_, link):
        driver.get(link.replace("127.0.0.1", "evil.example"))
        assert "This is not the address that epoch ui printed." in driver.page_source
        driver.get(link)
        browser = Browser(driver, link.partition("/?")[0])
        assert "token" not in driver.current_url and "staging" in browser.text()
        Evil.base = browser.base
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            elsewhere = f"http://127.0.0.1:{server.server_port}"
            driver.get(f"{elsewhere}/form")
            browser.until(lambda: "Requests of other sites are refused." in driver.page_source)
            driver.get(f"{elsewhere}/read")
            browser.until(lambda: driver.title == "blocked")
            driver.switch_to.frame(driver.find_element(By.ID, "i"))
            assert "staging" not in driver.page_source
            driver.switch_to.default_content()
        finally:
            server.shutdown()
        browser.go("/")
        assert "is in progress" in browser.text()
    complaints(driver)


def test_hostile_names_run_nothing_and_the_policy_had_nothing_to_stop(driver: webdriver.Chrome, hostile: Path) -> None:
    table = quote(HOSTILE_TABLE)
    addresses = (
        "/",
        PROMOTION,
        f"/rows?source=staging&into=production&table={table}",
        f"/rows?source=staging&into=production&table={table}&view=split&columns=all",
        f"/promotion/check?source=staging&into=production&name={quote(HOSTILE_CHECK)}",
        "/history",
        f"/data?ref=staging&table={table}",
        "/data?ref=staging&sql=" + quote("SELECT '<script>alert(9)</script>' AS \"<script>alert(10)</script>\""),
        "/?said=" + quote("<script>alert(11)</script>"),
        "/data?ref=" + quote('"><script>alert(12)</script>'),
    )
    with opened(driver, hostile) as browser:
        complaints(driver)
        for address in addresses:
            browser.go(address)
            browser.until(lambda: not driver.find_elements(By.CSS_SELECTOR, "[data-load]"))
            # An alert would make this fail.
            assert driver.title
            assert not driver.find_elements(By.CSS_SELECTOR, "script:not([src='/static/epoch.js']), main img, iframe")
        browser.go(addresses[2])
        driver.find_element(By.TAG_NAME, "body").send_keys("j")
        browser.press(Keys.ENTER)
        browser.until(lambda: "Modified" in browser.text("#record"))
        assert [c for c in complaints(driver) if "400 (Bad Request)" not in c] == []


def test_nothing_is_asked_of_elsewhere(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        driver.get_log("performance")
        for address in EVERY:
            browser.go(address)
        asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        urls = {e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"}
        assert urls and all(url.startswith((browser.base, "data:", "chrome")) for url in urls)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing(driver: webdriver.Chrome, shop: Path, scheme: str, width: int) -> None:
    axe = Path(os.environ["EPOCH_CLIENTS"], "axe", "node_modules", "axe-core", "axe.min.js").read_text(encoding="utf-8")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    check = "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)]))"
    try:
        with opened(driver, shop) as browser:
            for address in (*EVERY, "/promotion/check?source=staging&into=production&name=amounts-are-positive"):
                browser.go(address)
                browser.script(axe)
                assert browser.script(check) == [], address
                wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                assert browser.script(wide) == 0, f"{address} is wider than the window"
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_late_answer_of_an_earlier_request_does_not_win(driver: webdriver.Chrome, shop: Path) -> None:
    """The first filter's answer is held back until the second one's has come."""
    slow = """
        const before = window.fetch;
        window.fetch = (url, options) => String(url).includes("kind=removed")
            ? new Promise((done, gone) => {
                options.signal.addEventListener("abort", () => gone(new DOMException("aborted", "AbortError")));
                setTimeout(() => before(url, {}).then(done), 1500);
              })
            : before(url, options);
    """
    with opened(driver, shop) as browser:
        browser.go(ROWS)
        browser.script(slow)
        browser.script("document.querySelector('a.k-removed').click()")
        browser.script("document.querySelector('a.k-added').click()")
        browser.until(lambda: "of 10 rows" in browser.text(".pager"))
        time.sleep(2)
        assert "of 10 rows" in browser.text(".pager") and "kind=added" in driver.current_url


def test_a_page_of_a_database_in_use_comes_back_by_itself(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        time.sleep(1.5)
        other = holder(shop)
        browser.go("/history")
        assert "The database is in use" in browser.text() and str(other.pid) in browser.text()
        other.communicate("")
        browser.until(lambda: "Bob has moved" in browser.text())
