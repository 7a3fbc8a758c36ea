"""The commands as a person or a script calls them: what they change, print and return."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.simulated import API, Fault
from sidecar.cli import COMMANDS, once, parser
from sidecar.host.lock import PassLock
from sidecar.observed import FILE
from sidecar.state.store import State
from tests.running import ROOT, command, process
from tests.stage import Stage, stage
from tests.worlds import text

pytestmark = pytest.mark.integration

NAME = "mta-sts.example.org"


def contents(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder: by path the mode, the time of the last change, and the bytes."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted([root, *root.rglob("*")])
    }


# --- exit codes -----------------------------------------------------------------------------------------


async def test_once_with_nothing_failed_ends_with_zero(tmp_path: Path) -> None:
    """Held actions included: the name does not resolve yet."""
    async with stage(tmp_path) as on:
        first, second = await command(on.env, "once"), await command(on.env, "once")
    assert (first.code, second.code) == (0, 0)
    assert "add policy example.org" in first.out
    assert f"publish: {NAME}. 120 IN CNAME mail.example.org." in second.out


@pytest.mark.parametrize("name", ["once", "plan", "run", "adopt"])
async def test_wrong_settings_end_every_command_with_two(tmp_path: Path, name: str) -> None:
    """All mistakes in one message, each with its file, line and key; mailcow gets no request."""
    async with stage(tmp_path, config="mode: enforced\nmax_age: -1\n") as on:
        on.more["MTA_STS_POLL"] = "soon"
        ended = await command(on.env, name, *(["example.org"] if name == "adopt" else []))
        assert on.mailcow.requests == []
    assert ended.code == 2
    assert ended.err.splitlines()[0] == "the settings have 3 mistakes:"
    for part in ("config.yml:1: mode: ", "config.yml:2: max_age: ", "MTA_STS_POLL: "):
        assert part in ended.err


@pytest.mark.parametrize("name", ["once", "plan"])
@pytest.mark.parametrize("fault", [Fault.HTML_500, Fault.KEY_GONE, Fault.REFUSED])
async def test_mailcow_that_cannot_be_read_ends_it_with_three(
    tmp_path: Path, name: str, fault: Fault
) -> None:
    """mailcow's answer is reported, without a traceback."""
    async with stage(tmp_path) as on:
        on.mailcow.fail(API, fault)
        ended = await command(on.env, name)
    assert ended.code == 3
    assert "mailcow could not be read" in ended.out
    assert on.mailcow.url in ended.out
    assert "Traceback" not in ended.err


async def test_once_gives_up_waiting_for_the_lock_and_names_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """75 is EX_TEMPFAIL: try again later."""
    monkeypatch.setattr(once, "WAITS_S", 0.1)
    async with stage(tmp_path) as on, PassLock(tmp_path / "state", command="run"):
        assert await once.run(parser().parse_args(["once"]), on.env) == 75
        assert on.mailcow.requests == []
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "waited 0.1 s for the lock" in printed.err
    assert "(run) since" in printed.err


async def test_once_continues_when_the_lock_is_released(tmp_path: Path) -> None:
    """A pass of the running sidecar takes a second or so."""
    async with stage(tmp_path) as on:
        lock = PassLock(tmp_path / "state")
        await lock.acquire()
        asyncio.get_running_loop().call_later(1, lock.release)
        assert (await command(on.env, "once")).code == 0
        assert on.served() == {"example.org": text()}


async def test_plan_does_not_wait_for_the_lock(tmp_path: Path) -> None:
    """It changes nothing."""
    async with stage(tmp_path) as on, PassLock(tmp_path / "state"):
        assert (await command(on.env, "plan")).code == 0


# --- plan -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2026-07a", "2025-07"])
async def test_plan_changes_nothing_at_all(tmp_path: Path, version: str) -> None:
    """Not a byte, not a mode, not a time in the mailcow folder; no request that could write; no restart."""
    async with stage(tmp_path, version=version) as on:
        on.resolves(NAME)
        before = contents(on.root)
        ended = await command(on.env, "plan")
        assert contents(on.root) == before
        assert on.served() == {}
        assert [r for r in on.mailcow.asked("add") + on.mailcow.asked("edit") if r.body] == []
        assert [call for call in on.engine.calls if not call.startswith("GET ")] == []
    assert ended.code == 0
    assert "to do:" in ended.out


async def test_plan_shows_what_once_then_does(tmp_path: Path) -> None:
    """The same lines, under another heading."""
    async with stage(tmp_path, version="2025-07") as on:
        on.mailcow.add_alias("alias.example", "example.org")
        planned = (await command(on.env, "plan")).out.partition("to do:\n")[2].partition("\n\n")[0]
        done = (await command(on.env, "once")).out.partition("done:\n")[2].partition("\n\n")[0]
    assert planned == done
    assert "ADDITIONAL_SAN + mta-sts.alias.example" in planned


