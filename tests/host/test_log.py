"""The log: one line an event, no secret in it, and nothing from outside that plays with the reader's terminal."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sidecar.host.errors import PermanentError, TemporaryError
from sidecar.host.log import configure, plain, redact
from tests.running import ROOT

NOW = 1_795_515_302.25  # 2026-11-24 10:15:02+00:00 UTC
KEY = "4F8A2C-1B3D5E-7F9A0B-2C4D6E-8F0A1B"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC, and the global configuration as it was before."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@dataclass
class Log:
    """A configured log and what was written to it."""

    stream: io.StringIO
    say: Any

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def last(self) -> dict[str, Any]:
        """The last line, as JSON."""
        return dict(json.loads(self.text.splitlines()[-1]))


def log(*, as_json: bool = False, stream: io.StringIO | None = None, **options: Any) -> Log:
    """A log with sane defaults."""
    stream = stream or io.StringIO()
    given_or_sane: dict[str, Any] = {"now": lambda: NOW, "env": {}} | options
    configure(json=as_json, stream=stream, **given_or_sane)
    return Log(stream, structlog.get_logger())


class Mode(StrEnum):
    TESTING = "testing"


# --- for people ------------------------------------------------------------------------------------------


def test_an_event_is_one_aligned_line() -> None:
    """Time, level, event, values."""
    logged = log()
    logged.say.info("policy added", domain="example.org", mode=Mode.TESTING, reason="a new domain")
    logged.say.warning("held", until=None, ours=True, count=3)
    logged.say.error("no values here, and a text that is longer than the column")
    assert logged.text == (
        '2026-11-24 10:15:02+00:00 info     policy added            domain=example.org mode=testing reason="a new domain"\n'
        "2026-11-24 10:15:02+00:00 warning  held                    until=- ours=yes count=3\n"
        "2026-11-24 10:15:02+00:00 error    no values here, and a text that is longer than the column\n"
    )


VALUES = [
    ("plain", "plain", "needs no quotes"),
    ("mta-sts.bücher.example", "mta-sts.bücher.example", "letters of any script are shown"),
    ("two words", '"two words"', "a space would end the value"),
    ("", '""', "nothing would be overlooked"),
    ("a=b", '"a=b"', "looks like a value of its own"),
    ('publish: TXT "v=1;"', """'publish: TXT "v=1;"'""", "a record with quotes can be pasted"),
    ("'x", """"'x\"""", "would open a quote that a later value closes"),
    ("""say "it's" """, r'''"say \"it's\" "''', "quotes of both kinds"),
    ("C:\\n", r'"C:\\n"', "a backslash that is there differs from one that escapes"),
    ("one\ntwo", r'"one\ntwo"', "would be two lines"),
    ("\x1b[2Jgone", r'"\x1b[2Jgone"', "would clear the terminal"),
    ("\x9b2J", r'"\x9b2J"', "the same with one C1 character"),
    ("abc\u202egro", r'"abc\u202egro"', "would turn the direction of writing"),
    ("a\u2028b", r'"a\u2028b"', "a line end for some readers"),
    ("bad \udcff", r'"bad \udcff"', "a byte that is no UTF-8"),
    (("a.example", "b.example"), "a.example,b.example", "a list"),
    (frozenset({"b", "a"}), "a,b", "a set, in order"),
    ({"a": 1}, "a:1", "a mapping"),
    (Path("/mailcow/data"), "/mailcow/data", "whatever else: its text"),
    (b"bytes\xff", r'"bytes\\xff"', "bytes"),
    (ValueError("odd"), "odd", "an exception as a value"),
    (ValueError(), "ValueError", "one without a text"),
    (1.5, "1.5", "a number"),
]


@pytest.mark.parametrize(("value", "shown", "case"), VALUES, ids=[case for _, _, case in VALUES])
def test_a_value_is_shown_without_harm(value: object, shown: str, case: str) -> None:
    """And it is clear where it ends."""
    logged = log()
    logged.say.info("x", value=value)
    assert logged.text.rstrip("\n").split("value=", 1)[1] == shown


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_is_said_stays_one_line(event: str, value: str) -> None:
    """In both forms; and JSON gives back what was said."""
    logged = log()
    logged.say.info(event, value=value, **{"odd\nkey": value})
    assert len(logged.text.splitlines()) == 1
    assert logged.text[:-1].isprintable()
    logged = log(as_json=True)
    logged.say.info(event, value=value)
    assert len(logged.text.splitlines()) == 1
    assert logged.text.isascii()
    assert logged.last()["value"] == value
    assert logged.last()["event"] == event


