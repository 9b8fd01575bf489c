"""Standard error and exit codes. Every message, error and hint of the program is written here."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from epoch_sql import errors
from epoch_sql.errors import EpochError

from . import output, streams
from .characters import harmless, visible

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_SHOW_CURSOR = b"\r\x1b[K\x1b[?25h"
_EPOCH_ERROR = re.compile(r"\b(Epoch[A-Z]\w*): (?:\1: )*([^\n]*)")
_HINT = re.compile(r" \(hint: ((?:(?! \(hint: ).)*)\)\s*$")
_LOCK = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<process>\d+)\)")
_COMMANDS = {
    r"FROM epoch_status\(\)": "epoch status",
    r"FROM epoch_tables\([^)]*\)": "epoch table list",
    r"FROM epoch_reflog\(\)": "epoch reflog",
    r"CALL epoch_init\(\) or epoch init": "epoch init",
    r"CALL epoch_commit\((.*)\)": r"epoch commit -m \1",
    r"CALL epoch_ignore\((.*)\)": r"epoch table ignore \1",
    r"CALL epoch_gc\(grace := INTERVAL 7 DAY\)": "epoch gc --grace '7 days'",
    r"CALL epoch_gc\(\)": "epoch gc",
    r"CALL epoch_fsck\(\)": "epoch fsck",
}
"""Calls that hints of SQL functions name, and the commands that do the same."""


class LockedError(EpochError):
    """The database file is open in another process."""


def run(command: Callable[[], object]) -> int:
    """Runs the program, reports failures on standard error, and gives the exit code."""
    code = _outcome(command)
    try:
        streams.flush()
    except (streams.ReaderLeft, streams.OutputError) as error:
        streams.give_up()
        if isinstance(error, streams.ReaderLeft):
            return BROKEN_PIPE
        return code or report(error)
    encoding = output.escaped()
    if encoding:
        warning(f"standard output is {encoding}: characters that it lacks are written as \\uXXXX")
    return code


def _outcome(command: Callable[[], object]) -> int:
    try:
        result = command()
        return result if isinstance(result, int) else DONE
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except (streams.ReaderLeft, BrokenPipeError):
        # `epoch log | head`: quiet.
        streams.give_up()
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.exceptions.Abort):
        message("interrupted")
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        _write(error.format_message())
        return USAGE
    except click.UsageError as error:
        _report_usage(error)
        return USAGE
    except Exception as error:  # noqa: BLE001 - the one place where errors become exit codes
        if os.environ.get("EPOCH_DEBUG") == "1":
            _write(harmless(traceback.format_exc()))
        return report(translate(error))


def report(error: EpochError) -> int:
    """Writes an error and its hint, and gives the exit code."""
    _write(f"error: {visible(error.message)}")
    if error.hint:
        hint(_as_command(error.hint))
    return error.exit_code


def message(text: str) -> None:
    """Writes one line that says what was done."""
    _write(visible(text))


def hint(text: str) -> None:
    """Writes what to type next."""
    _write(f"hint: {visible(text)}")


def warning(text: str) -> None:
    """Writes a warning: something was done differently than asked, or needs a look."""
    _write(f"warning: {visible(text)}")


def translate(error: Exception) -> EpochError:
    """The Epoch error that an exception is or carries in its text; any other failure by its first line.

    DuckDB hands an error of a Python function on as text that contains ``EpochConflict: message (hint: …)``.
    """
    if isinstance(error, EpochError):
        return error
    text = str(error)
    found = _EPOCH_ERROR.search(text)
    if found:
        return _parsed(found[1], found[2])
    locked = _LOCK.search(text)
    if locked:
        return LockedError(
            f"the database is locked by {locked['program']} (PID {locked['process']})",
            "close it there, or wait longer: epoch --wait SECONDS …",
        )
    if isinstance(error, OSError) or type(error).__module__.endswith("duckdb"):
        return EpochError(_first_line(text) or type(error).__name__)
    return EpochError(f"{type(error).__name__}: {_first_line(text)}", "set EPOCH_DEBUG=1 to see where")


Measure = Callable[[], tuple[int, int]]
"""How far work is: bytes done, and bytes in all (0: not known yet)."""


@contextmanager
def working(what: str, measure: Measure | None = None) -> Iterator[None]:
    """On a terminal, shows after a second that work is going on, and its progress if ``measure`` gives it."""
    with _ended_by_interrupts(), _shown(what, measure):
        yield


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Lets Ctrl-C end the program at once. The operation is then done or not done, as after a crash.

    Otherwise DuckDB continues in other threads, and reports the interrupt as various errors.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    shown = _SHOW_CURSOR if sys.stderr.isatty() else b""
    os.write(2, shown + b"interrupted\n")
    os._exit(INTERRUPTED)


@contextmanager
def _shown(what: str, measure: Measure | None) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_show_work, args=(what, ended, measure), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show_work(what: str, ended: threading.Event, measure: Measure | None) -> None:
    if ended.wait(1.0):
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    measured = (DownloadColumn(),) if measure else ()
    columns = (TextColumn("{task.description}"), BarColumn(pulse_style="cyan"), *measured, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        while not ended.wait(0.1 if measure else None):
            done, total = measure() if measure else (0, 0)
            progress.update(task, completed=done, total=total or None)


def _parsed(kind: str, text: str) -> EpochError:
    found = _HINT.search(text)
    told = text[: found.start()] if found else text
    known = getattr(errors, kind, EpochError)
    error_class = known if isinstance(known, type) and issubclass(known, EpochError) else EpochError
    return error_class(told.strip(), found[1] if found else None)


def _as_command(told: str) -> str:
    for statement, command in _COMMANDS.items():
        told = re.sub(statement, command, told)
    return told


def _report_usage(error: click.UsageError) -> None:
    _write(f"error: {visible(error.format_message())}")
    if error.ctx is not None:
        hint(f"{error.ctx.command_path} --help")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _write(text: str) -> None:
    # There is nowhere else to write a message that standard error does not take, and the work is done already.
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
