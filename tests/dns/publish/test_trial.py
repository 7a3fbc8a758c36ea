"""Accounts are tested: what they list, where names could be written, and nothing is written."""

from sidecar.cli.dns import as_json, as_text
from sidecar.dns.publish.port import Publisher
from sidecar.dns.publish.trial import tried
from sidecar.observed import Unseen
from sidecar.observed.record_sets import Key, RecordType, record_set
from sidecar.plan.publish.names import keys
from tests.dns.publish.memory import InMemory

ID = Key("_mta-sts.sub.example.org", RecordType.TXT)


async def test_each_name_is_written_by_the_account_with_the_closest_zone() -> None:
    """An account that cannot be used leaves the others alone; what no account serves is a task by hand."""
    wide = InMemory(("example.org",))
    close = InMemory(("sub.example.org",), {ID: record_set(ID.type, ["v=STSv1;id=1;"], 60)})
    accounts: dict[str, Publisher | Unseen] = {
        "wide": wide,
        "close": close,
        "silent": InMemory((), broken="the DNS server is silent"),
        "secretless": Unseen("token: /run/secrets/x cannot be read", 1.0),
    }
    names = (ID.name, "mta-sts.example.org", "mta-sts.example.net")
    trial = await tried(accounts, {name: keys(name) for name in names})
    assert not trial.well
    assert (wide.writes, close.writes) == (0, 0)
    assert as_text(trial).splitlines() == [
        "account wide: zones example.org",
        "account close: zones sub.example.org",
        "account silent: cannot be used: the DNS server is silent",
        "account secretless: cannot be used: token: /run/secrets/x cannot be read",
        "_mta-sts.sub.example.org: account close, zone sub.example.org: has TXT v=STSv1;id=1;",
        "mta-sts.example.net: no account serves its zone: a task by hand",
        "mta-sts.example.org: account wide, zone example.org: has nothing",
    ]
    found = as_json(trial)
    assert found["accounts"] == {
        "wide": {"zones": ["example.org"]},
        "close": {"zones": ["sub.example.org"]},
        "silent": {"trouble": "the DNS server is silent"},
        "secretless": {"trouble": "token: /run/secrets/x cannot be read"},
    }


async def test_trial_succeeds_when_everything_could_be_read() -> None:
    """Then the exit code is 0."""
    trial = await tried({"a": InMemory(("example.org",))}, {ID.name: keys(ID.name)})
    assert trial.well


async def test_without_accounts_it_says_what_to_do() -> None:
    """Every name is a task by hand."""
    trial = await tried({}, {ID.name: keys(ID.name)})
    assert (
        as_text(trial).splitlines()[0] == "There are no accounts: add them under dns.accounts in config.yml."
    )
    assert not trial.well


async def test_a_text_of_a_zone_stays_on_its_line() -> None:
    """A zone may hold anything."""
    odd = InMemory(("example.org",), {ID: record_set(ID.type, ["a\nb\x1b[31m" + "x" * 400], 60)})
    line = as_text(await tried({"a": odd}, {ID.name: keys(ID.name)})).splitlines()[-1]
    assert "\x1b" not in line
    assert len(line) == 300
