"""What earlier passes left behind makes an action wait: a change that is under way, a refused key, a failure."""

from sidecar.formats.dotenv import ListEdit
from sidecar.observed.notice import NoticeCode
from sidecar.plan import decide
from sidecar.plan.actions import Action, AddPolicy, AdoptSame, EditConf, HealAcme, Plan, RestartAcme
from sidecar.plan.guards import RepeatedFailure, Waits, guarded, key_of
from sidecar.settings import Settings
from tests.plan.acme.test_restart import waiting
from tests.worlds import FILE_MAILCOW, NOW, World, observed

LATER = NOW + 600


def split(waits: Waits) -> tuple[list[type[Action]], dict[type[Action], tuple[str, float | None]]]:
    """What is done and what is held, with the reason and until when: a policy to add and a name to restart for."""
    plan = decide(observed(waiting(domains=("example.org", "new.example"))), Settings(), waits)
    done = [type(action) for action in plan.actions]
    return done, {type(hold.action): (hold.reason, hold.until) for hold in plan.held}


def test_nothing_waits_without_a_reason() -> None:
    """Both are done in one pass."""
    assert split(Waits()) == ([AdoptSame, AddPolicy, RestartAcme], {})


def test_acme_that_is_being_changed_is_not_changed_again() -> None:
    """Policies are written meanwhile."""
    reason = "acme-mailcow is being restarted, re-created or repaired"
    assert split(Waits(changing=True)) == ([AdoptSame, AddPolicy], {RestartAcme: (reason, None)})


def test_refused_key_holds_what_needs_it() -> None:
    """A restart needs none."""
    waits = Waits(denied_until=LATER, denied_because="read-only")
    held = {AddPolicy: ("mailcow refuses the key for writes", LATER)}
    assert split(waits) == ([AdoptSame, RestartAcme], held)
    plan = decide(observed(waiting()), Settings(), waits)
    (denied,) = [notice for notice in plan.notices if notice.code is NoticeCode.API_DENIED]
    assert "read-only" in denied.message


def test_action_that_failed_waits_and_no_other() -> None:
    """Counted by the kind of action and what it is about."""
    plan = decide(observed(waiting()), Settings())
    (restart,) = [action for action in plan.actions if isinstance(action, RestartAcme)]
    waits = Waits({key_of(restart): RepeatedFailure(3, LATER)})
    assert split(waits) == ([AdoptSame, AddPolicy], {RestartAcme: ("failed 3 times in a row", LATER)})


def test_of_several_keys_of_mailcow_conf_only_the_one_that_failed_waits() -> None:
    """Each is counted by itself, and the others are still written."""
    names = ("ADDITIONAL_SAN", "ADDITIONAL_SERVER_NAMES")
    edit = EditConf(dict.fromkeys(names, ListEdit(add=("mta-sts.*",))), "why")
    failed = Waits({key_of(edit.only({names[0]})): RepeatedFailure(1, LATER)})
    plan = guarded(Plan((edit,)), observed(World(mailcow=FILE_MAILCOW)), Settings(), failed)
    assert [tuple(action.edits) for action in plan.actions if isinstance(action, EditConf)] == [names[1:]]
    assert [tuple(hold.action.edits) for hold in plan.held if isinstance(hold.action, EditConf)] == [
        names[:1]
    ]
    both = Waits({key_of(edit.only({name})): RepeatedFailure(1, LATER) for name in names})
    plan = guarded(Plan((edit,)), observed(World(mailcow=FILE_MAILCOW)), Settings(), both)
    assert plan.actions == ()
    assert [hold.action for hold in plan.held] == [edit.only({name}) for name in names]


def test_failed_repair_of_acme_is_reported_as_long_as_one_is_needed() -> None:
    """What is wrong now is what a person reads; a repair that worked, or is not needed, is no longer mentioned."""

    def reported(action: Action, waits: Waits) -> list[tuple[str, str]]:
        plan = guarded(Plan((action,)), observed(World()), Settings(), waits)
        return [(notice.subject, notice.message) for notice in plan.notices]

    heal, edit = HealAcme("mailcow", "why"), EditConf({}, "why")
    assert reported(heal, Waits(not_healed="the Engine refuses")) == [("acme-mailcow", "the Engine refuses")]
    assert reported(heal, Waits()) == []
    assert reported(edit, Waits(not_healed="the Engine refuses")) == []