async def test_dry_run_prints_and_changes_nothing(tmp_path: Path) -> None:
    """The first run with a real mailcow."""
    async with stage(tmp_path, version="2025-07", MTA_STS_DRY_RUN="1") as on:
        before = contents(on.root)
        ended = await command(on.env, "once")
        assert contents(on.root) == before
    assert ended.code == 0
    assert "write policy file mta-sts.txt: dry run\n      there is no policy file" in ended.out
    assert "\n      mode: testing\n" in ended.out
    assert "edit settings mailcow.conf: dry run\n      ADDITIONAL_SAN lacks mta-sts.*" in ended.out
    assert "\n      ADDITIONAL_SAN + mta-sts.*\n" in ended.out


# --- once -----------------------------------------------------------------------------------------------


async def test_repeated_once_restarts_acme_when_it_is_due(tmp_path: Path) -> None:
    """It never waits; the time since which a name is missing is in the state."""
    async with stage(tmp_path) as on:
        on.resolves(NAME)
        on.configure("restart: {quiet: 600, settle: 0}")
        await command(on.env, "once")
        held = await command(on.env, "once")
        assert "held:\n  restart acme-mailcow: new names are being collected (until 2" in held.out
        assert on.engine.count("/restart") == 0
        on.configure("restart: {quiet: 0, settle: 0}")
        done = await command(on.env, "once")
        assert "done:\n  restart acme-mailcow: the certificate lacks mta-sts.example.org" in done.out
        again = await command(on.env, "once")
        assert "there are at least 60 min between two restarts; the last was" in again.out
        assert "(until 2" in again.out
        assert on.engine.count("/restart") == 1


async def test_once_reads_the_whole_list(tmp_path: Path) -> None:
    """Never only the counts: no later pass would notice a difference."""
    async with stage(tmp_path) as on:
        await command(on.env, "once")
        on.mailcow.requests.clear()
        await command(on.env, "once")
        assert len(on.mailcow.asked("get/domain/all")) == 1


async def test_nothing_to_do_is_reported(tmp_path: Path) -> None:
    """One sentence."""
    async with stage(tmp_path) as on:
        on.resolves(NAME)
        on.certify("mail.example.org", NAME)
        await command(on.env, "once")
        ended = await command(on.env, "once")
    assert ended.out.splitlines() == [
        "mailcow 2026-07a, a policy for each domain (native); domains: 1, alias domains: 0",
        "",
        "Nothing to do.",
    ]


async def test_a_failing_domain_does_not_stop_the_others(tmp_path: Path) -> None:
    """One line under `failed`, one under `done`; the exit code is 1."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("other.example")
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx="a.b", max_age=604_800, active=False)
        ended = await command(on.env, "once")
        assert on.served() == {"other.example": text()}
    assert ended.code == 1
    assert "done:\n  add policy other.example" in ended.out
    assert "failed:\n  add policy example.org" in ended.out


@pytest.mark.parametrize("name", ["once", "plan"])
@pytest.mark.parametrize("trouble", ["none", "wrong key", "api down", "odd settings"])
async def test_key_is_never_shown(tmp_path: Path, name: str, trouble: str) -> None:
    """Neither mailcow.conf's nor the environment's."""
    async with stage(tmp_path) as on:
        key = str(on.mailcow.key)
        on.more["MTA_STS_API_KEY"] = key
        match trouble:
            case "wrong key":
                on.mailcow.key = "OTHER1-OTHER2"
            case "api down":
                on.mailcow.fail(API, Fault.HTML_500)
            case "odd settings":
                on.configure(f"api_key: {key}\nmode: enforced\n")
        ended = await command(on.env, name)
    assert key not in ended.out + ended.err
    assert "Traceback" not in ended.err


# --- adopt ----------------------------------------------------------------------------------------------


ACCOUNT = """
dns:
  publish: upsert
  accounts:
    home: {type: rfc2136, server: "127.0.0.1:1", key_name: sidecar, secret_env: TSIG}
