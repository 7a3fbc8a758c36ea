"""What a person may ask for: whether it can be done, and why not."""

from dataclasses import replace

import pytest

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed import (
    FILE,
    AliasDomain,
    Backend,
    Domain,
    DomainList,
    Memory,
    PolicyMemory,
    Seen,
    Span,
    Unseen,
)
from sidecar.observed.words import command
from sidecar.plan.requests import (
    Basis,
    RequestRefusal,
    adopt_records_refusal,
    adopt_refusal,
    did_you_mean,
    held_by_senders_s,
    move_refusal,
    retire_refusal,
)
from sidecar.settings import Settings
from tests.worlds import FILE_MAILCOW, NOW, World, given_settings, observed, text

LISTED = DomainList(
    (Domain("example.org", True, False), Domain("example.net", True, False)),
    (AliasDomain("alias.example", "example.org", True),),
)


def policies(*keys: str, until: float | None = None) -> dict[str, PolicyMemory]:
    """These were seen served, up to now or until then."""
    return {key: PolicyMemory(spans=(Span(text(), 1.0, until),)) for key in keys}


def basis(
    backend: Backend | None = Backend.NATIVE, settings: Settings | None = None, **more: object
) -> Basis:
    """A mailcow with two domains."""
    memory = replace(Memory(believed=LISTED), **more)  # type: ignore[arg-type]
    return Basis(memory, settings or Settings(), LISTED, backend)


@pytest.mark.parametrize(
    ("policies_", "backend"),
    [
        ({}, None),
        (policies("example.org"), Backend.NATIVE),
        (policies(FILE), Backend.FILE),
        ({**policies("example.org"), **policies(FILE, until=2.0)}, Backend.NATIVE),
        ({**policies("example.org", until=2.0), **policies(FILE)}, Backend.FILE),
        ({FILE: PolicyMemory(spans=(Span(None, 1.0, None),))}, Backend.FILE),
        (policies("example.org", until=2.0), None),
    ],
)
def test_generation_is_remembered_by_what_is_served_now(
    policies_: dict[str, PolicyMemory], backend: Backend | None
) -> None:
    """Commands do not ask mailcow; where nothing tells, nothing is refused for it."""
    found = Basis.remembered(Memory(believed=LISTED, policies=policies_), Settings())
    assert found.backend is backend
    assert (adopt_refusal([FILE], found) is None) == (backend is not Backend.NATIVE)
    assert (adopt_refusal(["example.org"], found) is None) == (backend is not Backend.FILE)


def test_page_judges_by_what_the_last_pass_saw() -> None:
    """And by the memory where it saw nothing."""
    seen = observed(World())
    assert Basis.seen(seen, Settings()).backend is Backend.NATIVE
    assert Basis.seen(seen, Settings()).domains == frozenset({"example.org"})
    assert Basis.seen(replace(seen, mailcow=Seen(FILE_MAILCOW, NOW)), Settings()).backend is Backend.FILE
    blind = replace(seen, mailcow=Unseen("no", NOW), domains=Unseen("no", NOW), memory=Memory())
    assert Basis.seen(blind, Settings()).domains is None
    assert adopt_refusal(["anything.example"], Basis.seen(blind, Settings())) is None


def test_before_mailcow_was_seen_only_adopting_is_noted() -> None:
    """Retiring a domain that does not exist would look done."""
    found = Basis.remembered(Memory(), Settings())
    assert adopt_refusal(["example.org", FILE], found) is None
    assert retire_refusal([FILE], found, undo=False) is None
    for refusal in (
        retire_refusal(["example.org"], found, undo=False),
        move_refusal("mx.example", ["example.org"], found),
    ):
        assert refusal is not None
        assert "has not read the domains" in refusal.reason


@pytest.mark.parametrize("config", [{"exclude": ["example.org"]}, {"only": ["example.net"]}])
def test_domain_that_the_settings_leave_alone_is_refused(config: dict[str, object]) -> None:
    """With the key that says so."""
    found = basis(settings=given_settings(config))
    for refusal in (
        adopt_refusal(["example.org"], found),
        retire_refusal(["example.org"], found, undo=False),
        move_refusal("mx.example", ["example.org"], found),
    ):
        assert refusal is not None
        assert refusal.reason == "the sidecar does not manage example.org"
        assert refusal.remedy == f"change `{next(iter(config))}` in config.yml first"
    assert adopt_refusal(["example.net"], found) is None


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (adopt_refusal([], basis()), "name the domains to adopt, or --file for the policy file"),
        (
            adopt_refusal(["alias.example"], basis()),
            "alias.example is an alias domain, which has no policy of its own; name its domain: example.org",
        ),
        (
            move_refusal("mx.example", ["exmaple.org", "other.test"], basis()),
            "exmaple.org, other.test are not domains of this mailcow; did you mean example.org?",
        ),
        (
            move_refusal("mx_1.example", [], basis()),
            "'mx_1.example' is not a host name that an MX record may have",
        ),
        (move_refusal("mx.example", [FILE], basis()), None),
        (
            retire_refusal([FILE, "other.test"], basis(), undo=False),
            "other.test is not a domain of this mailcow",
        ),
        (retire_refusal([FILE], basis(Backend.FILE), undo=False), None),
        (
            retire_refusal(["example.org"], basis(Backend.FILE), undo=False),
            (
                f"this mailcow serves one policy file for all domains; {command('retire --all')}, or `exclude` in config.yml "
                "for a domain that should no longer count"
            ),
        ),
        (retire_refusal([FILE], basis(), undo=True), "nothing was retired, so there is nothing to undo"),
        (
            retire_refusal(["a.example", "b.example"], basis(retired=frozenset({"example.org"})), undo=True),
            "a.example, b.example were never retired, so there is nothing to undo",
        ),
    ],
)
def test_refusal_says_what_is_wrong_and_what_to_do_instead(
    refusal: RequestRefusal | None, words: str | None
) -> None:
    """In one line, as a person at a terminal reads it."""
    assert (refusal and str(refusal)) == words


