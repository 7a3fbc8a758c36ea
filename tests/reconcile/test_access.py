"""Access to mailcow's API, from nothing to the first policy: whole passes on a simulated mailcow."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.daemon.wiring import Parts
from sidecar.formats.dotenv import read
from sidecar.host.errors import TemporaryError
from sidecar.mailcow import access
from sidecar.observed.mailcow import ApiKey
from sidecar.observed.notice import NoticeCode
from sidecar.plan.actions import AllowAccess
from sidecar.reconcile.apply import Result
from sidecar.reconcile.passes import PassReport
from tests.mailcow.fake_database import FakeDatabase, row
from tests.stage import Stage, stage

OWN = "127.0.0.1"
LOGIN = "DBNAME=mailcow\nDBUSER=mailcow\nDBPASS=hunter2\n"


@dataclass
class Scene:
    """A sidecar that was just started, and the database that it asks."""

    on: Stage
    parts: Parts
    database: FakeDatabase

    async def passes(self, most: int = 4) -> list[PassReport]:
        """Passes until one does nothing."""
        reports: list[PassReport] = []
        while not reports or (reports[-1].outcomes and len(reports) < most):
            reports.append(await self.parts.passes.reconcile())
        return reports

    def conf(self) -> Mapping[str, str]:
        """What mailcow.conf says now."""
        return read(self.on.conf.read_bytes())


@asynccontextmanager
async def scene(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *rows: ApiKey,
    conf: str = "",
    config: str = "",
    **env: str,
) -> AsyncIterator[Scene]:
    """A mailcow with these keys; `conf` has further lines of mailcow.conf, without any key by default."""
    monkeypatch.setattr(access, "NGINX_NAMES", (OWN,))
    async with stage(tmp_path, **env) as on:
        kept = [line for line in on.conf.read_text().splitlines() if not line.startswith("API_")]
        on.conf.write_text("\n".join(kept) + f"\n{LOGIN}{conf}")
        if config:
            on.configure(config)
        database = FakeDatabase(on.mailcow, list(rows))
        database.took_effect()
        async with on.sidecar() as parts:
            observer = parts.passes.observer
            observer.door.database = observer.ids.database = database
            yield Scene(on, parts, database)


def done(reports: list[PassReport]) -> list[str]:
    """The kinds of action that were done."""
    return [o.action.verb for r in reports for o in r.outcomes if o.result is Result.DONE]


def codes(report: PassReport) -> set[NoticeCode]:
    """What was reported."""
    return {notice.code for notice in report.plan.notices}


async def test_fresh_mailcow_gets_a_key_and_then_its_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Access is the first action, in the history like any other; the key is only in the database."""
    async with scene(tmp_path, monkeypatch) as at:
        before = at.on.conf.read_bytes()
        reports = await at.passes()
        assert done(reports)[:2] == ["allow access", "add policy"]
        assert NoticeCode.MAILCOW_API not in codes(reports[0])
        assert "example.org" in at.on.served()
        [created] = at.database.rows
        assert created.allowed == OWN
        assert at.on.conf.read_bytes() == before
        key = created.key.get_secret_value()
        for path in (tmp_path / "state").rglob("*"):
            assert path.is_dir() or key.encode() not in path.read_bytes(), path
        assert key not in repr(reports)
        events = at.parts.state.history(None, 10)
        assert "allow access" in {event.what for event in events}
        calls = len(at.database.calls)
        await at.parts.passes.reconcile()
        assert "keys" not in at.database.calls[calls:]


async def test_key_that_a_person_made_in_the_page_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays valid for the addresses that it had."""
    async with scene(tmp_path, monkeypatch, row("PAGE-KEY", "192.0.2.1"), row("R", "", writes=False)) as at:
        assert done(await at.passes())[:2] == ["allow access", "add policy"]
        assert [(one.key.get_secret_value(), one.allowed) for one in at.database.rows] == [
            ("PAGE-KEY", f"192.0.2.1,{OWN}"),
            ("R", ""),
        ]


async def test_key_that_lets_the_sidecar_in_is_used_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as after a restart of the sidecar, which stores no key."""
    async with scene(tmp_path, monkeypatch, row("PAGE-KEY", OWN)) as at:
        report = await at.parts.passes.reconcile()
        assert done([report]) == ["add policy"]
        assert NoticeCode.MAILCOW_API not in codes(report)


