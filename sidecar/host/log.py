"""How events are written: one line each, for people or as JSON, and never with a secret in it.

Rule for every editor: all text from outside is made harmless here, so that callers need not do it: secrets are
replaced before rendering, control characters are escaped, and a log that cannot be written does not stop the
process. An expected failure (`SidecarError`) is logged as its message, a bug with its trace. What is logged, and how
often, does not belong here.
"""

import codecs
import logging
import math
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from json import dumps
from typing import Any, TextIO, TypeAlias

from sidecar.host.errors import SidecarError
from sidecar.host.lean import EventDict, Processor, WrappedLogger, structlog

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

HIDDEN = "***"
LEVELS = ("debug", "info", "warning", "error", "critical")
_LEVEL_WIDTH = 8
_EVENT_WIDTH = 23
_FIRST_KEYS = ("time", "level", "event")

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_COLOURS = {
    "debug": _DIM,
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
_KEY_COLOUR = "\x1b[36m"


def configure(
    *,
    json: bool,
    stream: TextIO,
    level: str = "info",
    secrets: Iterable[str] = (),
    env: Mapping[str, str] = os.environ,
    now: Callable[[], float] = time.time,
) -> None:
    """Sends all events of structlog, and the warnings of other libraries, to `stream`; may be called again.

    `level` is the least that is shown: debug, info, warning, error or critical. `secrets` appear nowhere.
    Times are local ones (TZ) with their offset. Colours only for a terminal, and not with NO_COLOR. Raises ValueError for an
    unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(LEVELS)}")
    prepare(stream)
    coloured = stream.isatty() and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            explain,
            redact(secrets),
            json_line(now) if json else human_line(now, coloured=coloured),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines(stream),
        cache_logger_on_first_use=False,  # so that loggers made before learn of new secrets
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Forward)]:
        root.removeHandler(handler)
    root.addHandler(_Forward())
    root.setLevel(logging.WARNING)


def prepare(stream: TextIO) -> None:
    """Loads what lines are made with: where no more files can be opened, it could not be loaded when it is needed."""
    for codec in (getattr(stream, "encoding", None) or "utf-8", "unicode_escape"):
        codecs.lookup(codec)
    # A trace loads its own parts, by the kind of the error, when the first one is made.
    for error in (AttributeError("a", name="a", obj=""), NameError("a", name="a"), SyntaxError("a")):
        traceback.format_exception(error)


# --- processors ------------------------------------------------------------------------------------------


def explain(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turns `exc_info` into `error` (the message of an expected failure) or `exception` (the trace of a bug)."""
    error: BaseException | None = None
    match event.pop("exc_info", None):
        case (BaseException() as error) | (_, BaseException() as error, _):
            pass
        case True:
            error = sys.exc_info()[1]
    if error is None:
        return event
    message = _expected(error)
    if message is None:
        try:
            event["exception"] = "".join(traceback.format_exception(error)).rstrip()
        except (OSError, ImportError, LookupError):  # no file can be opened for what a trace is made with
            event["exception"] = f"{type(error).__name__}: {_text(error)} (without a trace)"
    elif message not in str(event.get("event")):
        event.setdefault("error", message)
    return event


def _expected(error: BaseException) -> str | None:
    """The message where a person needs no trace; a task group's failures are one if all of them are."""
    if isinstance(error, BaseExceptionGroup):
        messages = [_expected(inner) for inner in error.exceptions]
        found = [message for message in messages if message is not None]
        return "; ".join(found) if len(found) == len(messages) else None
    return str(error) if isinstance(error, SidecarError) else None


def redact(secrets: Iterable[str]) -> Processor:
    """A processor that replaces each of `secrets` by `***` in every string of an event, however deep.

    URL-quoted and backslash-escaped forms are found too. Other values (an exception, a path) are
    converted to text first, so that no secret appears later, when they are rendered.
    """
    known = sorted({secret for secret in secrets if secret.strip()}, key=len, reverse=True)
    pattern = re.compile("|".join(_any_form(secret) for secret in known)) if known else None

    def hide(value: Plain) -> Plain:
        match value:
            case str() if pattern is not None:
                return pattern.sub(HIDDEN, value)
            case list():
                return [hide(item) for item in value]
            case dict():
                return {str(hide(key)): hide(item) for key, item in value.items()}
            case _:
                return value

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(hide(key)): hide(plain(value)) for key, value in event.items()}

    return processor


