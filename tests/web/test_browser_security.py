"""What other sites, hostile names and a stolen address get of the pages, in a real browser: nothing."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.web.browser import PROMOTION, ROWS, Browser, complaints, opened
from tests.web.shop import HOSTILE_CHECK, HOSTILE_TABLE
from tests.web.test_serving import served

pytestmark = pytest.mark.slow

EVERY = ("/", PROMOTION, ROWS, "/history", "/data?ref=production&table=customers", "/conflicts")


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
    with served(shop) as (process, link):
        driver.get(link.replace("127.0.0.1", "evil.example"))
        assert "This is not the address that epoch ui printed." in driver.page_source
        driver.get(link)
        browser = Browser(driver, link, process)
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


def test_nothing_is_asked_of_elsewhere(driver: webdriver.Chrome, browser: Browser) -> None:
    driver.get_log("performance")
    for address in EVERY:
        browser.go(address)
    asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = {e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"}
    assert urls and all(url.startswith((browser.base, "data:", "chrome")) for url in urls)


def test_the_cookie_is_for_this_start_alone_and_no_script_reads_it(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        [cookie] = [one for one in driver.get_cookies() if one["name"].endswith(browser.base.rpartition(":")[2])]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and "expiry" not in cookie
        assert cookie["value"] not in str(browser.script("document.cookie"))
        driver.delete_all_cookies()
        for address in ("/", "/history", "/static/epoch.js", "/static/epoch.css"):
            browser.go(address)
            assert browser.text("body") == "Open the link that epoch ui printed when it started."


def test_a_form_of_another_start_does_nothing(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop) as browser:
        browser.go("/conflicts")
        browser.script("document.querySelectorAll('[name=form_token]').forEach(one => one.value = 'guessed')")
        driver.find_element(By.CSS_SELECTOR, "button.danger").click()
        browser.until(lambda: "This form is of another start of epoch ui" in browser.text("body"))
        browser.go("/")
        assert "is in progress" in browser.text()
        complaints(driver)


def test_the_policy_stops_what_it_should(driver: webdriver.Chrome, browser: Browser) -> None:
    """As if somebody's text had become part of a page after all."""
    inline = """
        for (const [name, text] of [["script", "document.title = 'run'"], ["style", "main { display: none }"]]) {
            const one = document.createElement(name); one.textContent = text; document.body.append(one);
        }
        const image = document.createElement("img"); image.setAttribute("onerror", "document.title = 'run'");
        image.src = "http://127.0.0.1:1/x"; document.body.append(image);
        const base = document.createElement("base"); base.href = "http://evil.example/"; document.head.append(base);
        fetch("http://127.0.0.1:1/").then(() => "sent", error => String(error))
    """
    assert "TypeError" in str(browser.script(inline))
    assert driver.title != "run" and driver.find_element(By.TAG_NAME, "main").is_displayed()
    assert browser.script("document.baseURI") == browser.base + "/"
    stopped = " ".join(complaints(driver))
    for directive in ("script-src", "style-src", "img-src", "connect-src", "base-uri"):
        assert directive in stopped, directive
    names = ("x-content-type-options", "cache-control", "referrer-policy")
    heads = f"fetch('/').then(r => {list(names)}.map(name => r.headers.get(name)))"
    assert browser.script(heads) == ["nosniff", "no-store", "same-origin"]


def test_the_box_reads_and_writes_no_file(driver: webdriver.Chrome, shop: Path) -> None:
    secret = shop.parent / "secret.csv"
    secret.write_text("word\nswordfish\n")
    with opened(driver, shop) as browser:
        for sql in (f"FROM read_csv('{secret}')", f"COPY orders TO '{secret}'", "SET lock_configuration = false"):
            browser.go("/data?ref=production&sql=" + quote(sql))
            assert driver.find_elements(By.CSS_SELECTOR, "[role=alert]") and "swordfish" not in browser.text("body")
    assert secret.read_text() == "word\nswordfish\n"


def test_read_only_pages_have_no_form_that_acts(driver: webdriver.Chrome, shop: Path) -> None:
    with opened(driver, shop, "--read-only") as browser:
        for address in EVERY:
            browser.go(address)
            assert not driver.find_elements(By.CSS_SELECTOR, "form[method=post], a[href*=rollback]")
        sent = "fetch('/do', {method: 'POST', body: new URLSearchParams({action: 'give_up', into: 'development'})})"
        assert browser.script(f"{sent}.then(r => r.status)") == 403
        browser.go("/")
        assert "is in progress" in browser.text()
        complaints(driver)
