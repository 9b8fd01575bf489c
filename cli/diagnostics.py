"""Standard error and exit codes. Every message, error and hint of the program is written here."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import click

from epoch_sql.advice import Advice, spelled
from epoch_sql.characters import harmless, harmless_json, visible
from epoch_sql.errors import EpochDatabaseError, EpochError, EpochOutputError

from . import output, streams
from .suggested import as_command

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_SHOW_CURSOR = b"\r\x1b[K\x1b[?25h"
_MESSAGES = "epoch.messages"
_OF_THE_PROGRAM = (
    click.ClickException,
    click.exceptions.Exit,
    click.exceptions.Abort,
    streams.ReaderLeft,
    BrokenPipeError,
    EpochOutputError,
)
"""Failures of the words of a command, or of its output, and not of its work."""


class Documented(Exception):
    """What ends a command with --json, and the messages before it: they are written as one document."""

    def __init__(self, failed: Exception, messages: list[str]) -> None:
        self.failed = failed
        self.messages = messages
        super().__init__(str(failed))


def run(program: Callable[[], object]) -> int:
    """Runs the program and gives its exit code. What went wrong is written to standard error."""
    code = _outcome(program)
    try:
        output.turn_pages()
        streams.flush()
    except (streams.ReaderLeft, EpochOutputError) as error:
        streams.give_up()
        if isinstance(error, streams.ReaderLeft):
            return BROKEN_PIPE
        return code or report(error)
    encoding = output.escaped()
    if encoding:
        warning(f"standard output is {encoding}: characters that it lacks are written as \\uXXXX")
    return code


def _outcome(program: Callable[[], object]) -> int:
    try:
        result = program()
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
        if isinstance(error, Documented):
            return _report_document(translate(error.failed), error.messages)
        return report(translate(error))


def report(error: EpochError) -> int:
    """Writes an error and its hint, and gives the exit code."""
    _write(f"error: {visible(error.message)}")
    if error.advice:
        advise(error.advice)
    return error.exit_code


@contextmanager
def documented() -> Iterator[None]:
    """A command with --json: a failure is one JSON document, with the messages that came before it."""
    meta = click.get_current_context().meta
    messages: list[str] = []
    meta[_MESSAGES] = messages
    try:
        yield
    except _OF_THE_PROGRAM:
        raise
    except Exception as error:
        failed = Documented(error, messages[:])
        messages.clear()
        raise failed from error
    finally:
        del meta[_MESSAGES]
        for line in messages:
            _write(line)


def _report_document(error: EpochError, messages: list[str]) -> int:
    suggested = error.suggestion
    document = {
        "kind": error.kind,
        "message": error.message,
        "facts": error.facts,
        "hint": error.hinted(as_command),
        "suggestion": suggested and vars(suggested),
        "messages": messages,
    }
    _write(harmless_json(json.dumps(document, indent=2, default=str)))
    return error.exit_code


def message(text: str) -> None:
    """Writes one line that says what was done."""
    _write(visible(text))


def stale(tables: Iterable[str]) -> None:
    """Writes a line for each derived table that has to be rebuilt."""
    for name in tables:
        message(f"stale: rebuild {name}")


def hint(text: str) -> None:
    """Writes what to type next."""
    _write(f"hint: {visible(text)}")


def advise(advice: Advice) -> None:
    """What to do next, with its suggestions as commands."""
    hint(spelled(advice, as_command))


def warning(text: str) -> None:
    """Writes a warning: something was done differently than asked, or needs a look."""
    _write(f"warning: {visible(text)}")


def translate(error: Exception) -> EpochError:
    """The Epoch error that an exception is; any other failure by its first line."""
    if isinstance(error, EpochError):
        return error
    if isinstance(error, OSError):
        return EpochError(_first_line(error))
    if type(error).__module__.endswith("duckdb"):
        from epoch_sql.extension.failing import locked

        known = locked(error)
        if known:
            known.advice = "close it there, or wait longer: epoch --wait SECONDS …"
        return known or EpochDatabaseError(_first_line(error))
    return EpochError(f"{type(error).__name__}: {_first_line(error)}", "set EPOCH_DEBUG=1 to see where")


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


def _report_usage(error: click.UsageError) -> None:
    _write(f"error: {visible(error.format_message())}")
    if error.ctx is not None:
        hint(f"{error.ctx.command_path} --help")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _write(text: str) -> None:
    context = click.get_current_context(silent=True)
    held: list[str] | None = context.meta.get(_MESSAGES) if context else None
    if held is not None:
        held.append(text)
        return
    # There is nowhere else to write a message that standard error does not take, and the work is done already.
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
