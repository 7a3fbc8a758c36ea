"""Whether outgoing mail is checked, and what an answer of postfix-tlspol means."""

from dataclasses import replace

import pytest

from sidecar.formats.socketmap import Reply, SocketmapAnswer
from sidecar.observed import Mailcow, Observed, Project, Seen, Unseen
from sidecar.plan.outbound import OutboundChecks, applied, outbound
from tests.worlds import FILE_MAILCOW, NATIVE, NOW, World, container, observed

MAPS = "proxy:mysql:/opt/postfix/conf/sql/mysql_tls_policy_override_maps.cf socketmap:inet:postfix-tlspol:8642:QUERY"


def world(maps: str | None = MAPS, mailcow: Mailcow = NATIVE, state: str | None = "running") -> Observed:
    """A mailcow whose Postfix has this setting, with postfix-tlspol in this state (None: no container)."""
    own = () if state is None else (replace(container("postfix-tlspol-mailcow"), state=state),)
    project = Seen(Project("mailcow", own), NOW)
    return replace(observed(World(mailcow=mailcow)), policy_maps=Seen(maps, NOW), project=project)


@pytest.mark.parametrize(
    ("seen", "checks", "said"),
    [
        (world(), OutboundChecks.YES, "are checked"),
        (world(state="exited"), OutboundChecks.STOPPED, "it is exited"),
        (world(state=None), OutboundChecks.STOPPED, "it has no container"),
        (world("proxy:mysql:/x"), OutboundChecks.OFF, "not set up"),
        (world(None), OutboundChecks.OFF, "not set up"),
        (world("socketmap:inet:h:1:QUERY/x"), OutboundChecks.OFF, "not set up"),
        (world("proxy:mysql:/x", FILE_MAILCOW, None), OutboundChecks.NO, "2025-09 and later do"),
        (world(None, FILE_MAILCOW, None), OutboundChecks.NO, "2025-09 and later do"),
        (
            world("socketmap:inet:tlspol.lan:8642:QUERY", FILE_MAILCOW, None),
            OutboundChecks.YES,
            "asks tlspol.lan",
        ),
        (replace(world(), policy_maps=Unseen("no file", NOW)), OutboundChecks.UNKNOWN, "no file"),
        (
            replace(world(mailcow=FILE_MAILCOW), policy_maps=Unseen("no file", NOW)),
            OutboundChecks.NO,
            "does not check",
        ),
        (replace(world(), project=Unseen("no engine", NOW)), OutboundChecks.UNKNOWN, "no engine"),
    ],
)
def test_setting_and_container_say_whether_it_checks(
    seen: Observed, checks: OutboundChecks, said: str
) -> None:
    """The setting counts, not the version alone: a person may have set it up before, or switched it off since."""
    found = outbound(seen)
    assert found.checks is checks
    assert said in found.message
    assert (found.remedy is not None) == (
        checks in {OutboundChecks.NO, OutboundChecks.OFF, OutboundChecks.STOPPED}
    )


def test_it_is_asked_where_postfix_asks() -> None:
    """Host, port and table of the setting."""
    found = outbound(world("socketmap:inet:other:99:QUERYwithTLSRPT, static:x"))
    assert (found.place, found.table) == (("other", 99), "QUERYwithTLSRPT")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(SocketmapAnswer.OK, "secure match=mx1.example:.mail.example servername=hostname"),
            "MTA-STS is enforced: mail goes only to mx1.example, .mail.example,",
        ),
        (Reply(SocketmapAnswer.OK, "dane-only"), "DANE is enforced"),
        (Reply(SocketmapAnswer.OK, "dane"), "DANE where"),
        (Reply(SocketmapAnswer.OK, "encrypt"), "TLS level encrypt"),
        (Reply(SocketmapAnswer.NOTFOUND, ""), "no policy is enforced"),
        (Reply(SocketmapAnswer.TEMP, ""), "not known for now"),
        (Reply(SocketmapAnswer.TIMEOUT, ""), "not known for now"),
        (Reply(SocketmapAnswer.PERM, "no"), "refuses the question"),
    ],
)
def test_answer_in_words(reply: Reply, said: str) -> None:
    """What happens to mail, and the words that Postfix is given."""
    found = applied(reply)
    assert said in found.message
    assert found.words == reply.text
