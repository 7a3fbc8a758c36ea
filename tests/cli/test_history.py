"""`sidecar history`: what was done, and why."""

import json
from pathlib import Path

import pytest

from sidecar.cli.history import story
from sidecar.observed import ConfEntry, ConfEvent, Memory, Restart
from sidecar.observed.history import HistoryEvent
from sidecar.state.store import State
from tests.running import command
from tests.stage import stage

pytestmark = pytest.mark.integration

CONF = ConfEntry("ADDITIONAL_SAN", "mta-sts.example.org", ConfEvent.ADDED, 20.0)


async def test_history_shows_what_was_done_and_why(tmp_path: Path) -> None:
    """The newest last, of all or of one domain."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("example.net")
        await on.once()
        everything = await command(on.env, "history")
        one = await command(on.env, "history", "EXAMPLE.net")
        requests = len(on.mailcow.requests)
        as_json = await command(on.env, "history", "--json", "--limit", "1")
        assert len(on.mailcow.requests) == requests
    assert (everything.code, one.code, as_json.code) == (0, 0, 0)
    assert len(everything.out.splitlines()) == 2
    assert "add policy example.net: the domain has no policy" in one.out
    assert "example.org" not in one.out
    (event,) = json.loads(as_json.out)
    assert (event["what"], event["outcome"], event["detail"]) == ("add policy", "done", None)
    assert event["at"].endswith("Z")


async def test_an_empty_history_is_reported(tmp_path: Path) -> None:
    """An empty answer would look like a failure."""
    async with stage(tmp_path) as on:
        ended = await command(on.env, "history", "example.org")
    assert (ended.code, ended.out) == (0, "The sidecar has not done anything for example.org yet.")


async def test_failure_is_shown_with_its_detail(tmp_path: Path) -> None:
    """On its own line."""
    async with stage(tmp_path) as on:
        state = State.open(tmp_path / "state", 1.0)
        state.record([HistoryEvent(60.0, "example.org", "add policy", "it has none", "failed", "status 502")])
        state.close()
        ended = await command(on.env, "history")
    assert ended.out.splitlines() == [
        "1970-01-01 00:01+00:00  failed:  add policy example.org: it has none",
        "    status 502",
    ]


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
async def test_limit_is_a_number(tmp_path: Path, limit: str) -> None:
    """Everything else is refused before anything is opened."""
    async with stage(tmp_path) as on:
        ended = await command(on.env, "history", "--limit", limit)
    assert ended.code == 2
    assert "--limit" in ended.err


def test_story_of_a_domain_has_its_name_in_settings_and_restarts() -> None:
    """In the order of time; what is about another domain's name is left out."""
    added = HistoryEvent(10.0, "example.org", "add policy", "none", "done", None)
    memory = Memory(
        conf=(CONF, ConfEntry("ADDITIONAL_SAN", "mta-sts.example.net", ConfEvent.ADDED, 21.0)),
        restarts=(Restart(5.0, ("mta-sts.example.net",)), Restart(30.0, ("mta-sts.example.org",))),
    )
    assert [(e.at, e.subject) for e in story("example.org", [added], memory)] == [
        (10.0, "example.org"),
        (20.0, "mailcow.conf"),
        (30.0, "acme-mailcow"),
    ]
