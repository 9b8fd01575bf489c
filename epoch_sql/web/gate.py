"""Who may talk to the pages: the browser that has the printed link, at the address that was printed, and no other site.

A page of another site can make a browser send requests to 127.0.0.1. So the gate checks, before anything else:

- Host, exact with its port. Another name that resolves to 127.0.0.1 (DNS rebinding) is refused.
- Origin, if a browser sends one. SameSite cookies do not help against another port of the same host.
- the cookie, which the browser gets for the token of the printed link, once for each start.
- for a POST: Sec-Fetch-Site, and that it is not read-only. ``acting`` checks the form's token.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # With no-referrer, Chromium sends "Origin: null" for the page's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

_METHODS = ("GET", "HEAD", "POST")


class Gate:
    """An ASGI application around another one.

    ``hosts`` are the names with the port that the pages have, ``token`` is that of the printed link, and ``cookie`` the
    name of the cookie: browsers do not keep cookies apart by port.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], token: str, cookie: str, *, read_only: bool) -> None:
        self.app = app
        self.hosts = hosts
        self.token = token
        self.cookie = cookie
        self.read_only = read_only
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.decode().lower() not in HEADERS]
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = self._refused(scope["method"], headers) or self._admitted(scope, headers)
        await (answer or self.app)(scope, receive, guarded)

    def _refused(self, method: str, headers: Mapping[str, str]) -> Response | None:
        """The answer to a request that does not come from these pages; None if it may."""
        host, origin = headers.get("host"), headers.get("origin")
        if host not in self.hosts:
            return PlainTextResponse("This is not the address that epoch ui printed.\n", 421)
        if method not in _METHODS:
            return PlainTextResponse("There is no such method here.\n", 405)
        elsewhere = PlainTextResponse("Requests of other sites are refused.\n", 403)
        if origin is not None and origin not in {f"http://{name}" for name in self.hosts}:
            return elsewhere
        if method == "POST":
            if headers.get("sec-fetch-site", "same-origin") != "same-origin":
                return elsewhere
            if self.read_only:
                return PlainTextResponse("epoch ui was started with --read-only.\n", 403)
        return None

    def _admitted(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """None for a browser with the cookie. It gets the cookie for the token, and an address without the token."""
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        cookies = {name: value for name, _, value in pairs}
        if _same(cookies.get(self.cookie, ""), self._session):
            return None
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if scope["method"] == "GET" and _same(query.pop("token", ""), self.token):
            # A path that begins with two slashes would be another host.
            path = "/" + scope["path"].lstrip("/")
            answer = RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
            answer.set_cookie(self.cookie, self._session, httponly=True, samesite="strict", path="/")
            return answer
        return PlainTextResponse("Open the link that epoch ui printed when it started.\n", 403)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