def test_domain_of_its_own_that_is_an_alias_domain_too_can_be_adopted() -> None:
    """mailcow was asked for both lists one after the other, and it was changed meanwhile."""
    assert adopt_refusal(["alias.example"], basis(newcomers=frozenset({"alias.example"}))) is None


def test_newcomer_of_a_doubted_list_counts() -> None:
    """It is in mailcow's answer, whatever becomes of the rest."""
    assert adopt_refusal(["new.example"], basis(newcomers=frozenset({"new.example"}))) is None


def test_only_what_was_retired_is_taken_back() -> None:
    """Also of a domain that is no longer managed, or that mailcow no longer has."""
    found = basis(retired=frozenset({"gone.example"}), settings=given_settings({"only": []}))
    assert retire_refusal(["gone.example"], found, undo=True) is None
    assert retire_refusal([FILE], found, undo=True) is None
    refusal = retire_refusal(["gnoe.example"], found, undo=True)
    assert refusal is not None
    assert str(refusal) == (
        "gnoe.example was never retired, so there is nothing to undo; did you mean gone.example?"
    )
    together = retire_refusal(["example.org"], basis(retired=frozenset({FILE})), undo=True)
    assert together is not None
    assert together.remedy.endswith("sidecar retire --undo --all")


def test_time_that_senders_hold_is_the_longest_of_all() -> None:
    """Of a domain that was never looked at, what is assumed; of one in testing, nothing."""
    enforced = PolicyMemory(
        spans=(Span(None, 1.0, 2.0), Span(text(mode=Mode.ENFORCE, max_age=86_400), 2.0, None))
    )
    found = basis(
        policies={"example.org": enforced, "example.net": PolicyMemory(spans=(Span(None, 1.0, None),))}
    )
    assert held_by_senders_s("example.org", found) == 86_400
    assert held_by_senders_s("example.net", found) == 0
    assert held_by_senders_s(FILE, found) == 86_400
    assert held_by_senders_s("other.example", found) == 604_800
    never_served = replace(found.memory, policies={**found.memory.policies, FILE: PolicyMemory()})
    without = {FILE: PolicyMemory(), "example.net": found.memory.policy("example.net")}
    assert held_by_senders_s(FILE, replace(found, memory=never_served)) == 86_400
    assert held_by_senders_s(FILE, replace(found, memory=replace(found.memory, policies=without))) == 0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("exmaple.org", "; did you mean example.org?"),
        ("example.com", "; did you mean example.org?"),
        ("bucher.example", "; did you mean bücher.example?"),
        ("quite-another.test", ""),
    ],
)
def test_nearest_name_is_guessed(name: str, meant: str) -> None:
    """As people read it."""
    assert did_you_mean([name], ["example.org", "xn--bcher-kva.example"]) == meant


# --- DNS records -----------------------------------------------------------------------------------------


def test_only_records_of_this_mailcow_can_be_adopted() -> None:
    """A mistyped name would otherwise be stored and never used."""
    basis = Basis(Memory(), publishing(), LISTED, Backend.NATIVE)
    for name in ("mta-sts.example.org", "_mta-sts.example.org", "_smtp._tls.example.org"):
        assert adopt_records_refusal([name], basis) is None
    for name in ("www.example.org", "mta-sts."):
        assert "is not the name of a record" in str(adopt_records_refusal([name], basis))
    assert adopt_records_refusal(["mta-sts.anything.example"], replace(basis, listed=None)) is None
    shared = publishing(scheme="shared")
    assert adopt_records_refusal(["mta-sts.example.com"], replace(basis, settings=shared)) is None
    assert "did you mean example.org?" in str(adopt_records_refusal(["_mta-sts.exampel.org"], basis))


def test_records_are_not_adopted_by_a_sidecar_that_publishes_none() -> None:
    """It would never write them."""
    refusal = adopt_records_refusal(
        ["_mta-sts.example.org"], Basis(Memory(), Settings(), LISTED, Backend.NATIVE)
    )
    assert "does not publish DNS records" in str(refusal)


def publishing(**more: object) -> Settings:
    """Settings with one account."""
    account = {"type": "rfc2136", "server": "192.0.2.53", "key_name": "k", "secret_file": "/run/secret"}
    return given_settings({"dns": {"publish": "upsert", "accounts": {"home": account}, **more}})
