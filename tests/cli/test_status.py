"""`sidecar status` and `sidecar plan --json` on a whole mailcow."""

import io
import json
import re
from pathlib import Path

import pytest

from demo.simulated import API, EVERYTHING, Fault
from sidecar.cli.status_text import print_status
from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan import decide
from sidecar.plan.acme.run import STOPPED_S
from sidecar.plan.actions import Plan
from sidecar.plan.records import mail_domains
from sidecar.reconcile.passes import PassReport
from sidecar.settings import Settings
from sidecar.status.domains import CurrentStatus, status_of
from tests.running import command, process
from tests.stage import HOST, stage
from tests.worlds import World, observed

pytestmark = pytest.mark.integration


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def judged(report: PassReport) -> CurrentStatus:
    """What is shown of a pass."""
    settings = Settings()
    return status_of(report.observed, report.plan, settings, mail_domains(report.observed, settings))


async def test_status_has_a_line_for_each_domain(tmp_path: Path) -> None:
    """In a pipe, without colours, whatever the length; those that need a person first."""
    async with stage(tmp_path) as on:
        on.mailcow.add_domain("bücher.example")
        on.mailcow.add_alias("alias.example", "example.org")
        on.mailcow.add_domain("off.example", active=False)
        await on.once()
        before = on.conf.read_bytes(), dict(on.served())
        ended = await command(on.env, "status")
        assert (on.conf.read_bytes(), dict(on.served())) == before
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith(
        "mailcow 2026-07a, a policy for each domain (native); 4 domains (alias domains included), 3 managed: "
    )
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("domain ")) + 1 :]
    assert [line.split("  ")[0] for line in table] == [
        "alias.example (alias of example.org)", "example.org", "bücher.example", "off.example",
    ]  # fmt: skip
    assert "testing" in table[1]
    assert "ours" in table[1]
    assert "restart held: " in table[1]
    assert table[3].endswith("switched off in mailcow")
    assert "\x1b" not in ended.out


async def test_status_as_json_says_the_same(tmp_path: Path) -> None:
    """With stable keys."""
    async with stage(tmp_path, version="2025-07") as on:
        await on.once()
        on.resolves("mta-sts.example.org")
        on.certify("mail.example.org", "mta-sts.example.org")
        ended = await command(on.env, "status", "example.org", "--json")
    found = json.loads(ended.out)
    assert found["mailcow"] == {"version": "2025-07", "backend": "file", "hostname": "mail.example.org"}
    (domain,) = found["domains"]["items"]
    policy = domain["policy"]
    assert (domain["mode"], policy["ownership"], domain["care"]) == ("testing", "ours", "managed")
    assert (policy["served"], policy["max_age"], policy["mx"]) == (True, 86_400, ["mail.example.org"])
    assert policy["body"].startswith("version: STSv1")
    assert domain["certificate"]["has_name"] is True
    assert domain["certificate"]["until"].endswith("Z")
    assert {record["role"]: record["standing"] for record in domain["records"]} == {
        "host": "present", "id": "missing", "report": "not set",
    }  # fmt: skip


async def test_person_first(tmp_path: Path) -> None:
    """What needs a person is above the table, with what to do."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=["a.example"], max_age=60)
        ended = await command(on.env, "status")
    needs, table = ended.out.split("domain  ", 1)
    assert "needs you:\n  warning: " in needs
    assert "  warning: the policy of example.org is left unchanged" in needs
    assert "sidecar adopt example.org" in needs
    assert needs.count("publish: mta-sts.example.org") == 1
    assert "a person's" in table


async def test_redis_that_refuses_writes_comes_first(tmp_path: Path) -> None:
    """Before the warnings of domains, which are many, and before other errors."""
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=["a.example"], max_age=60)
        on.conf.write_text(on.conf.read_text().replace(f"MAILCOW_HOSTNAME={HOST}", "MAILCOW_HOSTNAME=a_b"))
        on.mailcow.fail(EVERYTHING, Fault.NOT_LOGGED)
        plain = await command(on.env, "status")
        found = json.loads((await command(on.env, "status", "--json")).out)
    needs = plain.out.split("needs you:\n", 1)[1]
    assert needs.startswith("  error: mailcow's Redis refuses writes (READONLY You can't write")
    assert plain.out.count("error: mailcow's Redis refuses writes") == 1
    assert [notice["code"] for notice in found["notices"]][:2] == ["mailcow.redis", "hostname.invalid"]


async def test_acme_that_exited_needs_a_person(tmp_path: Path) -> None:
    """Not a word in the last column alone; an update is over by then."""
    async with stage(tmp_path) as on:
        on.engine.containers[0].state = "exited"
        await on.once()
        on.clock.ahead = STOPPED_S
        report = await on.once()
    printed = io.StringIO()
    print_status(judged(report), printed)
    needs = printed.getvalue().split("needs you:\n", 1)[1]
    assert needs.startswith("  error: acme-mailcow is not running: it is exited; no certificate is ordered")


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["plan", "--json"]])
async def test_mailcow_that_cannot_be_read_ends_it_with_three(tmp_path: Path, arguments: list[str]) -> None:
    """And says why; as JSON, too."""
    async with stage(tmp_path) as on:
        on.mailcow.fail(API, Fault.HTML_500)
        ended = await command(on.env, *arguments)
    assert ended.code == 3
    if "--json" in arguments:
        assert json.loads(ended.out)["readable"] is False
        assert json.loads(ended.out)["notices"]
    else:
        assert "mailcow could not be read" in ended.err


async def test_plan_as_json_has_actions_held_and_notices(tmp_path: Path) -> None:
    """What `plan` prints, for programs; nothing is done."""
    async with stage(tmp_path) as on:
        first = json.loads((await command(on.env, "plan", "--json")).out)
        assert on.served() == {}
        await on.once()
        second = json.loads((await command(on.env, "plan", "--json")).out)
    (add,) = first["actions"]
    assert (add["action"], add["subject"]) == ("add policy", "example.org")
    assert add["policy"] == {"mode": str(Mode.TESTING), "max_age": 86_400, "mx": ["mail.example.org"]}
    assert add["reason"]
    (held,) = second["held"]
    assert held["action"]["names"] == ["mta-sts.example.org"]
    assert "has no address" in held["reason"]
    assert held["until"] is None
    assert [notice["code"] for notice in second["notices"]] == ["name.not_ready"]


async def test_watched_status_is_printed_until_it_is_ended(tmp_path: Path) -> None:
    """One object a line; the second one knows what changed meanwhile."""
    async with stage(tmp_path) as on, process(on.env, "status", "--watch", "--json") as watching:
        await watching.says('"served":false')
        await on.once()
        # The pause is nine times as long as the reading, which takes its time on a busy machine.
        await watching.says('"served":true', seconds=100)


def test_terminal_gets_a_table_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 80 columns nothing is lost: long cells are folded, short ones never."""
    monkeypatch.setenv("COLUMNS", "80")
    world = World(domains=tuple(f"{c}{'long-name' * 5}.example" for c in "ab"), names=frozenset())
    seen, file = observed(world), Terminal()
    domains = mail_domains(seen, Settings())
    print_status(status_of(seen, Plan(), Settings(), domains), file)
    table = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).partition("\n")[2]
    assert max(map(len, table.splitlines())) <= 80
    assert table.count("nobody's") == 2
    columns = "".join(line[:25].split("  ")[0].strip() for line in table.splitlines())
    assert f"a{'long-name' * 5}.example" in columns
    assert "later" in table