def _any_form(secret: str) -> str:
    """A pattern for the secret in which each character may be as it is, or URL-quoted, or after a backslash."""
    parts = []
    for character in secret:
        quoted = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
        forms = [re.escape(character), f"(?i:{quoted})"]
        if character == " ":
            forms.append(r"\+")
        if character in "\\\"'/":
            forms.append(re.escape("\\" + character))
        parts.append(f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})")
    return "".join(parts)


def plain(value: Any) -> Plain:
    """`value` as JSON knows it; whatever else it is, as its text. Never raises."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Enum():
            return plain(value.value)
        case str():
            return str(value)
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Mapping():
            return {_text(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            items = [plain(item) for item in value]
            return items if isinstance(value, list | tuple) else sorted(items, key=str)
        case _:
            return _text(value)


def _text(value: object) -> str:
    try:
        return str(value) or type(value).__name__  # many exceptions have no text
    except Exception:  # noqa: BLE001 - a foreign __str__ must not end the pass that logs it
        return f"<{type(value).__name__} without a text>"


# --- lines -----------------------------------------------------------------------------------------------


def json_line(now: Callable[[], float]) -> Processor:
    """Renders an event as one line of JSON in ASCII: time (ISO 8601), level and event come first."""

    def render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
        local = datetime.fromtimestamp(now(), UTC).astimezone()
        first = {
            "time": local.isoformat(timespec="milliseconds"),
            "level": event.get("level"),
            "event": event.get("event"),
        }
        return dumps(first | {key: value for key, value in event.items() if key not in _FIRST_KEYS})

    return render


def human_line(now: Callable[[], float], *, coloured: bool) -> Processor:
    """Renders an event as one line for people; only the trace of a bug follows on lines of its own."""

    def paint(text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if coloured else text

    def render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
        level = str(event.get("level", ""))
        message = escaped(_shown(event.get("event", "")))
        trace = str(event.get("exception", "")).splitlines()
        values = [
            f"{paint(escaped(key), _KEY_COLOUR)}={_quoted(_shown(value))}"
            for key, value in event.items()
            if key not in {*_FIRST_KEYS, "exception"}
        ]
        line = " ".join(
            [
                datetime.fromtimestamp(now(), UTC).astimezone().isoformat(" ", "seconds"),
                paint(level.ljust(_LEVEL_WIDTH), _COLOURS.get(level, "")),
                paint(message.ljust(_EVENT_WIDTH if values else 0), _BOLD),
                *values,
            ]
        )
        return "\n".join([line, *(f"    {escaped(part)}" for part in trace)])

    return render


def escaped(text: str) -> str:
    """`text` on one line, with nothing in it that moves a cursor or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shown(value: Plain) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ",".join(_shown(item) for item in value)
        case dict():
            return ",".join(f"{key}:{_shown(item)}" for key, item in value.items())
        case _:
            return str(value)


def _quoted(text: str) -> str:
    """In quotes if it would otherwise be unclear where the value ends."""
    if text and text.isprintable() and not any(character in text for character in " \"'=\\"):
        return text
    if text.isprintable() and '"' in text and not any(character in text for character in "'\\"):
        return f"'{text}'"  # a TXT record stays as it is pasted
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


class _Lines:
    """Writes lines to a stream: whole, from any thread, and without ever failing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._guard = threading.Lock()

    def __call__(self, *_names: object) -> "_Lines":
        """The logger that structlog asks its factory for."""
        return self

    def write(self, line: str) -> None:
        """One line, or a line and its trace."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        safe = line.encode(encoding, "backslashreplace").decode(encoding)
        with self._guard:
            try:
                self._stream.write(safe + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                # A closed pipe or a full disk under the log: it cannot be reported anywhere.
                pass

    notset = debug = info = warning = error = critical = write


class _Forward(logging.Handler):
    """Sends what other libraries log by Python's logging the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = LEVELS[min(max(record.levelno // 10 - 1, 0), len(LEVELS) - 1)]
            say = getattr(structlog.get_logger(), level)
            say(record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 - a wrong format string of a library is reported as logging does it
            self.handleError(record)