_SHOWN = re.compile(r"""(?P<key>[a-z]+)=(?P<value>'[^']*'|"(?:[^"\\]|\\.)*"|[^\s"'=\\]+)(?: |$)""")


@given(*[st.text(st.sampled_from("ab'\"= \\\n,"), max_size=8)] * 3)
def test_no_value_looks_like_another_one(first: str, second: str, third: str) -> None:
    """Whoever reads the quotes finds these three, and nothing else."""
    logged = log()
    logged.say.info("x", a=first, b=second, c=third)
    rest = logged.text.rstrip("\n").partition("  a=")[2]
    found = list(_SHOWN.finditer(f"a={rest}"))
    assert [one["key"] for one in found] == ["a", "b", "c"]
    assert "".join(one[0] for one in found) == f"a={rest}"
    for one, meant in zip(found, (first, second, third), strict=True):
        shown = one["value"]
        if shown.startswith('"'):
            assert shown[1:-1].encode().decode("unicode_escape") == meant
        else:
            assert shown.strip("'") == meant


def test_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """TZ, as mailcow.conf sets it; JSON says the offset."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    logged = log()
    logged.say.info("x")
    assert logged.text.startswith("2026-11-24 11:15:02+01:00 ")
    logged = log(as_json=True)
    logged.say.info("x")
    assert logged.last()["time"] == "2026-11-24T11:15:02.250+01:00"


@pytest.mark.parametrize(
    ("stream", "env", "coloured", "case"),
    [
        (Terminal, {}, True, "a terminal"),
        (Terminal, {"NO_COLOR": ""}, True, "set to nothing is not set (no-color.org)"),
        (Terminal, {"NO_COLOR": "1"}, False, "somebody does not want them"),
        (Terminal, {"TERM": "dumb"}, False, "a terminal that cannot"),
        (io.StringIO, {}, False, "a pipe, as in docker compose logs"),
    ],
)
def test_colours_are_for_terminals(
    stream: Callable[[], io.StringIO], env: dict[str, str], coloured: bool, case: str
) -> None:
    """And what is left without them is the same line."""
    logged = log(stream=stream(), env=env)
    logged.say.info("policy added", domain="example.org")
    assert ("\x1b[" in logged.text) is coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", logged.text)
    assert bare == "2026-11-24 10:15:02+00:00 info     policy added            domain=example.org\n"


def test_levels_below_the_chosen_one_are_not_shown() -> None:
    """By name; an unknown name is a mistake in the settings."""
    logged = log(level="warning")
    logged.say.info("no")
    logged.say.warning("yes")
    assert "no" not in logged.text
    assert "yes" in logged.text
    with pytest.raises(ValueError, match="'loud' is none of debug, info, warning, error, critical"):
        log(level="loud")


# --- JSON ------------------------------------------------------------------------------------------------


def test_json_has_its_keys_in_order() -> None:
    """One object a line, plain values as they are."""
    logged = log(as_json=True)
    logged.say.warning(
        "held", names=("b", "a"), until=None, n=2, share=0.5, odd=float("nan"), more={"a": Mode.TESTING}
    )
    assert list(logged.last().items()) == [
        ("time", "2026-11-24T10:15:02.250+00:00"),
        ("level", "warning"),
        ("event", "held"),
        ("names", ["b", "a"]),
        ("until", None),
        ("n", 2),
        ("share", 0.5),
        ("odd", "nan"),
        ("more", {"a": "testing"}),
    ]


def test_a_callers_key_does_not_replace_the_time() -> None:
    """The three keys that readers rely on are the log's own."""
    logged = log(as_json=True)
    logged.say.info("x", time="noon")
    assert logged.last()["time"] == "2026-11-24T10:15:02.250+00:00"


# --- failures --------------------------------------------------------------------------------------------


def _raise(error: BaseException) -> None:
    raise error


def _failing(say: Any, error: BaseException) -> None:
    """Logs `error` as the top of a pass does, from where it was caught."""
    try:
        try:
            _raise(KeyError("the cause"))
        except KeyError as cause:
            raise error from cause
    except type(error):
        say.exception("the pass failed")


EXPECTED = [
    (TemporaryError("the API answered 500; see its log"), "the API answered 500; see its log", "alone"),
    (
        ExceptionGroup(
            "tasks", [TemporaryError("first"), ExceptionGroup("more", [PermanentError("second")])]
        ),
        "first; second",
        "gathered by task groups",
    ),
]


@pytest.mark.parametrize(("error", "message", "case"), EXPECTED, ids=[case for _, _, case in EXPECTED])
def test_an_expected_failure_is_its_message(error: Exception, message: str, case: str) -> None:
    """No trace, neither its own nor its cause's."""
    logged = log()
    _failing(logged.say, error)
    assert logged.text == f'2026-11-24 10:15:02+00:00 error    the pass failed         error="{message}"\n'
    logged = log(as_json=True)
    _failing(logged.say, error)
    assert logged.last()["error"] == message
    assert "exception" not in logged.last()


