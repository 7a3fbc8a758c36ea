"""The built image, started from the override by a real Compose: a domain added through the API, and nobody's hand."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from demo.simulated import SimulatedMailcow
from tests.system.acmebeside import working
from tests.system.mailcowlike import SIDECAR, MailcowLike

GATEWAY = "172.22.1.1"
# The engine rewrites the source address of a packet from this machine to its own bridge.
ALLOWED = ("172.22.1.0/24", "10.212.0.0/16")
KEY = "AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE"
HOST = "mail.example.test"
CONFIG = """\
restart: {quiet: 1, settle: 3}
intervals: {poll: 5, dns: 5}
"""
PATIENCE_S = 60.0


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Looks again and again, for a minute at most."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - containers tell nobody
            await asyncio.sleep(0.3)
    print(what)


def certify(folder: Path, *names: str) -> None:
    """A certificate as acme-mailcow leaves it."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Let's Encrypt")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=89))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "data/assets/ssl/cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def names_in(certificate: Path) -> list[str]:
    """The names that this certificate is for."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    san = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return san.value.get_values_for_type(x509.DNSName)


async def add_through_the_api(mailcow: SimulatedMailcow, domain: str) -> None:
    """As mailcow's own page, or a script of the administrator, does it."""
    body = {
        "domain": domain,
        "active": 1,
        "aliases": 10,
        "mailboxes": 10,
        "defquota": 100,
        "maxquota": 100,
        "quota": 1000,
    }
    async with (
        aiohttp.ClientSession(headers={"X-API-Key": KEY}) as session,
        session.post(f"{mailcow.url}/api/v1/add/domain", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()


def acme(mailcow: MailcowLike) -> tuple[str, str, str]:
    """The id of acme-mailcow's container, since when it runs, and its ADDITIONAL_SAN."""
    found = json.loads(mailcow.project.engine.run_cli("inspect", mailcow.project.container("acme-mailcow")))[
        0
    ]
    san = next(line for line in found["Config"]["Env"] if line.startswith("ADDITIONAL_SAN="))
    return found["Id"], found["State"]["StartedAt"], san


@asynccontextmanager
async def running_sidecar(
    mailcow_like: MailcowLike, version: str, *domains: str
) -> AsyncIterator[SimulatedMailcow]:
    """All that the README's installation leads to: image built, `up -d` done; the API is a simulated mailcow's."""
    mailcow_like.add_sidecar()
    conf = mailcow_like.folder / "mailcow.conf"
    config = mailcow_like.folder / "data/conf/mta-sts/config.yml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG)
    certify(mailcow_like.folder, HOST)
    await asyncio.to_thread(mailcow_like.project.run, "up", "-d", "unbound-mailcow")  # makes the network
    await asyncio.to_thread(mailcow_like.resolve, f"{HOST}. A 192.0.2.1")
    async with await SimulatedMailcow.start(
        version=version, hostname=HOST, key=KEY, host=GATEWAY, allow_from=ALLOWED, timezone="Etc/UTC"
    ) as mailcow:
        for domain in domains:
            mailcow.add_domain(domain)
        conf.write_text(conf.read_text() + f"MTA_STS_API_URL={mailcow.url}\n")
        await asyncio.to_thread(mailcow_like.project.run, "build", SIDECAR, timeout=200)
        await asyncio.to_thread(mailcow_like.project.run, "up", "-d")
        acme_itself = asyncio.create_task(working(mailcow_like, mailcow))
        try:
            yield mailcow
        except (TimeoutError, AssertionError):
            print(await asyncio.to_thread(mailcow_like.project.run, "logs", SIDECAR))
            raise
        finally:
            acme_itself.cancel()
            await asyncio.wait([acme_itself])


@pytest.mark.timeout(300)
async def test_domain_added_through_the_api_ends_as_a_served_policy_and_a_restarted_acme(
    mailcow_like: MailcowLike,
) -> None:
    """Native: policy, then DNS, then the restart; the sidecar itself ends quickly."""
    conf = mailcow_like.folder / "mailcow.conf"
    async with running_sidecar(mailcow_like, "2026-07a", "example.test") as mailcow:
        before = conf.read_bytes()
        first = await asyncio.to_thread(acme, mailcow_like)

        async def served(domain: str) -> bool:
            return mailcow.policy_text(domain) is not None

        async def restarted() -> bool:
            now = await asyncio.to_thread(acme, mailcow_like)
            return now[0] == first[0] and now[1] != first[1]

        await until(lambda: served("example.test"), "the first domain is served")
        await add_through_the_api(mailcow, "new.test")
        await until(lambda: served("new.test"), "the new domain is served")
        assert await asyncio.to_thread(acme, mailcow_like) == first
        await asyncio.to_thread(mailcow_like.resolve, f"{HOST}. A 192.0.2.1", "mta-sts.new.test. A 192.0.2.1")
        await until(restarted, "acme-mailcow was restarted")
        assert conf.read_bytes() == before
        log = await asyncio.to_thread(mailcow_like.project.run, "logs", SIDECAR)
        assert KEY not in log
        assert "Traceback" not in log
        assert "publish: mta-sts.example.test. 120 IN CNAME mail.example.test." in log
        plan = await asyncio.to_thread(mailcow_like.project.run, "exec", "-T", SIDECAR, "sidecar", "plan")
        assert "domains: 2" in plan
        healthy = await asyncio.to_thread(
            mailcow_like.project.run, "exec", "-T", SIDECAR, "sidecar", "healthy"
        )
        assert healthy == "alive"
        started = asyncio.get_running_loop().time()
        await asyncio.to_thread(mailcow_like.project.run, "stop", SIDECAR)
        assert asyncio.get_running_loop().time() - started < 5


@pytest.mark.timeout(300)
async def test_empty_mailcow_with_one_policy_file_ends_with_the_name_in_the_certificate(
    mailcow_like: MailcowLike,
) -> None:
    """File generation: file, settings, a new acme-mailcow, its certificate; then Compose makes it anew once, cleanly."""
    conf = mailcow_like.folder / "mailcow.conf"
    ssl = mailcow_like.folder / "data/assets/ssl/cert.pem"
    async with running_sidecar(mailcow_like, "2025-07") as mailcow:
        project = mailcow_like.project.run  # which has the sidecar in it only now
        before = conf.read_text()
        first = await asyncio.to_thread(acme, mailcow_like)

        async def served() -> bool:
            ask = ("exec", "-T", "nginx-mailcow", "wget", "-qO-", "http://127.0.0.1/.well-known/mta-sts.txt")
            answer = await asyncio.to_thread(mailcow_like.project.try_run, *ask)
            return answer.stdout.startswith("version: STSv1") and "mode: testing" in answer.stdout

        async def certified() -> bool:
            return "mta-sts.new.test" in names_in(ssl)

        async def settled() -> bool:
            return "Nothing to do." in await asyncio.to_thread(
                project, "exec", "-T", SIDECAR, "sidecar", "plan"
            )

        await asyncio.to_thread(mailcow_like.resolve, f"{HOST}. A 192.0.2.1", "mta-sts.new.test. A 192.0.2.1")
        await add_through_the_api(mailcow, "new.test")
        await until(served, "nginx-mailcow serves the policy file")
        await until(certified, "the name is in the certificate")
        made = await asyncio.to_thread(acme, mailcow_like)
        assert made[0] != first[0]
        assert made[2] == "ADDITIONAL_SAN=mta-sts.*"
        assert conf.read_text() == before.replace("ADDITIONAL_SAN=\n", "ADDITIONAL_SAN=mta-sts.*\n").replace(
            "ADDITIONAL_SERVER_NAMES=\n", "ADDITIONAL_SERVER_NAMES=mta-sts.*\n"
        )
        await until(settled, "nothing is left to do")
        said = await asyncio.to_thread(project, "logs", "acme-mailcow")
        assert "names=mta-sts.*" in said
        assert "Found A record for mta-sts.new.test: 192.0.2.1" in said
        assert "Certificate successfully obtained" in said
        assert set(names_in(ssl)) == {HOST, "mta-sts.new.test"}
        assert await asyncio.to_thread(acme, mailcow_like) == made

        await asyncio.to_thread(project, "up", "-d")
        composed = await asyncio.to_thread(acme, mailcow_like)
        assert composed[0] != made[0]
        assert composed[2] == made[2]
        assert len((await asyncio.to_thread(project, "ps", "--all", "--quiet", "acme-mailcow")).split()) == 1
        await asyncio.to_thread(project, "up", "-d")
        await until(settled, "nothing is left to do")
        assert await asyncio.to_thread(acme, mailcow_like) == composed
        log = await asyncio.to_thread(project, "logs", SIDECAR)
        assert log.count("done: re-create") == 1
        assert log.count("nginx-mailcow was created before mta-sts.* was added to") == 1
        assert "done: restart" not in log
        assert KEY not in log
        assert "Traceback" not in log
