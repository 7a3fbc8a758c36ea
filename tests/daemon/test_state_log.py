"""The log's first lines, as who starts the sidecar reads them, and the tasks that come later."""

from pathlib import Path

import pytest

from sidecar.plan.policy_ids import derived
from tests.daemon.test_loop import running
from tests.running import Running
from tests.stage import HOST, Stage, stage

pytestmark = pytest.mark.integration

START = ("started", "web page started", "works: mailcow.conf", "works: mailcow's API", "works: Docker")


def events(sidecar: Running) -> list[str]:
    """The lines without time and level."""
    return [line[26:].split(maxsplit=1)[1] for line in sidecar.out]


def in_order(lines: list[str], *beginnings: str) -> bool:
    """Whether lines that begin so follow each other, perhaps with others between them."""
    rest = iter(lines)
    return all(any(line.startswith(beginning) for line in rest) for beginning in beginnings)


@pytest.mark.parametrize(
    ("version", "done"), [("2026-07a", "done: add policy"), ("2025-07", "done: write policy file")]
)
async def test_first_lines_say_what_works_what_was_done_and_what_is_left(
    tmp_path: Path, version: str, done: str
) -> None:
    """In this order, each once, and the state at the end."""
    async with stage(tmp_path, version=version) as on, running(on) as sidecar:
        await sidecar.says("state: 1 domain waits for you.", "records --missing")
        lines = events(sidecar)
    record = f'todo="publish: mta-sts.example.org. 120 IN CNAME {HOST}."'
    assert in_order(lines, *START, done, "mta-sts.example.org is missing in the DNS", "state: ")
    assert [line for line in lines if record in line] == [
        line for line in lines if "mta-sts.example.org" in line and "domain=" not in line
    ]
    assert len(lines) == len(set(lines))


async def serve_name(on: Stage) -> None:
    """What a person and acme-mailcow do after the first lines: the name in the DNS, and in the certificate."""
    on.resolves("mta-sts.example.org")
    on.dns["mta-sts.example.org.", "CNAME"] = [f"{HOST}."]
    on.certify(HOST, "mta-sts.example.org")


async def test_record_that_is_due_later_is_asked_for_when_it_is_due(tmp_path: Path) -> None:
    """First the name in the certificate, then the id (RFC 8461 §2.2); the record can be pasted as it stands there."""
    async with stage(tmp_path, version="2025-07") as on, running(on, poll=5) as sidecar:
        on.dns["_mta-sts.example.org.", "TXT"] = []
        await sidecar.says("state: ")
        assert not sidecar.lines("_mta-sts.example.org")
        await serve_name(on)
        served = on.policy_file.read_bytes()
        line = f'_mta-sts.example.org. 120 IN TXT "v=STSv1;id={derived(served)};"'
        said = await sidecar.says("_mta-sts.example.org is missing in the DNS")
        assert said.endswith(f"todo='publish: {line}'")


async def test_domain_without_a_task_ends_the_first_lines(tmp_path: Path) -> None:
    """Whoever reads them knows that nothing is left."""
    async with stage(tmp_path, version="2025-07") as on:
        await serve_name(on)
        async with running(on) as sidecar:
            said = await sidecar.says("state: ")
        assert "nothing for you to do" in said
        assert not sidecar.lines("warning")


async def test_nothing_works_while_nothing_was_seen(tmp_path: Path) -> None:
    """Only what was observed is said to work."""
    async with stage(tmp_path) as on:
        on.conf.unlink()
        async with running(on) as sidecar:
            await sidecar.says("mailcow.conf does not exist")
            assert not sidecar.lines("works: mailcow")
            assert not sidecar.lines("state: ")
