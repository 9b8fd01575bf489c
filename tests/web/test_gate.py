"""Nobody but the browser with the printed link talks to the pages, whatever other sites make browsers send."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.conftest import HOST, TOKEN, Pages

EVERY = (
    "/",
    "/history",
    "/data",
    "/conflicts",
    "/promotion?source=staging&into=production",
    "/static/epoch.css",
    "/gone",
)


@pytest.mark.grid(every=4)
@pytest.mark.parametrize("address", EVERY)
@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=the-tokeN"])
def test_without_the_token_nothing_is_told(pages: Pages, shop: Path, address: str, token: str) -> None:
    client = pages(shop, without=True)
    answer = client.get(address + token)
    assert answer.status_code == 403
    assert "staging" not in answer.text and "orders" not in answer.text


def test_the_token_is_traded_for_a_cookie_and_leaves_the_address(pages: Pages, shop: Path) -> None:
    client = pages(shop, without=True)
    answer = client.get("/history", params={"ref": "staging", "token": TOKEN})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/history?ref=staging"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("epoch_ui_4000=")
    assert "httponly" in cookie and "samesite=strict" in cookie and "max-age" not in cookie and TOKEN not in cookie
    assert client.get("/history").status_code == 200


def test_a_path_with_two_slashes_redirects_to_no_other_host(pages: Pages, shop: Path) -> None:
    client = pages(shop, without=True)
    answer = client.get(f"http://{HOST}//evil.example/", params={"token": TOKEN})
    assert answer.headers["location"].startswith("/evil.example")


def test_the_cookie_of_another_start_is_refused(pages: Pages, shop: Path) -> None:
    first, second = pages(shop), pages(shop, without=True)
    second.cookies = first.cookies
    assert second.get("/history").status_code == 403


@pytest.mark.parametrize("host", ["evil.example:4000", "127.0.0.1", "127.0.0.1:4001", "localhost", "0.0.0.0:4000", ""])
def test_another_host_is_refused_even_with_the_token(pages: Pages, shop: Path, host: str) -> None:
    client = pages(shop)
    for address in ("/history", f"/?token={TOKEN}", "/static/epoch.js"):
        assert client.get(address, headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9400", "http://127.0.0.1", "https://127.0.0.1:4000", "null"]
)
def test_another_origin_is_refused(pages: Pages, shop: Path, origin: str) -> None:
    client = pages(shop)
    form = {"form_token": "the-form-token", "action": "give_up", "into": "development"}
    assert client.post("/do", data=form, headers={"origin": origin}).status_code == 403
    assert client.get("/history", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_form_that_another_site_sends_is_refused(pages: Pages, shop: Path, site: str) -> None:
    client = pages(shop)
    form = {"form_token": "the-form-token", "action": "give_up", "into": "development"}
    assert client.post("/do", data=form, headers={"sec-fetch-site": site}).status_code == 403
    assert client.post("/do", data=form, headers={"sec-fetch-site": "same-origin"}).status_code == 303


@pytest.mark.parametrize("token", [None, "", "the-form-tokeN", "é"])
def test_a_form_without_its_token_is_refused(pages: Pages, shop: Path, token: str | None) -> None:
    client = pages(shop)
    form = {"action": "give_up", "into": "development"} | ({"form_token": token} if token is not None else {})
    assert client.post("/do", data=form).status_code == 403
    assert "in progress" in client.get("/").text


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(pages: Pages, shop: Path, method: str) -> None:
    assert pages(shop).request(method, "/").status_code == 405


def test_reading_never_acts(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    assert client.get("/do", params={"action": "give_up", "into": "development"}).status_code in (404, 405)
    assert client.post("/history").status_code in (404, 405)


@pytest.mark.parametrize("address", EVERY)
def test_every_answer_has_the_strict_headers(pages: Pages, shop: Path, address: str) -> None:
    for client in (pages(shop), pages(shop, without=True)):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert (
            policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil.example"])
def test_an_action_goes_back_to_these_pages_only(pages: Pages, shop: Path, back: str) -> None:
    form = {"form_token": "the-form-token", "action": "give_up", "into": "development", "back": back}
    assert pages(shop).post("/do", data=form).headers["location"].startswith("/?said=")


def test_read_only_has_no_forms_and_takes_none(pages: Pages, shop: Path) -> None:
    client = pages(shop, read_only=True)
    for address in ("/", "/promotion?source=staging&into=production", "/conflicts"):
        assert 'method="post"' not in client.get(address).text
    form = {"form_token": "the-form-token", "action": "give_up", "into": "development"}
    assert client.post("/do", data=form).status_code == 403


def test_a_form_that_is_too_long_or_incomplete_is_refused(pages: Pages, shop: Path) -> None:
    client = pages(shop)
    form = {"form_token": "the-form-token", "action": "resolve", "into": "development"}
    assert client.post("/do", data=form | {"value": "x" * 1_100_000}).status_code == 413
    assert client.post("/do", data={"form_token": "the-form-token", "action": "review"}).status_code == 400
    assert client.post("/do", data=form | {"action": "__class__"}).status_code == 400
