"""`retire` and `move-mx`: stored at once, carried out by the next pass, with the time that it takes."""

import asyncio
from pathlib import Path

import pytest

from sidecar.cli import execute, parser
from sidecar.formats.mtasts_policy import Mode, Policy, parse
from sidecar.host.errors import PermanentError
from sidecar.host.exits import Exit
from sidecar.plan.actions import EditPolicy, SwitchOff
from tests.running import command
from tests.stage import HOST, Stage, stage
from tests.worlds import policy, text

pytestmark = pytest.mark.integration


async def cli(on: Stage, *arguments: str) -> int:
    """Runs a command as the command line would, in this process."""
    return await asyncio.to_thread(execute, parser().parse_args(arguments), on.env)


async def test_domain_in_testing_is_retired_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody refuses mail for it."""
    async with stage(tmp_path) as on:
        await on.once()
        assert await cli(on, "retire", "example.org") == Exit.OK
        assert "withdrawn by the next pass" in capsys.readouterr().out
        report = await on.once()
        assert [type(o.action) for o in report.outcomes] == [SwitchOff]
        assert on.served() == {}
        assert (await on.once()).outcomes == ()
        assert await cli(on, "retire", "--undo", "example.org") == Exit.OK
        await on.once()
        assert on.served() == {"example.org": text()}


async def test_domain_in_enforce_is_retired_by_none_and_then_withdrawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be interrupted and resumed: each pass computes it from what is remembered."""
    async with stage(tmp_path, MTA_STS_MODE="enforce") as on:
        await on.once()
        assert await cli(on, "retire", "example.org") == Exit.OK
        assert "`none` with max_age 86400 is served" in capsys.readouterr().out
        report = await on.once()
        assert [o.action.policy.mode for o in report.outcomes if isinstance(o.action, EditPolicy)] == [
            Mode.NONE
        ]
        for half_days in range(1, 14):
            on.clock.ahead = half_days * 43_200
            assert (await on.once()).outcomes == ()
        on.clock.ahead = 7 * 86_400 + 60
        assert [type(o.action) for o in (await on.once()).outcomes] == [SwitchOff]


@pytest.mark.parametrize("wrong", [-365 * 86_400, 30 * 86_400])
@pytest.mark.parametrize("version", ["2026-07a", "2025-07"], ids=["native", "file"])
async def test_wrong_clock_withdraws_nothing_too_early(tmp_path: Path, version: str, wrong: float) -> None:
    """The clock is a year behind or a month ahead during a retirement, then right again: senders hold it for 7 days."""
    async with stage(tmp_path, version=version, MTA_STS_MODE="enforce") as on:
        await on.once()
        on.clock.wrong = wrong
        assert await cli(on, "retire", "--all") == Exit.OK
        await on.once()
        on.clock.wrong = 0
        on.clock.ahead = 3
        await on.once()
        for half_days in range(1, 14):
            on.clock.ahead = half_days * 43_200
            on.clock.wrong = wrong if half_days % 2 else 0
            await on.once()
            assert Mode.NONE in _modes(on)
        on.clock.ahead = 7 * 86_400 + 60
        await on.once()
        assert _modes(on) == set()


def _modes(on: Stage) -> set[Mode]:
    texts = [text.encode() for text in on.served().values()]
    if on.policy_file.exists():
        texts.append(on.policy_file.read_bytes())
    return {found.mode for text in texts if isinstance(found := parse(text), Policy)}


async def test_policy_file_is_retired_and_its_entries_are_removed(tmp_path: Path) -> None:
    """The file is removed; so is what the sidecar added to mailcow.conf."""
    async with stage(tmp_path, version="2025-07") as on:
        before = on.conf.read_bytes()
        await on.once()
        with pytest.raises(PermanentError, match="retire --all"):
            await cli(on, "retire", "example.org")
        assert await cli(on, "retire", "--all") == Exit.OK
        await on.once()
        assert not on.policy_file.exists()
        await on.once()
        assert on.conf.read_bytes() == before
        assert (await on.once()).outcomes == ()


async def test_moved_mx_is_served_beside_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the day from which the MX record may be switched is printed."""
    async with stage(tmp_path, MTA_STS_MODE="enforce") as on:
        await on.once()
        assert await cli(on, "move-mx", "mx2.example.org", "--domain", "example.org") == Exit.OK
        assert "may be switched:   from " in capsys.readouterr().out
        await on.once()
        assert parse(on.served()["example.org"].encode()) == policy(
            Mode.ENFORCE, 604_800, HOST, "mx2.example.org"
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["adopt", "new.example"],
        ["retire", "new.example"],
        ["move-mx", "mx2.example.org", "--domain", "new.example"],
    ],
    ids=" ".join,
)
async def test_domain_in_a_doubted_list_is_known(tmp_path: Path, arguments: list[str]) -> None:
    """The only alias domain was deleted, which is doubted for half an hour; the domain added since is there."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        on.mailcow.add_alias("alias.example", "example.org")
        await parts.passes.reconcile()
        on.mailcow.delete_alias("alias.example")
        on.mailcow.add_domain("new.example")
        on.clock.ahead = 60
        report = await parts.passes.reconcile()
        (doubt,) = [notice for notice in report.plan.notices if notice.code == "domains.doubted"]
        assert "lost 1 of 1 alias domains (alias.example) at once" in doubt.message
        assert await cli(on, *arguments) == Exit.OK
        with pytest.raises(PermanentError, match=r"other\.example"):
            await cli(on, *(word.replace("new.", "other.") for word in arguments))


