"""Exceptions that nobody foresaw: logged once a day each, with their trace."""

from typing import NoReturn

from structlog.testing import capture_logs

from sidecar.host.unexpected import QUIET_S, Unexpected


def raised(kind: type[Exception], *, elsewhere: bool = False) -> Exception:
    """One that was raised here."""
    try:
        _there(kind) if elsewhere else _here(kind)
    except kind as error:
        return error
    raise AssertionError


def _here(kind: type[Exception]) -> NoReturn:
    raise kind("secret of a stranger")


def _there(kind: type[Exception]) -> NoReturn:
    raise kind("secret of a stranger")


def test_each_kind_is_logged_once_a_day() -> None:
    """By type and place, whichever host it is of."""
    now = 0.0
    unexpected = Unexpected(lambda: now)
    with capture_logs() as lines:
        for host in ("a.test", "b.test"):
            unexpected.reason(host, raised(LookupError))
        assert len(lines) == 1
        assert lines[0]["subject"] == "a.test"
        unexpected.reason("c.test", raised(KeyError))
        unexpected.reason("c.test", raised(LookupError, elsewhere=True))
        assert len(lines) == 3
        now = QUIET_S - 1
        unexpected.reason("a.test", raised(LookupError))
        assert len(lines) == 3
        now = QUIET_S
        unexpected.reason("a.test", raised(LookupError))
        assert len(lines) == 4


def test_sentence_names_the_subject_and_not_what_it_sent() -> None:
    """The text of an exception may hold octets of a stranger."""
    said = Unexpected().reason("a.test", raised(LookupError))
    assert "a.test" in said
    assert "LookupError" in said
    assert "stranger" not in said


def test_group_is_named_by_its_first_exception() -> None:
    """A task group wraps what was raised within."""
    unexpected = Unexpected()
    with capture_logs() as lines:
        for _ in range(2):
            unexpected.reason("a.test", ExceptionGroup("several", [raised(LookupError)]))
    assert len(lines) == 1
