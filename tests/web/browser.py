"""Chromium, as a test drives it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.web.test_serving import served

PROMOTION = "/promotion?source=staging&into=production"
ROWS = "/rows?source=staging&into=production&table=orders"


class Browser:
    """Chromium, at the pages of one start."""

    def __init__(self, driver: webdriver.Chrome, link: str, process: subprocess.Popen[str]) -> None:
        self.driver = driver
        self.link = link
        self.base = link.partition("/?")[0]
        self.process = process

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


def started() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    switches = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,900", "--disable-dev-shm-usage")
    for switch in (*switches, "--host-resolver-rules=MAP evil.example 127.0.0.1"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


@contextmanager
def opened(driver: webdriver.Chrome, database: Path, *options: str) -> Iterator[Browser]:
    with served(database, *options) as (process, link):
        driver.get(link)
        complaints(driver)
        yield Browser(driver, link, process)


def complaints(driver: webdriver.Chrome) -> list[str]:
    """What the browser says of the pages: scripts that fail, and what the policy stopped."""
    return [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
