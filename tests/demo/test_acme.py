"""The stand-in for acme-mailcow, held to the table of what the real one does: names, certificates, log and wait."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from demo.acme import Ran, StandInAcme
from demo.acme_checks import CHALLENGES, Checks
from demo.acme_names import environment
from demo.names import DemoDns
from demo.simulated import SimulatedMailcow
from demo.simulated_http import Answer, Ask, Site, another_site, nginx_page
from demo.web import DemoWeb
from tests.acme_cases import CASES, HOST, AcmeCase
from tests.acme_cases.case import FULL, V4, V6

pytestmark = pytest.mark.integration

Check: TypeAlias = Callable[[Checks, str], Awaitable[bool]]
BY_ID = {case.id: case for case in CASES}


def redirecting(ask: Ask) -> Answer:
    """A site that sends everything to the same path of mailcow's own host."""
    return nginx_page(301, headers={"Location": f"http://{HOST}{ask.path}"})


def not_found(ask: Ask) -> Answer:
    """A site that has nothing there."""
    del ask
    return nginx_page(404)


SITES: dict[str, Site | None] = {
    "404": not_found,
    "another site": another_site,
    "redirect": redirecting,
    "refused": None,
}


@asynccontextmanager
async def world(case: AcmeCase, folder: Path) -> AsyncIterator[StandInAcme]:
    """The case as it is before the run."""
    async with AsyncExitStack() as stack:
        dns = await DemoDns.start()
        stack.push_async_callback(dns.close)
        for name, kinds in case.zone.items():
            for kind, values in kinds.items():
                dns.publish(name, kind, *values)
        mailcow = await stack.enter_async_context(
            await SimulatedMailcow.start(
                version=case.version, hostname=HOST, challenge_folder=folder / CHALLENGES
            )
        )
        for domain, state in case.domains.items():
            mailcow.add_domain(domain, active=state != "inactive", backup_mx=state == "backup")
        for alias, (target, active) in case.aliases.items():
            mailcow.add_alias(alias, target, active=active)
        for domain, active in case.policies.items():
            mailcow.person_sets_policy(domain, mode="testing", mx=HOST, max_age=86_400, active=active)
        mailcow.sites.update({name: SITES[answer] for name, answer in case.http.items()})
        web = DemoWeb(dns, mailcow.url, frozenset(case.reached_at))
        made = StandInAcme(folder, mailcow, dns, web, case.public)
        made.first(case.held, issuer=case.issuer)
        yield made


async def ran(case: AcmeCase, acme: StandInAcme) -> Ran:
    """One run of it, with the environment that Compose makes of mailcow.conf."""
    return await acme.run(environment({"MAILCOW_HOSTNAME": HOST, **case.conf}))


def said(run: Ran) -> list[str]:
    """The log without its dates."""
    return [text.partition(" - ")[2] if " - " in text else text for _, text in run.lines]


def names_in(path: Path) -> tuple[str, ...]:
    """The names in a certificate, in their order."""
    found = x509.load_pem_x509_certificate(path.read_bytes())
    extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(extension.value.get_values_for_type(x509.DNSName))


class Asked:
    """Which names were asked for and did not pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failed: set[str] = set()
        for check in ("passes", "listed_allowed"):
            monkeypatch.setattr(Checks, check, self._noting(getattr(Checks, check)))

    def _noting(self, check: Check) -> Check:
        async def noted(checks: Checks, name: str) -> bool:
            passed = await check(checks, name)
            if not passed:
                self.failed.add(name)
            return passed

        return noted


def in_order(wanted: tuple[str, ...], lines: list[str]) -> str | None:
    """The first of `wanted` that is not there behind those before it."""
    rest = iter(lines)
    return next((line for line in wanted if line not in rest), None)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
async def test_run_does_what_the_real_one_does(
    case: AcmeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of each certificate, the wait, and what the log says and does not say."""
    asked = Asked(monkeypatch)
    async with world(case, tmp_path) as acme:
        run = await ran(case, acme)
        lines = said(run)
        shown = "\n".join(lines)
        assert names_in(acme.folder / "cert.pem") == case.names, shown
        folders = {file.parent.name: names_in(file) for file in acme.folder.glob("*/cert.pem")}
        assert {names[0]: names for names in case.others}.items() <= folders.items(), shown
        assert run.sleep == case.sleep, shown
        assert in_order(case.log, lines) is None, shown
        assert [word for word in case.never if word in shown] == [], shown
        assert asked.failed == set(case.failed), shown
        assert not list((tmp_path / CHALLENGES).glob("*"))


@pytest.fixture
async def usual(tmp_path: Path) -> AsyncIterator[StandInAcme]:
    """A mailcow whose certificate has all its names."""
    async with world(replace(BY_ID["plain"], held=FULL), tmp_path) as acme:
        yield acme


async def test_hostname_that_fails_is_lost_from_the_certificate_and_only_a_backup_has_it(
    tmp_path: Path,
) -> None:
    """Another name takes its place in cert.pem; the old certificate lies below backups, under the old name."""
    case = BY_ID["hostname-with-an-aaaa-that-is-not-this-server"]
    async with world(case, tmp_path) as acme:
        before = (acme.folder / "cert.pem").read_bytes()
        run = await ran(case, acme)
        after = (acme.folder / "cert.pem").read_bytes()
        assert HOST not in acme.names()
        assert (acme.folder / case.names[0] / "cert.pem").read_bytes() == after
        assert not (acme.folder / HOST).exists()
        [backup] = (acme.folder / "backups" / HOST).iterdir()
        made = dt.datetime.strptime(backup.name, "%Y-%m-%d_%H_%M_%S").replace(tzinfo=dt.UTC)
        assert int(run.lines[0][0]) <= made.timestamp() <= run.lines[-1][0]
        assert (backup / "cert.pem").read_bytes() == before
        assert (backup / "domains").read_text().split()[0] == HOST
        # Nothing says that a name was lost: the run went well.
        assert run.sleep == "1d"
        assert not [line for line in said(run) if "rror" in line or "lost" in line]


