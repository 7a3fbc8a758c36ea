"""Views and events for tests, with sane defaults."""

from collections.abc import Mapping

from sidecar.notify.events import Issue, Notification, PassView, Position
from sidecar.observed.checks import Stage
from sidecar.settings import NotificationKind
from tests.worlds import NOW

EXPIRED = Issue(
    "mx-cert-expired", "a.example", "mx.a.example", False, "the certificate has ended", "renew it"
)
DENIED = Issue("mailcow.api", "mailcow", "", False, "mailcow refuses the key", None)


def view(
    *troubles: Issue,
    at: float = 0,
    stages: Mapping[str, Stage | None] | None = None,
    blind: bool = False,
    unseen: frozenset[tuple[str, str]] = frozenset(),
) -> PassView:
    """A view `at` seconds after the first, in which a.example is in testing and checked."""
    given: Mapping[str, Stage | None] = {"a.example": Stage.SOAKING} if stages is None else stages
    known = {name: Position(stage) for name, stage in given.items()}
    return PassView(NOW + at, known, {trouble.key: trouble for trouble in troubles}, blind, unseen)


def event(
    kind: NotificationKind = NotificationKind.ERROR,
    subject: str = "a.example",
    at: float = 0,
    *,
    message: str = "bad",
    todo: str | None = None,
    code: str = "code",
    critical: bool = False,
    was: str = "",
    now: str = "",
) -> Notification:
    """An event `at` seconds after the first."""
    code = "stage" if kind is NotificationKind.STAGE else code
    return Notification(kind, NOW + at, subject, message, todo, code, "", critical, was, now)
