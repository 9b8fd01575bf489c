"""Renders templates: their filters, and what every page shows."""

from __future__ import annotations

import re
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from epoch_sql.advice import Suggestion
from epoch_sql.characters import harmless, visible
from epoch_sql.diff.patterns import ChangePattern
from epoch_sql.errors import EpochError, EpochLockedError
from epoch_sql.model.patterns import counted, of_cells, of_rows
from epoch_sql.web.comparing import Comparisons
from epoch_sql.web.lease import Lease

Query = Mapping[str, str]
"""The arguments of an address."""

T = TypeVar("T")

_REMEMBERED = 200
_MAIL = re.compile(r"\s*<[^>]*>$")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True)
class Page:
    """A template with its values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Site:
    """What the pages of one start work with. ``form_token`` stands in every form, and ``spell`` says what to type."""

    database: Path
    lease: Lease
    comparisons: Comparisons
    author: str
    read_only: bool
    form_token: str
    spell: Callable[[Suggestion], str]
    _memory: OrderedDict[tuple[str, ...], Any] = field(default_factory=OrderedDict)

    def close(self) -> None:
        """Close what is open, and remove the private folder."""
        self.comparisons.close()
        self.lease.close()
        shutil.rmtree(self.lease.folder, ignore_errors=True)

    def remembered(self, kind: str, between: Sequence[str], make: Callable[[], T]) -> T:
        """What ``make`` gives, kept for what it is ``between``: two commits, which never change."""
        name = (kind, *between)
        if name not in self._memory:
            self._memory[name] = make()
            while len(self._memory) > _REMEMBERED:
                self._memory.popitem(last=False)
        found: T = self._memory[name]
        return found

    def response(self, page: Page, path: str, said: str | None = None) -> HTMLResponse:
        """A page as HTML. ``path`` is where it is, and ``said`` what the action before it did."""
        values = {
            "said": said,
            **page.values,
            "author": self.author,
            "database": self.database.name,
            "read_only": self.read_only,
            "form_token": self.form_token,
            "path": path,
        }
        return HTMLResponse(_TEMPLATES.get_template(page.template).render(values), page.status)

    def of_error(self, error: EpochError, *, reload: bool = True) -> Page:
        """The page of an error. If another program has the database open, it comes back by itself, to ``reload``."""
        if isinstance(error, EpochLockedError) and reload:
            return Page("busy.html", {"error": error}, 503)
        values = {"title": "That did not work", "message": error.message, "advice": error.hinted(self.spell)}
        return Page("error.html", values, 400)


NO_PAGE = Page(
    "error.html", {"title": "There is no such page", "message": "Nothing is at this address.", "advice": None}, 404
)


def link(path: str, **arguments: Any) -> str:
    """An address of these pages, without the arguments that are None or empty."""
    given = urlencode({name: value for name, value in arguments.items() if value is not None and value != ""})
    return f"{path}?{given}" if given else path


def first_line(message: str | None) -> str:
    """The first line of a commit's message."""
    return (message or "").partition("\n")[0]


def share(part: int, whole: int) -> str:
    """A share in percent, never rounded to nothing or to all."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent in (0, 100) else ">99.9 %" if percent >= 99.95 else f"{percent:.1f} %"


def _ago(moment: datetime) -> str:
    now = datetime.now(UTC)
    seconds = ((now if moment.tzinfo else now.replace(tzinfo=None)) - moment).total_seconds()
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"


def _shown(value: Any) -> str:
    """A value as text, with its control and direction characters made visible, and cut."""
    text = visible(str(value))
    return text if len(text) <= 400 else f"{text[:400]}…"


def _pattern(found: ChangePattern) -> str:
    """A pattern in words."""
    if found.diff_type == "modified" or found.pattern is None:
        return of_cells(found.column, found.pattern, found.cells, found.matching, found.value)
    return of_rows(found.column, found.pattern, found.value)


_TEMPLATES = Environment(
    loader=PackageLoader("epoch_sql.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    pattern=_pattern,
    ago=_ago,
    first_line=first_line,
    number=lambda number: "" if number is None else f"{number:,}",
    person=lambda author: _MAIL.sub("", author or ""),
    short=lambda commit: (commit or "")[:7],
    shown=_shown,
    shown_lines=harmless,
)
_TEMPLATES.globals.update(link=link, counted=counted, share=share)