def test_a_message_that_is_the_event_is_not_repeated() -> None:
    """`log.error(str(error), exc_info=error)`."""
    logged = log()
    logged.say.error("locked by another", exc_info=TemporaryError("locked by another"))
    assert logged.text == "2026-11-24 10:15:02+00:00 error    locked by another\n"


BUGS = [
    (ZeroDivisionError("by zero"), "a bug"),
    (ExceptionGroup("tasks", [TemporaryError("first"), ZeroDivisionError("by zero")]), "beside a failure"),
]


@pytest.mark.parametrize(("error", "case"), BUGS, ids=[case for _, case in BUGS])
def test_a_bug_is_shown_with_its_whole_trace(error: Exception, case: str) -> None:
    """With its cause; after the line, or as one string of the JSON object."""
    logged = log()
    _failing(logged.say, error)
    first, *trace = logged.text.splitlines()
    assert first == "2026-11-24 10:15:02+00:00 error    the pass failed"
    assert all(line.startswith("    ") for line in trace)
    assert "test_log.py" in logged.text
    assert "KeyError: 'the cause'" in logged.text
    assert "by zero" in logged.text
    logged = log(as_json=True)
    _failing(logged.say, error)
    assert len(logged.text.splitlines()) == 1
    assert logged.last()["exception"].startswith("Traceback")
    assert "by zero" in logged.last()["exception"]


def test_exc_info_without_an_error_says_nothing_of_one() -> None:
    """`exc_info=True` outside of a handler, and the false values."""
    logged = log()
    for nothing in (True, False, None, (None, None, None)):
        logged.say.info("x", exc_info=nothing)
    assert logged.text == "2026-11-24 10:15:02+00:00 info     x\n" * 4


# --- secrets ---------------------------------------------------------------------------------------------

AWKWARD = 'p /ä"+%\\s'
FORMS = [
    (KEY, KEY, "as it is"),
    (KEY, f"x-api-key: {KEY}, again {KEY}", "in the middle, and twice"),
    (AWKWARD, AWKWARD, "characters that mean something elsewhere"),
    (AWKWARD, quote(AWKWARD), "in a path"),
    (AWKWARD, quote(AWKWARD, safe=""), "in a query"),
    (AWKWARD, quote_plus(AWKWARD), "in a form"),
    (AWKWARD, quote(AWKWARD, safe="").lower(), "quoted in lower case"),
    (AWKWARD, json.dumps(AWKWARD, ensure_ascii=False), "in JSON"),
    (AWKWARD, repr(AWKWARD), "in a repr"),
]


@pytest.mark.parametrize(("secret", "text", "case"), FORMS, ids=[case for _, _, case in FORMS])
def test_every_form_of_a_secret_is_replaced(secret: str, text: str, case: str) -> None:
    """Nothing of it is left."""
    event = redact([secret])(None, "info", {"event": f"<{text}>"})
    assert isinstance(event, dict)
    left = event["event"]
    assert "***" in left
    assert not any(part in left for part in (secret, text, KEY[:6], "%5C", "%5c", "ä"))


class Tricky:
    """Shows the key only when it is rendered."""

    def __str__(self) -> str:
        return f"headers: {KEY}"


PLACES: list[tuple[Callable[[Any], object], str]] = [
    (lambda say: say.info(f"key {KEY}"), "the event"),
    (lambda say: say.info("x", key=KEY), "a value"),
    (lambda say: say.info("x", **{KEY: 1}), "a key"),
    (lambda say: say.info("x", deep={"a": [("b", {KEY: KEY})]}), "deep inside"),
    (lambda say: say.info("x", odd=Tricky()), "an object"),
    (lambda say: say.info("x", raw=f"{KEY}".encode()), "bytes"),
    (lambda say: say.info("x", path=Path(KEY)), "a path"),
    (lambda say: say.info("x", error=ValueError(KEY)), "an exception as a value"),
    (lambda say: say.info(ValueError(KEY)), "an exception as the event"),
    (lambda say: _failing(say, TemporaryError(f"tried with {KEY}")), "the message of a failure"),
    (lambda say: _failing(say, ValueError(KEY)), "the trace of a bug"),
    (lambda say: logging.getLogger("aiohttp.client").warning("sent %s", KEY), "another library's log"),
    (lambda say: structlog.contextvars.bind_contextvars(bound=KEY) and say.info("x"), "the context"),
]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("place", "case"), PLACES, ids=[case for _, case in PLACES])
def test_a_secret_reaches_no_line(as_json: bool, place: Callable[[Any], object], case: str) -> None:
    """Wherever it stands."""
    logged = log(as_json=as_json, secrets=["", " ", KEY])
    place(logged.say)
    structlog.contextvars.clear_contextvars()
    assert KEY not in logged.text
    assert "***" in logged.text