def test_terminal_shows_each_reason_once_below_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column for it would be seven letters wide beside the others."""
    monkeypatch.setenv("COLUMNS", "80")
    seen, file = observed(World(domains=("a.example", "b.example"))), Terminal()
    status = status_of(seen, decide(seen, Settings()), Settings(), mail_domains(seen, Settings()))
    print_status(status, file)
    below = file.getvalue().partition("to do, or held:\n")[2]
    assert below == "  a.example, b.example: add policy\n"


@pytest.mark.parametrize("width", [30, 60, 79])
def test_narrow_terminal_gets_a_stack_and_no_broken_word(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Both outputs have the same words; only lines with names or with text to be copied may be too long."""
    names = ("a.example", f"{'long-name' * 5}.example", "xn--bcher-kva.example")
    seen = observed(World(domains=names, names=frozenset()))
    status = status_of(seen, decide(seen, Settings()), Settings(), mail_domains(seen, Settings()))
    printed = {}
    for columns in (width, 300):
        monkeypatch.setenv("COLUMNS", str(columns))
        file = Terminal()
        print_status(status, file)
        printed[columns] = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    words = {columns: {w for w in text.split() if w != "─" * len(w)} for columns, text in printed.items()}
    assert words[width] == words[300]
    assert f"\n{names[1]}\n  policy       -\n" in printed[width]
    assert "\nbücher.example\n  policy " in printed[width]
    lines = [
        line for line in printed[width].splitlines() if not line.startswith(" " * 6) and names[1] not in line
    ]
    assert max(map(len, lines)) <= max(width, 50)


async def test_missing_record_is_asked_for_once_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again as the reason of the held restart, nor as the result of the check of the same name."""
    monkeypatch.setenv("COLUMNS", "100")
    async with stage(tmp_path) as on:
        await on.once()
        report = await on.once()
    status = judged(report)
    (row,) = status.rows
    assert any("mta-sts.example.org has no address" in held.reason for held in row.held)
    printed = Terminal()
    print_status(status, printed)
    assert "publish: mta-sts.example.org" in printed.getvalue()
    assert "has no address" not in printed.getvalue()
    assert "to do, or held:" not in printed.getvalue()


async def test_same_sentence_is_printed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice is not repeated as the reason of a held action."""
    monkeypatch.setenv("COLUMNS", "100")
    async with stage(tmp_path) as on:
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=["a.example"], max_age=60)
        report = await on.once()
    file = Terminal()
    print_status(judged(report), file)
    (held,) = [held for held in report.plan.held if held.action.about == "example.org"]
    said = " ".join(file.getvalue().split())
    assert said.count(held.reason) == 1
    assert said.count("sidecar adopt example.org") == 1


def test_many_notices_of_a_kind_are_summed_up() -> None:
    """A thousand lines above the table would hide it."""
    names = tuple(f"d{n:03}.example" for n in range(50))
    notices = tuple(
        Notice(Level.WARNING, NoticeCode.VERIFY_TROUBLE, name, f"about {name}", "do it") for name in names
    )
    file = io.StringIO()
    print_status(status_of(observed(World(domains=names)), Plan(notices=notices), Settings(), ()), file)
    assert file.getvalue().count("warning: about") == 5
    assert "… and 45 more of this kind" in file.getvalue()