async def test_a_domain_retired_with_all_cannot_be_taken_back_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be reported as served again, and would not be; `--undo --all` takes back all."""
    async with stage(tmp_path) as on:
        await on.once()
        assert await cli(on, "retire", "example.org") == Exit.OK
        assert await cli(on, "retire", "--all") == Exit.OK
        with pytest.raises(PermanentError, match="--undo --all"):
            await cli(on, "retire", "--undo", "example.org")
        await on.once()
        assert on.served() == {}
        assert await cli(on, "retire", "--undo", "--all") == Exit.OK
        assert "taken back" in capsys.readouterr().out
        await on.once()
        assert on.served() == {"example.org": text()}


async def test_domain_added_again_after_it_was_retired_and_deleted_is_served(tmp_path: Path) -> None:
    """The request was about the domain that was deleted."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("example.net")
        on.mailcow.add_domain("example.com")
        await on.once()
        assert await cli(on, "retire", "example.net") == Exit.OK
        await on.once()
        on.mailcow.delete_domain("example.net")
        await on.once()
        on.mailcow.add_domain("example.net")
        await on.once()
        assert "example.net" in on.served()


@pytest.mark.parametrize(
    "command",
    [
        ["retire", "example.org"],
        ["move-mx", "mx2.example.org", "--domain", "example.org"],
        ["adopt", "example.org"],
    ],
)
async def test_domain_that_is_not_managed_is_refused(tmp_path: Path, command: list[str]) -> None:
    """It would have no effect."""
    async with stage(tmp_path) as on:
        await on.once()
        on.configure("exclude: [example.org]\n")
        with pytest.raises(PermanentError, match="change `exclude` in"):
            await cli(on, *command)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retire"], "name the domains to retire, or --all"),
        (["retire", "--all", "example.org"], "name the domains to retire, or --all"),
        (["retire", "other.example"], "other.example is not a domain of this mailcow"),
        (["move-mx", "*"], "'*' is not a domain name"),
        (["move-mx", "a b"], "'a b' is not a domain name"),
        (["adopt", "exmaple.org"], "exmaple.org is not a domain of this mailcow; did you mean example.org?"),
        (["retire", "exmaple.org"], "exmaple.org is not a domain of this mailcow; did you mean example.org?"),
        (["move-mx", "mx.example", "--domain", "bucher.example"], "did you mean bücher.example?"),
        (["history", "exmaple.org"], "exmaple.org is not a domain of this mailcow; did you mean example.org?"),
        (["history", "nothing.like.it"], "nothing.like.it is not a domain of this mailcow"),
        (["adopt", "alias.example"], "an alias domain, which has no policy of its own; name its domain: example.org"),
        (["adopt", "--file"], "no policy file; name the domains: docker compose exec mta-sts-mailcow sidecar adopt DOMAIN"),
        (["retire", "--undo", "example.org"], "example.org was never retired, so there is nothing to undo"),
        (["retire", "--undo", "--all"], "nothing was retired, so there is nothing to undo"),
        (["status", "exmaple.org"], "exmaple.org is not a domain of this mailcow; did you mean example.org?"),
        (["records", "exmaple.org", "bucher.example"],
         "exmaple.org, bucher.example are not domains of this mailcow; did you mean example.org, bücher.example?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
async def test_impossible_requests_are_refused_with_a_reason(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    """In one line, with a suggestion; nothing is stored."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("bücher.example")
        on.mailcow.add_alias("alias.example", "example.org")
        await on.once()
        ended = await command(on.env, *arguments)
        assert (await on.once()).outcomes == ()
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_one_policy_file_is_adopted_as_a_file(tmp_path: Path) -> None:
    """And no domain by its name."""
    async with stage(tmp_path, version="2025-07") as on:
        await on.once()
        by_name = await command(on.env, "adopt", "example.org")
        as_file = await command(on.env, "adopt", "--file")
    assert (by_name.code, as_file.code) == (1, 0)
    assert "this mailcow serves one policy file for all domains; docker compose exec" in by_name.err
    assert as_file.out == "accepted: the next pass of the sidecar adopts mta-sts.txt"


async def test_undo_is_refused_if_one_of_the_domains_was_never_retired(tmp_path: Path) -> None:
    """The command is refused as a whole."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("example.net")
        await on.once()
        assert await cli(on, "retire", "example.net") == Exit.OK
        with pytest.raises(PermanentError, match=r"example\.org was never retired"):
            await cli(on, "retire", "--undo", "example.net", "example.org")
        await on.once()
        assert set(on.served()) == {"example.org"}