"""


def adopted(on: Stage) -> frozenset[str]:
    """The policies and DNS records that a person let the sidecar adopt, as stored."""
    state = State.open(on.root.parent / "state", on.clock.now())
    try:
        memory = state.load()
        return memory.adopt | memory.adopt_records
    finally:
        state.close()


async def test_adopt_stores_names_in_one_form(tmp_path: Path) -> None:
    """As people write them: capitals, a final dot, U-labels."""
    async with stage(tmp_path) as on:
        ended = await command(on.env, "adopt", "Example.ORG.", "BÜCHER.example", "--file")
        assert adopted(on) == {"example.org", "xn--bcher-kva.example", FILE}
        assert on.mailcow.requests == []
    assert ended.code == 0
    assert "bücher.example" in ended.out
    assert "mta-sts.txt" in ended.out


@pytest.mark.parametrize(
    "names", [["user@example.org"], ["*"], [""], ["example.org", "a b"], ["https://example.org/"], []]
)
async def test_adopt_refuses_what_is_not_a_name(tmp_path: Path, names: list[str]) -> None:
    """And stores none of the others either."""
    async with stage(tmp_path) as on:
        ended = await command(on.env, "adopt", *names)
        assert adopted(on) == frozenset()
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_adopt_stores_nothing_if_one_part_is_refused(tmp_path: Path) -> None:
    """A DNS record is not stored when the domain beside it is unknown."""
    record = "_mta-sts.example.org"
    async with stage(tmp_path) as on:
        await on.once()
        on.configure(ACCOUNT)
        on.more["TSIG"] = "c2VjcmV0"
        refused = await command(on.env, "adopt", "exmaple.org", "--dns", record)
        assert adopted(on) == frozenset()
        accepted = await command(on.env, "adopt", "--dns", record)
        assert adopted(on) == {record}
    assert (refused.code, accepted.code, accepted.err) == (1, 0, "")
    assert "exmaple.org is not a domain of this mailcow" in refused.err


async def test_adopt_is_acted_on_by_once(tmp_path: Path) -> None:
    """Without a running sidecar."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="testing", mx="mx.example.net", max_age=86_400)
        left = await command(on.env, "once")
        assert (
            "to let the sidecar manage it: docker compose exec mta-sts-mailcow sidecar adopt example.org"
            in left.out
        )
        await command(on.env, "adopt", "example.org")
        await command(on.env, "once")
        assert on.served() == {"example.org": text()}


# --- the command line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", *COMMANDS])
async def test_every_command_has_help(name: str) -> None:
    """Without any setting, and without a mailcow."""
    ended = await command({}, *[name][: bool(name)], "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: sidecar {name}".rstrip())


@pytest.mark.parametrize("words", [["nonsense"], ["once", "--now"], ["--nonsense"]])
async def test_unknown_words_are_refused(words: list[str]) -> None:
    """Exit code 2 and the usage, as usual."""
    ended = await command({}, *words)
    assert (ended.code, "usage: sidecar" in ended.err) == (2, True)


async def test_healthy_reports_a_running_sidecar(tmp_path: Path) -> None:
    """Not before its first pass, and not in another state folder."""
    async with stage(tmp_path) as on:
        before = await command(on.env, "healthy")
        async with process({**on.env, "MTA_STS_POLL": "3600"}, "run") as sidecar:
            await sidecar.says("done: add policy")
            await on.mailcow.until(lambda: on.served() != {})
            sidecar.hang_up()
            await sidecar.says("publish: mta-sts.example.org.")
            assert (await command(on.env, "healthy")).code == 0
    assert (before.code, "no sign of life" in before.out) == (1, True)


async def test_bare_command_shows_help() -> None:
    """The usual first attempt."""
    ended = await command({})
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("usage: sidecar")
    assert "examples:" in ended.out


@pytest.mark.parametrize(
    ("word", "meant"), [("stauts", "status"), ("record", "records"), ("mvoe-mx", "move-mx")]
)
async def test_mistyped_command_gets_a_suggestion(word: str, meant: str) -> None:
    """And all commands are listed."""
    ended = await command({}, word, "example.org")
    assert ended.code == 2
    assert f"'{word}' is not a command; did you mean: sidecar {meant}" in ended.err
    assert "commands: run, once, plan, status" in ended.err


def piped(env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """A command whose output nobody reads: its exit code and its standard error."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **env},
            stdout=writes,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writes)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], [], ["status"], ["status", "--json"], ["status", "--watch"], ["plan"], ["plan", "--json"],
     ["once"], ["records"], ["history"], ["history", "--json"], ["adopt", "example.org"], ["retire", "example.org"],
     ["move-mx", "mx2.example.org"], ["notify"], ["healthy"], ["completion", "bash"], ["init", "--dry-run"],
     ["lint", "record", "v=STSv1; id=1;"], ["completion", "--domains"],
     ["check", "--resolver", "127.0.0.1:1", "--no-smtp", "example.org"]],
    ids=" ".join,
)  # fmt: skip
async def test_closed_pipe_is_not_an_error(tmp_path: Path, arguments: list[str]) -> None:
    """`sidecar status | head -1`: ends as a shell reports SIGPIPE, and prints nothing."""
    async with stage(tmp_path) as on:
        await on.once()
        code, said = await asyncio.to_thread(piped, on.env, *arguments)
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert "Broken pipe" not in said
    assert code == 141


async def test_plan_is_cut_with_a_hint_and_whole_with_all(tmp_path: Path) -> None:
    """Forty lines of a section fit a terminal; the hint says how to see the rest."""
    async with stage(tmp_path) as on:
        for number in range(30):
            on.mailcow.add_domain(f"d{number:03}.example")
        cut = await command(on.env, "plan")
        whole = await command(on.env, "plan", "--all")
    assert "  … and 22 more lines; all of them: sidecar plan --all, or --json" in cut.out
    assert "d029.example" not in cut.out
    assert "more lines" not in whole.out
    assert whole.out.count("add policy ") == 31
