"""The sidecar killed between any two operations, and started again, ends where it would have ended undisturbed."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.formats.mtasts_policy import Policy, parse
from tests.running import ROOT
from tests.stage import HOST, Stage, stage

pytestmark = pytest.mark.integration

CHUNKS = 5
"""Each runs the undisturbed case, and every fifth kill."""
AT_FIRST = [0, 1, 2]
AFTER_THE_KILL = [4_000, 4_001, 4_002]
"""Seconds from now: a restart that was counted and not done is made up for after an hour."""
HANDMADE = "version: STSv1\nmode: testing\nmx: mx.example.net\nmax_age: 86400\n"
SETTINGS = "restart: {quiet: 0, settle: 0}\n"


@dataclass(frozen=True, slots=True)
class Killed:
    """How the driver's child ended: 0 or a signal below 0, and the operations that it counted (None: killed)."""

    code: int
    done: list[str] | None


@dataclass
class Driver:
    """`kill_driver` as a process."""

    process: asyncio.subprocess.Process

    async def run(self, on: Stage, ahead: list[float] | list[int], deadly: int = 0) -> Killed:
        """Passes of one sidecar at these times (seconds from now), killed before the operation of that number."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"env": on.env, "ahead": ahead, "deadly": deadly}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        answer = json.loads(await self.process.stdout.readline())
        assert answer["code"] == (-9 if answer["done"] is None else 0)
        return Killed(answer["code"], answer["done"])


@asynccontextmanager
async def driving() -> AsyncIterator[Driver]:
    """A driver that has everything imported already."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kill_driver"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    try:
        yield Driver(process)
    finally:
        process.stdin.close()
        await process.wait()


# --- the chapters ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chapter:
    """What is there before the sidecar has run, and what changes once it has (None: it is killed in its first run)."""

    version: str
    given: Callable[[Stage], None]
    changes: Callable[[Stage], None] | None = None


def _domains(on: Stage, *names: str) -> None:
    for name in names:
        if name not in on.mailcow.world.domains:
            on.mailcow.add_domain(name)
        on.receives(name)
        on.resolves(f"mta-sts.{name}")


def _acme_has(on: Stage, *entries: str) -> None:
    on.engine.containers[0].env = [f"ADDITIONAL_SAN={','.join(entries)}", "AUTODISCOVER_SAN=n"]


def _native(on: Stage) -> None:
    """Names one by one in ADDITIONAL_SAN: so that there is something to edit on this generation too."""
    on.conf.write_text(on.conf.read_text() + "AUTODISCOVER_SAN=n\n")
    _domains(on, "example.org", "leaving.example")
    _acme_has(
        on, *(f"mta-sts.{d}" for d in ("example.org", "leaving.example", "new.example", "newer.example"))
    )
    on.configure(SETTINGS)


def _native_settled(on: Stage) -> None:
    _native(on)
    on.certify(HOST, "mta-sts.example.org", "mta-sts.leaving.example")


def _native_changes(on: Stage) -> None:
    _domains(on, "new.example", "newer.example")
    on.mailcow.edit_domain("leaving.example", active=False)
    on.configure(f"{SETTINGS}mode: enforce\n")


def _file(on: Stage) -> None:
    _domains(on, "example.org", "leaving.example")
    for alias in ("old-alias.example", "alias.example"):
        on.mailcow.add_alias(alias, "example.org")
        on.resolves(f"mta-sts.{alias}")
    aliases = ("old-alias.example", "alias.example", "new-alias.example")
    _acme_has(on, "mta-sts.*", *(f"mta-sts.{alias}" for alias in aliases))
    on.policy_file.write_text(HANDMADE, newline="")
    on.configure(SETTINGS)


def _file_settled(on: Stage) -> None:
    _file(on)
    names = ("example.org", "leaving.example", "old-alias.example", "alias.example")
    on.certify(HOST, *(f"mta-sts.{name}" for name in names))


def _file_changes(on: Stage) -> None:
    _domains(on, "new.example")
    on.mailcow.edit_domain("leaving.example", active=False)
    on.mailcow.delete_alias("old-alias.example")
    on.mailcow.add_alias("new-alias.example", "example.org")
    on.resolves("mta-sts.new-alias.example")
    on.configure(f"{SETTINGS}mode: enforce\n")


CHAPTERS = {
    "native first": Chapter("2026-07a", _native),
    "native changes": Chapter("2026-07a", _native_settled, _native_changes),
    "file first": Chapter("2025-07", _file),
    "file changes": Chapter("2025-07", _file_settled, _file_changes),
}


