"""Takes the pictures of ``epoch ui`` in the docs, in Chromium, from the data of ``epoch demo``.

``make pictures`` writes docs/images.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

IMAGES = Path(__file__).parent / "images"
PROMOTION = "?source=staging&into=production"
PAGES = {
    "environments": "/",
    "promotion": f"/promotion{PROMOTION}",
    "rows": f"/rows{PROMOTION}&table=planes",
    "history": "/history?ref=production",
}
REVIEWER = "Grace <grace@example.com>"
WIDTH, HEIGHT = 1280, 800

_PROGRAM = [sys.executable, "-c", "from epoch_sql.cli.main import main; main()"]


def main() -> None:
    """Run the demo, serve its pages, and take a picture of each."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="epoch-pictures-") as name:
        folder = Path(name) / "demo"
        subprocess.run([*_PROGRAM, "demo", "--keep", str(folder)], check=True, stdout=subprocess.DEVNULL)
        serve = [*_PROGRAM, "--author", REVIEWER, "--db", str(folder / "flights.duckdb"), "ui", "--no-browser"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as pages:
            assert pages.stdout
            try:
                _take(pages.stdout.readline().strip())
            finally:
                pages.terminate()


def _take(link: str) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in ("--headless=new", "--no-sandbox", f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        driver.get(link)
        for name, address in PAGES.items():
            driver.get(link.partition("/?")[0] + address)
            deadline = time.monotonic() + 60
            while driver.find_elements(By.CSS_SELECTOR, "[data-load]") and time.monotonic() < deadline:
                time.sleep(0.1)
            driver.save_screenshot(IMAGES / f"ui-{name}.png")
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