async def test_old_certificate_is_kept_below_backups_at_each_order(usual: StandInAcme) -> None:
    """Under the name of its folder, with its list of names; no order leaves none."""
    before = (usual.folder / "cert.pem").read_bytes()
    await usual.run(environment({"MAILCOW_HOSTNAME": HOST}))
    assert (usual.folder / "cert.pem").read_bytes() == before
    assert not (usual.folder / "backups").exists()
    await usual.run(environment({"MAILCOW_HOSTNAME": HOST, "AUTODISCOVER_SAN": "n"}))
    assert usual.names() == {HOST}
    [backup] = (usual.folder / "backups" / HOST).iterdir()
    assert (backup / "cert.pem").read_bytes() == before
    assert set((backup / "domains").read_text().split()) == set(FULL)


async def test_certificate_near_its_end_is_renewed_for_the_same_names(
    usual: StandInAcme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than 30 days before."""
    monkeypatch.setattr("demo.acme_authority.LIFETIME", dt.timedelta(days=29))
    usual.first(FULL)
    monkeypatch.undo()
    before = (usual.folder / "cert.pem").read_bytes()
    run = await usual.run(environment({"MAILCOW_HOSTNAME": HOST}))
    assert (usual.folder / "cert.pem").read_bytes() != before
    assert usual.names() == set(FULL)
    assert any("due for renewal" in line for line in said(run))


async def test_certificate_and_key_go_together_in_every_place(usual: StandInAcme) -> None:
    """What nginx, postfix and dovecot are given."""
    await usual.run(environment({"MAILCOW_HOSTNAME": HOST, "AUTODISCOVER_SAN": "n"}))
    for folder in (usual.folder, usual.folder / HOST):
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
        assert key.public_key() == certificate.public_key()
        assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600


async def test_log_has_the_date_as_the_shell_writes_it(usual: StandInAcme) -> None:
    """In the container's time zone; and each line has its own time, `ago` before now."""
    began = dt.datetime.now(dt.UTC).timestamp()
    run = await usual.run(environment({"MAILCOW_HOSTNAME": HOST, "TZ": "Europe/Oslo"}), ago=3600)
    at, text = next((at, text) for at, text in run.lines if "Confirmed A record" in text)
    assert began - 3601 < at < began - 3590
    date, _, rest = text.partition(" - ")
    assert rest == f"Confirmed A record {V4}"
    weekday, month, day, clock, zone, year = date.split()
    assert zone in {"CET", "CEST"}
    offset = {"CET": "+0100", "CEST": "+0200"}[zone]
    read = dt.datetime.strptime(f"{weekday} {month} {day} {clock} {offset} {year}", "%a %b %d %H:%M:%S %z %Y")
    assert read.timestamp() == int(at)


@pytest.mark.parametrize("version", ["2025-07", "2026-07a"])
@pytest.mark.parametrize("host", ["mta-sts.a.test", "whatever.example", "127.0.0.1"])
@pytest.mark.parametrize("redirect", [True, False])
async def test_challenge_folder_is_served_for_every_host(
    tmp_path: Path, version: str, host: str, redirect: bool
) -> None:
    """On plain HTTP, also where the rest is redirected; not below it, and not what lies beside it."""
    folder = tmp_path / CHALLENGES
    folder.mkdir(parents=True)
    (folder / "mta-sts-1").write_text("found\n")
    (folder.parent / "beside").write_text("not for the world\n")
    async with (
        await SimulatedMailcow.start(
            version=version, challenge_folder=folder, http_redirect=redirect
        ) as mailcow,
        aiohttp.ClientSession() as session,
    ):

        async def get(path: str) -> tuple[int, str]:
            url = f"{mailcow.url}/.well-known/acme-challenge/{path}"
            async with session.get(url, headers={"Host": host}, allow_redirects=False) as answer:
                return answer.status, await answer.text()

        assert await get("mta-sts-1") == (200, "found\n")
        assert (await get("mta-sts-2"))[0] == 404
        assert (await get("%2e%2e%2fbeside"))[0] == 404
        assert (await get(""))[0] == 404
        mailcow.sites[host] = another_site
        assert await get("mta-sts-1") == (200, "<html>a site of my own</html>")


async def test_name_with_another_address_reaches_nobody(tmp_path: Path) -> None:
    """Nothing outside of the simulated world is connected to, not even behind a redirect."""
    zone = {HOST: {"A": (V4,), "AAAA": (V6,)}, "elsewhere.test": {"A": ("198.51.100.77",)}}
    async with world(replace(BY_ID["plain"], zone=zone, reached_at=(V4,)), tmp_path) as acme:
        folder = tmp_path / CHALLENGES
        folder.mkdir(parents=True)
        (folder / "f").write_text("here")
        get = partial(acme.web.get, path="/.well-known/acme-challenge/f")
        assert await get(HOST, 4) == "here"
        assert await get(HOST, 6) is None
        assert await get("elsewhere.test", 4) is None
        assert await get("nowhere.test", 4) is None
        acme.mailcow.sites[HOST] = lambda ask: nginx_page(
            301, headers={"Location": f"http://elsewhere.test{ask.path}"}
        )
        assert await get(HOST, 4) is None
