"""TLS reports by real servers: through postfix to the sidecar's port, and out of a dovecot mailbox."""

import asyncio
import imaplib
import shutil
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from sidecar.formats.report_message import find
from sidecar.host.errors import PermanentError
from sidecar.observed.report_route import INTERNAL_ADDRESS, INTERNAL_DOMAIN
from sidecar.observed.reports import ReportWay
from sidecar.reports.intake import Intake
from sidecar.reports.receive_imap import Mailbox, MailboxPlace, fetch
from sidecar.reports.receive_smtp import smtp_port
from sidecar.reports.store import DAY_S, ReportStore
from tests.formats.tls_report_corpus import attached, message, packed, prose, report
from tests.reports.signed import Keys, signed
from tests.system.components import program
from tests.system.processes import serving, wait_until
from tests.system.sender_view import listens, postfix

NOW = 1_795_600_000.0
SUBMIT, SIDECAR, IMAPS = 2_525, 2_526, 9_993
LOOPBACK = "127.0.0.1"


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path that servers which drop root can read."""
    folder = Path(tempfile.mkdtemp(prefix="tr", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# --- postfix ---------------------------------------------------------------------------------------------

MAILCOW_LIKE = {
    # What mailcow makes of the alias and the transport; the test's client is none of its networks.
    "virtual_alias_maps": f"inline:{{ {{ tls-reports@example.test = {INTERNAL_ADDRESS} }} }}",
    "transport_maps": f"inline:{{ {{ {INTERNAL_DOMAIN} = smtp:[{LOOPBACK}]:{SIDECAR} }} }}",
    "mynetworks": "192.0.2.0/24",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "queue_run_delay": "1s",
    "smtp_tls_security_level": "none",
}


def send(recipient: str, data: bytes) -> None:
    """As a sender of reports outside."""
    with smtplib.SMTP(LOOPBACK, SUBMIT, timeout=10) as client:
        client.sendmail("noreply@sender.example", [recipient], data)


def queued(folder: Path) -> int:
    """How many messages postfix keeps."""
    said = subprocess.run(
        [program("postqueue"), "-c", str(folder / "etc"), "-j"], check=True, capture_output=True
    ).stdout
    return len(said.splitlines())


@asynccontextmanager
async def sidecar(store: ReportStore) -> AsyncIterator[Intake]:
    """The sidecar's port."""
    intake = Intake(store, Keys(), lambda: NOW)
    async with smtp_port(intake, INTERNAL_ADDRESS, lambda: frozenset({LOOPBACK}), (LOOPBACK, SIDECAR)):
        yield intake


async def until_waiting(store: ReportStore, count: int) -> None:
    """Until so many messages were accepted."""
    await asyncio.to_thread(wait_until, lambda: len(store.waiting(NOW)) >= count, "reports come", 30)


async def test_reports_come_through_postfix_and_wait_there_while_the_sidecar_is_away(place: Path) -> None:
    """None is lost, and their signatures are still right; from outside nobody reaches the internal domain."""
    store = ReportStore(place / "state")
    with postfix(place, {SUBMIT: ()}, MAILCOW_LIKE):
        await asyncio.to_thread(send, "tls-reports@example.test", report_mail(1))
        await asyncio.to_thread(wait_until, lambda: queued(place) == 1, "postfix keeps it", 30)
        async with sidecar(store) as intake:
            await until_waiting(store, 1)
            await asyncio.to_thread(send, "tls-reports@example.test", report_mail(2))
            await until_waiting(store, 2)
            await asyncio.to_thread(wait_until, lambda: queued(place) == 0, "the queue is empty", 30)
            with pytest.raises(smtplib.SMTPRecipientsRefused, match="Relay access denied"):
                await asyncio.to_thread(send, INTERNAL_ADDRESS, report_mail(3))
            assert await intake.work() == 2
    (found,) = store.reported("example.org", NOW - 30 * DAY_S)
    assert (found.sender, found.ok) == ("sender.example", 24)


def report_mail(number: int) -> bytes:
    """A signed message with a report."""
    return signed(message(prose(), attached(packed(report(report_id=f"r{number}")))))


# --- dovecot ---------------------------------------------------------------------------------------------

PASSWORD = "correct horse battery"