# --- the comparison -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """All that must be the same in the end."""

    served: dict[str, tuple[str, int]]
    """By domain the text of the policy, and whether its row is active."""
    file: bytes
    conf: bytes
    conf_mode: int
    backups: frozenset[bytes]
    leftovers: tuple[str, ...]
    to_do: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ending, and what may be less than undisturbed: what was done, by the history, and the restarts."""

    ending: Ending
    done: Counter[tuple[str | None, str]]
    not_done: tuple[str, ...]
    restarts: int


async def outcome(on: Stage) -> Outcome:
    """What there is now, and what a sidecar that is started now would still do and say."""
    on.clock.ahead = AFTER_THE_KILL[-1] + 1
    async with on.sidecar() as parts:
        _, plan = await parts.passes.look()
        history = parts.state.history(limit=1_000)
    state = on.root.parent / "state"
    everything = [path for folder in (on.root, state) for path in folder.rglob("*") if path.is_file()]
    return Outcome(
        Ending(
            served={
                name: (on.mailcow.policy_text(name) or "", row.active)
                for name, row in sorted(on.mailcow.policies.items())
            },
            file=on.policy_file.read_bytes() if on.policy_file.exists() else b"",
            conf=on.conf.read_bytes().replace(f"HTTP_PORT={on.mailcow.port}".encode(), b"HTTP_PORT=80"),
            conf_mode=on.conf.stat().st_mode,
            backups=frozenset(path.read_bytes() for path in state.glob("mta-sts.txt.*")),
            leftovers=tuple(sorted(path.name for path in everything if "mta-sts-sidecar" in path.name)),
            to_do=tuple(repr(action) for action in plan.actions),
            notices=tuple(sorted(f"{notice.code} {notice.subject}" for notice in plan.notices)),
        ),
        Counter((event.subject, event.what) for event in history if event.outcome == "done"),
        tuple(f"{event.what}: {event.detail}" for event in history if event.outcome != "done"),
        on.engine.count("/restart"),
    )


async def played(driver: Driver, chapter: Chapter, folder: Path, deadly: int = 0) -> tuple[Outcome, Killed]:
    """A chapter from its beginning to its end, with one kill on the way."""
    async with stage(folder, version=chapter.version) as on:
        chapter.given(on)
        if chapter.changes is not None:
            await driver.run(on, AT_FIRST)
            assert on.engine.count("/restart") == 0
            chapter.changes(on)
        killed = await driver.run(on, AT_FIRST, deadly)
        if on.policy_file.exists():
            assert isinstance(parse(on.policy_file.read_bytes()), Policy)
        if on.engine.count("/restart"):
            # acme-mailcow has asked for all names since
            names = [name.removesuffix(".") for name, kind in on.dns if kind == "A"]
            on.certify(*names)
        await driver.run(on, AFTER_THE_KILL)
        return await outcome(on), killed


SPLIT: Counter[tuple[str | None, str]] = Counter({("mailcow.conf", "edit settings"): 1})
"""Killed between two policies, their entries go into mailcow.conf one after the other, and not together."""


@pytest.mark.parametrize("name", CHAPTERS)
async def test_undisturbed_chapter_does_something_of_every_kind(tmp_path: Path, name: str) -> None:
    """Else the kills below would prove nothing."""
    async with driving() as driver:
        ended, run = await played(driver, CHAPTERS[name], tmp_path / "undisturbed")
    assert run.done is not None
    assert {what for _, what in ended.done} >= {"edit settings", "restart"}
    if name.startswith("native"):
        kinds = {"add policy"} | ({"change policy", "switch policy off"} if "changes" in name else set())
        assert {what for _, what in ended.done} >= kinds
    else:
        assert ended.done["mta-sts.txt", "write policy file"] == (2 if "changes" in name else 1)
        assert ended.ending.backups == {HANDMADE.encode()}
    assert (ended.restarts, ended.not_done, ended.ending.to_do, ended.ending.leftovers) == (1, (), (), ())
    assert {"ClientSession._request", "Session.send", "State.save", "os.replace"} <= set(run.done)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("name", CHAPTERS)
async def test_killed_before_any_operation_it_ends_as_undisturbed(
    tmp_path: Path, name: str, chunk: int
) -> None:
    """The same policies, files, settings and ownership; no further restart; nothing left behind."""
    wrong: list[str] = []
    async with driving() as driver:
        right, run = await played(driver, CHAPTERS[name], tmp_path / "undisturbed")
        operations = run.done or []
        for deadly in range(chunk + 1, len(operations) + 1, CHUNKS):
            ended, killed = await played(driver, CHAPTERS[name], tmp_path / str(deadly), deadly)
            assert killed.code == -9
            where = f"killed before {deadly} of {len(operations)}, {operations[deadly - 1]}"
            if ended.ending != right.ending:
                wrong.append(f"{where}: {ended.ending}")
            if ended.not_done or not ended.done <= right.done + SPLIT or ended.restarts > right.restarts:
                wrong.append(f"{where}: {ended.done}, {ended.not_done}, {ended.restarts} restarts")
    assert wrong == []
