"""The settings of TLS reports: defaults, a mailbox, and mistakes with their places."""

import pytest

from sidecar.notify.secret import secrets_of
from sidecar.settings import SettingsError
from sidecar.settings.load import load
from sidecar.settings.reports import Imap, Receive, Reports

WHOLE = b"""
reports:
  receive: IMAP
  https: yes
  keep: 30
  require: true
  imap: {host: IMAP.example.org, user: reports@example.org, folder: TLS, move_to: Done}
"""


def test_by_default_reports_are_received_automatically_and_kept_for_90_days() -> None:
    """Nothing waits for one."""
    assert load({}, None, {}).reports == Reports(Receive.AUTO, False, 90, False, None)


def test_a_mailbox_with_its_password_in_the_environment() -> None:
    """The password is a secret, which the log hides."""
    settings = load({"MTA_STS_IMAP_PASSWORD": "correct horse"}, WHOLE, {})
    assert settings.reports == Reports(
        Receive.IMAP, True, 30, True, Imap("imap.example.org", "reports@example.org", 993, "TLS", "Done")
    )
    assert settings.imap_password is not None
    assert "correct horse" in secrets_of(settings)
    assert "correct horse" not in repr(settings)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (b"reports: {receive: pop3}", "reports.receive: 'pop3'; accepted: auto, mailcow, imap, off"),
        (b"reports: {receive: imap}", "reports: receive is imap, but imap is missing"),
        (b"reports: {keep: 0}", "reports.keep: '0'; accepted: a whole number of days from 1 to 3650"),
        (b"reports: {imap: {host: mail.example.org}}", "reports.imap: user: missing; it has no default"),
        (b"reports: {imap: {host: 'a b', user: x}}", "reports.imap.host: 'a b' is not a host"),
        (b"reports: {imap: {host: mail.example.org, user: x, password: hunter2}}", "MTA_STS_IMAP_PASSWORD"),
        (
            b"reports: {imap: {host: mail.example.org, user: x, ssl: y}}",
            "accepted: folder, host, move_to, port, user",
        ),
        (b"reports: {recieve: off}", "did you mean receive?"),
    ],
)
def test_each_mistake_says_where_it_is_and_what_is_accepted(config: bytes, said: str) -> None:
    """And shows no password."""
    with pytest.raises(SettingsError) as caught:
        load({}, config, {})
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