@contextmanager
def dovecot(folder: Path) -> Iterator[Mailbox]:
    """A mailbox over TLS on loopback, and how to get there."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "imap.pem")
    (folder / "home").mkdir()
    shutil.chown(folder / "home", "mail", "mail")
    (folder / "dovecot.conf").write_text(
        f"""
        base_dir = {folder}/run
        log_path = {folder}/log
        protocols = imap
        listen = {LOOPBACK}
        ssl = required
        ssl_cert = <{folder}/imap.pem
        ssl_key = <{folder}/imap.pem
        mail_location = maildir:~/Maildir
        first_valid_uid = 1
        service imap-login {{
          inet_listener imap {{
            port = 0
          }}
          inet_listener imaps {{
            port = {IMAPS}
            ssl = yes
          }}
        }}
        service stats {{
          client_limit = 50
        }}
        passdb {{
          driver = static
          args = password={PASSWORD.replace(" ", "-")}
        }}
        userdb {{
          driver = static
          args = uid=mail gid=mail home={folder}/home/%n
        }}
        """
    )
    command = [program("dovecot"), "-F", "-c", str(folder / "dovecot.conf")]
    with serving(command, answers=lambda: listens(IMAPS), log=folder / "out"):
        yield Mailbox(
            "localhost",
            "reports@example.test",
            SecretStr(PASSWORD.replace(" ", "-")),
            IMAPS,
            roots=authority.cert_pem.bytes().decode(),
        )


@contextmanager
def person(box: Mailbox) -> Iterator[imaplib.IMAP4_SSL]:
    """A mail program of the mailbox's owner."""
    context = ssl.create_default_context(cadata=box.roots)
    with imaplib.IMAP4_SSL(box.host, box.port, ssl_context=context) as client:
        client.login(box.user, box.password.get_secret_value())
        yield client


def test_reports_are_fetched_once_and_the_mailbox_is_left_as_it_was(place: Path) -> None:
    """Octet by octet, from where the last visit ended; other mail is not touched, and nothing is marked as read."""
    taken: list[bytes] = []
    marks: list[MailboxPlace] = []

    def visit(box: Mailbox) -> int:
        def take(data: bytes) -> bool:
            taken.append(data)
            return True

        return fetch(box, marks[-1] if marks else MailboxPlace(), take, marks.append)

    with dovecot(place) as box:
        with person(box) as client:
            for data in (report_mail(1), b"Subject: lunch\r\n\r\nAt one?\r\n", report_mail(2)):
                client.append("INBOX", "", "", data)
        assert visit(box) == 2
        assert visit(box) == 0
        with person(box) as client:
            client.append("INBOX", "", "", report_mail(3))
        assert visit(box) == 1
        assert [find(data).reports[0] for data in taken] == [
            packed(report(report_id=f"r{n}")) for n in (1, 2, 3)
        ]
        assert taken[0].endswith(message(prose(), attached(packed(report(report_id="r1")))))
        with person(box) as client:
            client.select("INBOX", readonly=True)
            assert client.search(None, "UNSEEN")[1] == [b"1 2 3 4"]
        assert MailboxPlace.of(str(marks[-1])) == marks[-1]
        begun_again = MailboxPlace(marks[-1].validity + 1, 99)
        assert fetch(box, begun_again, lambda _: True, lambda _: None) == 3  # the folder is another one now
        assert (
            fetch(box, MailboxPlace(), lambda _: False, marks.append) == 0
        )  # could not be stored: it is fetched again


def test_reports_are_moved_where_it_was_asked_for(place: Path) -> None:
    """Only those that were taken."""
    with dovecot(place) as box:
        with person(box) as client:
            client.create("Done")
            client.append("INBOX", "", "", report_mail(1))
            client.append("INBOX", "", "", b"Subject: lunch\r\n\r\nAt one?\r\n")
        assert fetch(replace(box, move_to="Done"), MailboxPlace(), lambda _: True, lambda _: None) == 1
        with person(box) as client:
            assert client.select("INBOX", readonly=True)[1] == [b"1"]
            assert client.select("Done", readonly=True)[1] == [b"1"]


def test_what_a_person_must_correct_is_said_without_the_password(place: Path) -> None:
    """A wrong password, folder, or certificate."""
    with dovecot(place) as box:
        for wrong, said in (
            (replace(box, password=SecretStr("hunter2")), "the name or the password was refused"),
            (replace(box, folder="Nothing"), "there is no such folder"),
            (replace(box, roots=None), "its certificate is not valid"),
            (replace(box, host=LOOPBACK), "its certificate is not valid"),
        ):
            with pytest.raises(PermanentError, match=said) as caught:
                fetch(wrong, MailboxPlace(), lambda _: True, lambda _: None)
            assert "hunter2" not in repr(caught.value)
            assert "hunter2" not in repr(caught.value.__cause__)


async def test_what_was_fetched_is_stored_with_its_sender(place: Path) -> None:
    """Through the intake, as by every way in."""
    store = ReportStore(place / "state")
    intake = Intake(store, Keys(), lambda: NOW)
    loop = asyncio.get_running_loop()

    def take(data: bytes) -> bool:
        return asyncio.run_coroutine_threadsafe(intake.accept(data, ReportWay.IMAP), loop).result(10)

    with dovecot(place) as box:
        with person(box) as client:
            client.append("INBOX", "", "", report_mail(1))
        assert await asyncio.to_thread(fetch, box, MailboxPlace(), take, lambda _: None) == 1
    assert await intake.work() == 1
    assert [one.sender for one in store.reported("example.org", NOW - 30 * DAY_S)] == ["sender.example"]