def test_the_longer_of_two_secrets_goes_first() -> None:
    """So that its end is not left."""
    event = redact(["abcd", "abcdefgh"])(None, "info", {"event": "abcdefgh abcd"})
    assert event == {"event": "*** ***"}


def test_no_secret_hides_nothing() -> None:
    """Empty ones are none."""
    assert redact(["", "  "])(None, "info", {"event": "a b"}) == {"event": "a b"}


def test_a_logger_made_before_learns_of_a_new_secret() -> None:
    """The settings are read after the first lines were written."""
    logged = log()
    logged.say.info("before")
    again = log(secrets=[KEY])
    logged.say.info(KEY)
    assert "***" in again.text
    assert KEY not in again.text


# --- the edges -------------------------------------------------------------------------------------------


def test_other_libraries_are_logged_from_warning_on() -> None:
    """Each record once, however often the log was set up."""
    log()
    logged = log()
    for name in ("aiohttp.server", "asyncio", "docker.api", "urllib3.connectionpool"):
        logging.getLogger(name).info("too much")
        logging.getLogger(name).warning("line one\nline two of %s", name)
    logging.getLogger("x").log(35, "a level of its own")
    lines = logged.text.splitlines()
    assert len(lines) == 5
    assert lines[0].endswith(r"warning  line one\nline two of aiohttp.server logger=aiohttp.server")
    assert " warning  a level of its own " in lines[4]


async def test_a_lost_exception_of_a_task_is_logged() -> None:
    """asyncio tells of it through logging, with the trace."""
    logged = log(as_json=True)
    try:
        _raise(ZeroDivisionError("lost"))
    except ZeroDivisionError as error:
        asyncio.get_running_loop().call_exception_handler({"message": "never retrieved", "exception": error})
    assert logged.last()["logger"] == "asyncio"
    assert "ZeroDivisionError: lost" in logged.last()["exception"]


class Closed(io.StringIO):
    """A pipe that nobody reads."""

    tries = 0

    def write(self, _text: str, /) -> int:
        self.tries += 1
        raise BrokenPipeError


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """Neither a broken pipe nor a closed stream."""
    broken = Closed()
    log(stream=broken).say.info("x")
    assert broken.tries > 0
    logged = log()
    logged.stream.close()
    logged.say.info("x")
    assert logged.stream.closed


def test_a_stream_that_cannot_show_a_letter_gets_its_number() -> None:
    """A container without a locale."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii", write_through=True) as stream:
        configure(json=False, stream=stream, now=lambda: NOW, env={})
        structlog.get_logger().info("bücher")
        assert raw.getvalue() == b"2026-11-24 10:15:02+00:00 info     b\\xfccher\n"


class Broken:
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def test_an_object_without_a_text_stops_nothing() -> None:
    """It is named by its type."""
    assert plain(Broken()) == "<Broken without a text>"


def test_lines_of_threads_stay_whole() -> None:
    """Blocking calls log from threads."""
    logged = log()
    threads = [
        threading.Thread(target=lambda: [logged.say.info("x" * 50, n=1) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(logged.text.splitlines()) == {f"2026-11-24 10:15:02+00:00 info     {'x' * 50} n=1"}
    assert logged.text.count("\n") == 200


@pytest.mark.integration
def test_lines_are_written_without_a_file_left_to_open() -> None:
    """Nothing that a line is made with may be loaded only when it is needed: then it could not be."""
    code = """
import os, resource, sys
from sidecar.host import log
import structlog
log.configure(json=sys.argv[1] == "json", stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    pass
say = structlog.get_logger()
say.warning("a\\x07b", value="c\\u202ed")
try:
    try:
        "".attribut
    except AttributeError as error:
        raise ImportError("no", name="sidecar") from error
except ImportError as error:
    say.error("a bug", exc_info=error)
import logging
logging.getLogger("asyncio").error("from %s", "elsewhere", exc_info=OSError(24, "Too many open files"))
"""
    for form in ("text", "json"):
        done = subprocess.run(
            [sys.executable, "-X", "utf8=0", "-c", code, form],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "iso8859-15"},
        )
        assert (done.returncode, done.stderr) == (0, ""), form
        assert all(
            said in done.stdout
            for said in ("a\\u0007b" if form == "json" else "a\\x07b", "Import", "elsewhere")
        )
