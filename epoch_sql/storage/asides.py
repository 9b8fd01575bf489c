"""What is written beside its place, under a name of its own, until it is complete. A note in the folder of the
repository names it meanwhile, so that what a process that was killed left can be removed."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PREFIX = ".epoch-"
_NAME = re.compile(rf"{re.escape(PREFIX)}[0-9a-f]{{32}}")


@contextmanager
def aside_of(place: Path, folder: Path | None) -> Iterator[Path]:
    """A path beside ``place``, at which nothing is left afterwards. With the ``folder`` of a repository, this removes
    what was left of others that it noted."""
    aside = place.absolute().with_name(f"{PREFIX}{uuid.uuid4().hex}")
    note = None
    if folder:
        notes = folder / "asides"
        _remove_left(notes)
        note = _noted(notes / aside.name, aside)
    try:
        yield aside
    finally:
        remove_aside(aside)
        if note:
            with suppress(OSError):
                Path(note.name).unlink()
            note.close()


def _noted(path: Path, aside: Path) -> IO[str] | None:
    """A note, locked while it is open. None where it cannot be written: then nothing is removed for anybody."""
    try:
        path.parent.mkdir(exist_ok=True)
        note = path.open("x", encoding="utf-8")
        _lock(note)
        note.write(str(aside))
        note.flush()
    except OSError:
        return None
    return note


def _remove_left(notes: Path) -> None:
    """Remove what notes name that nobody has locked, and these notes."""
    for path in notes.glob(f"{PREFIX}*"):
        # A note that is locked belongs to a process that is at work.
        with suppress(OSError), path.open(encoding="utf-8") as note:
            _lock(note)
            aside = Path(note.read())
            if aside.name == path.name and _NAME.fullmatch(aside.name):
                remove_aside(aside)
            path.unlink()


def _lock(note: IO[str]) -> None:
    """Lock a file until it is closed, or its process ends. Raises OSError if it is locked, or cannot be."""
    try:
        import fcntl
    except ImportError as error:
        raise OSError("this system has no such locks") from error
    fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_aside(aside: Path) -> None:
    """Remove a file or folder that is written aside, as far as it is there."""
    for path in (aside, aside.with_name(f"{aside.name}.wal")):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