async def test_new_key_of_a_person_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person created another key: the old one is refused, and the database has the new one."""
    async with scene(tmp_path, monkeypatch) as at:
        await at.passes()
        at.database.rows = [row("NEW-KEY", OWN)]
        at.database.took_effect()
        at.on.clock.ahead += 60
        report = await at.parts.passes.reconcile()
        assert report.readable
        assert NoticeCode.MAILCOW_API not in codes(report)


async def test_address_behind_a_space_in_mailcow_conf_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mailcow ignores such an entry. It is corrected once, not in every pass."""
    conf = f"API_KEY=CONF-KEY\nAPI_ALLOW_FROM=172.22.1.1, {OWN}\n"
    async with scene(tmp_path, monkeypatch, row("CONF-KEY", OWN), conf=conf) as at:
        assert done(await at.passes()).count("allow access") == 1
        assert at.conf()["API_ALLOW_FROM"] == f"172.22.1.1,{OWN}"


async def test_key_of_mailcow_conf_keeps_the_address_when_php_fpm_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entrypoint writes the row from mailcow.conf; nothing else of that file changes."""
    lines = "API_KEY=CONF-KEY\nAPI_ALLOW_FROM=172.22.1.1\n"
    async with scene(tmp_path, monkeypatch, row("CONF-KEY", "172.22.1.1"), conf=lines) as at:
        before = at.on.conf.read_text()
        assert done(await at.passes())[:2] == ["allow access", "add policy"]
        assert at.on.conf.read_text() == before.replace("=172.22.1.1\n", f"=172.22.1.1,{OWN}\n")
        at.database.rows = [row("CONF-KEY", at.conf()["API_ALLOW_FROM"])]
        at.database.took_effect()
        assert done(await at.passes()) == []


@pytest.mark.parametrize(
    ("config", "env"), [("manage: {access: false}\n", {}), ("", {"MTA_STS_DRY_RUN": "1"})], ids=["off", "dry"]
)
async def test_access_is_only_shown_where_it_is_not_managed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, env: dict[str, str]
) -> None:
    """The action is held and shown, and nothing is written."""
    async with scene(tmp_path, monkeypatch, row("P", "192.0.2.1"), config=config, **env) as at:
        report = await at.parts.passes.reconcile()
        assert [type(held.action) for held in report.plan.held] == [AllowAccess]
        assert report.outcomes == ()
        assert at.database.calls == ["keys"]
        assert NoticeCode.MAILCOW_API in codes(report)


async def test_key_of_the_environment_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong MTA_STS_API_KEY is a person's to correct, although mailcow has a key that would do."""
    async with scene(tmp_path, monkeypatch, row("PAGE-KEY", OWN), MTA_STS_API_KEY="WRONG") as at:
        report = await at.parts.passes.reconcile()
        assert not report.readable
        assert NoticeCode.API_BLOCKED in codes(report)
        assert at.database.calls == ["keys"]


async def test_database_that_cannot_be_asked_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what a person can do instead; each pass tries again."""
    async with scene(tmp_path, monkeypatch) as at:
        at.database.trouble = TemporaryError("mailcow's database: no answer")
        report = await at.parts.passes.reconcile()
        [notice] = [n for n in report.plan.notices if n.code is NoticeCode.API_UNSEEN]
        assert "no answer" in notice.message
        assert "MTA_STS_API_KEY" in (notice.todo or "")
        at.database.trouble = None
        assert done(await at.passes())[0] == "allow access"


async def test_unknown_address_is_reported_and_no_key_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MTA_STS_API_URL leads to a proxy: which address mailcow sees is not known."""
    async with scene(tmp_path, monkeypatch) as at:
        monkeypatch.setattr(access, "NGINX_NAMES", ("nginx-mailcow",))
        report = await at.parts.passes.reconcile()
        [notice] = [n for n in report.plan.notices if n.code is NoticeCode.API_UNSEEN]
        assert "MTA_STS_API_URL" in notice.message
        assert at.database.calls == []


async def test_refusal_that_the_database_does_not_explain_is_not_tried_at_every_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mailcow counts refused calls; it may see the sidecar at another address."""
    async with scene(tmp_path, monkeypatch, row("PAGE-KEY", OWN)) as at:
        at.on.mailcow.api.allow_from = ("192.0.2.1",)
        reports = [await at.parts.passes.reconcile() for _ in range(5)]
        assert done(reports) == []
        assert len(at.on.mailcow.requests) == 1
        assert NoticeCode.MAILCOW_API in codes(reports[-1])
