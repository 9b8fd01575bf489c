"""The addresses of the pages, and what answers them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from epoch_sql.errors import EpochError, MergeConflict
from epoch_sql.library import Repository
from epoch_sql.web import conflicts, data, environments, history, promotion, rows
from epoch_sql.web.acting import ACTIONS
from epoch_sql.web.gate import Gate
from epoch_sql.web.page import NO_PAGE, Page, Query, Site, link

LONGEST_FORM = 1_000_000
"""The most bytes of a form."""

Handler = Callable[[Repository, Query], Page]
ComparingHandler = Callable[[Site, Repository, Query], Page]

_PAGES: dict[str, Handler] = {
    "/history": history.history,
    "/commit": history.commit,
    "/data": data.data,
    "/row": data.row,
    "/conflicts": conflicts.conflicts,
}
_COMPARING: dict[str, ComparingHandler] = {
    "/": environments.environments,
    "/promotion": promotion.promotion,
    "/promotion/patterns": promotion.patterns,
    "/promotion/check": promotion.check,
    "/rollback": promotion.rollback,
    "/rows": rows.rows,
    "/record": rows.record,
}


def application(site: Site, hosts: frozenset[str], token: str, cookie: str) -> ASGIApp:
    """The pages behind their gate."""

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            # uvicorn raises SIGTERM again once this is over, so nothing that comes later is sure to run.
            site.close()

    pages: dict[str, ComparingHandler] = {path: partial(_apart, page) for path, page in _PAGES.items()}
    pages.update(_COMPARING)
    routes = [
        *(Route(path, _reading(site, page), methods=["GET"]) for path, page in pages.items()),
        Route("/do", partial(_act, site), methods=["POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    app = Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: partial(_missing, site)})
    return Gate(app, hosts, token, cookie, read_only=site.read_only)


def _apart(handler: Handler, _: Site, repository: Repository, query: Query) -> Page:
    """A page that keeps nothing."""
    return handler(repository, query)


def _reading(site: Site, handler: ComparingHandler) -> Callable[[Request], object]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(_read, site, handler, request)

    return answer


def _read(site: Site, handler: ComparingHandler, request: Request) -> Response:
    query = request.query_params
    try:
        with site.lease.read() as repository:
            page = handler(site, repository, query)
    except EpochError as error:
        page = site.of_error(error)
    except LookupError:
        # An argument is missing, or names what is not there.
        page = NO_PAGE
    return site.response(page, request.url.path, query.get("said"))


async def _act(site: Site, request: Request) -> Response:
    body = await _body(request)
    form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    if not secrets.compare_digest(form.get("form_token", "").encode(), site.form_token.encode()):
        return PlainTextResponse("This form is of another start of epoch ui: load its page again.\n", 403)
    action = ACTIONS.get(form.get("action", ""))
    if action is None:
        return PlainTextResponse("There is no such action.\n", 400)
    try:
        said = await run_in_threadpool(_done, site, action, form)
    except MergeConflict as stopped:
        return RedirectResponse(link("/conflicts", into=stopped.target, said=stopped.message), 303)
    except EpochError as error:
        return site.response(site.of_error(error, reload=False), "/do")
    except KeyError:
        return PlainTextResponse("The form is incomplete.\n", 400)
    back = form.get("back", "/")
    if not back.startswith("/") or back.startswith(("//", "/\\")):
        back = "/"
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode({'said': said})}", 303)


def _done(site: Site, action: Callable[[Repository, dict[str, str]], str], form: dict[str, str]) -> str:
    with site.lease.write() as repository:
        return action(repository, form)


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise HTTPException(413, "The form is too long.")
    return body


async def _missing(site: Site, request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NO_PAGE.status:
        return site.response(NO_PAGE, request.url.path)
    return PlainTextResponse(f"{error.detail}\n", error.status_code)
