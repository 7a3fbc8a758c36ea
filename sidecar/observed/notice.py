"""Notices for people: reported once when they begin, and once when they are over; and all their kinds in one table; pure.

The kinds of findings are in `sidecar.verify.codes` and `sidecar.verify.probe_codes`.

Rules for every editor: one sentence that says what is wrong and where, and what to do about it. A code keeps its name and
its meaning, because people filter and count by it. It says what is wrong, and its first word says where: a new code uses
one of the existing words.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class NoticeCode(StrEnum):
    """A kind of notice: its stable name, and what it means, in one sentence (`meaning`)."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        """The name is the text of the member."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.meaning = meaning
        return made

    # --- what could not be seen
    UNSEEN_CONF = "unseen.mailcow_conf", "mailcow.conf cannot be read."
    UNSEEN_MAILCOW = "unseen.mailcow", "It is not known which mailcow this is."
    UNSEEN_DOMAINS = "unseen.domains", "mailcow's list of domains cannot be read."
    UNSEEN_DOCKER = "unseen.docker", "mailcow's containers cannot be seen."
    UNSEEN_CERTIFICATES = "unseen.certificates", "mailcow's certificates cannot be read."
    UNSEEN_REPORTS = "unseen.reports", "The TLS reports that were received cannot be read."
    UNSEEN_FILE = "unseen.file", "The policy file cannot be read."

    # --- mailcow itself
    MAILCOW_API = "mailcow.api", "mailcow's API does not answer, or refuses."
    MAILCOW_REDIS = "mailcow.redis", "mailcow's Redis refuses writes."
    MAILCOW_CHANGED = "mailcow.changed", "mailcow has another version, or serves policies another way."
    API_DENIED = "api.denied", "mailcow refuses the API key for writes."
    API_BLOCKED = "api.blocked", "The sidecar cannot get access to mailcow's API automatically."
    API_UNSEEN = "api.unseen", "mailcow's database does not say which access to the API there is."
    DOMAINS_DOUBTED = "domains.doubted", "mailcow lists far fewer domains than before; it is asked again."
    DOMAINS_BELIEVED = "domains.believed", "mailcow's shorter list of domains is now believed."
    DOMAIN_GONE = "domain.gone", "A domain was deleted whose policy senders may still apply."
    HOSTNAME_INVALID = "hostname.invalid", "MAILCOW_HOSTNAME is not a host name."

    # --- policies
    POLICY_FOREIGN = "policy.foreign", "The policy of a domain was set by a person and is left unchanged."
    POLICY_ELSEWHERE = (
        "policy.elsewhere",
        "The policy of a domain is served by another server and is left unchanged.",
    )
    FILE_FOREIGN = "file.foreign", "The policy file was written by a person and is left unchanged."
    FILE_MENDED = (
        "file.mended",
        "The policy file is a person's, and has mistakes that only lenient senders accept; they are corrected.",
    )
    FILE_LOCKED = "file.locked", "The policy file cannot be written."
    FILE_NOT_ALONE = "file.not_alone", "A domain cannot have settings of its own: one file serves all."
    MX_UNCOVERED = "mx.uncovered", "An MX of a domain matches no mx pattern of its policy."
    MX_UNVALIDATED = (
        "mx.unvalidated",
        "`mx: dns` follows MX records that DNSSEC does not protect.",
    )
    ROLLOUT_READY = "rollout.ready", "All checks have passed for long enough to enforce the policy."
    ROLLOUT_FAILING = "rollout.failing", "Senders that enforce the policy refuse to deliver."
    ROLLOUT_UNSEEN = (
        "rollout.unseen",
        "The policy is in enforce, and it is not known whether senders can deliver.",
    )

    # --- TLS reports
    REPORTS_ANNOUNCED = (
        "reports.announced",
        "Soon an alias and a transport for TLS reports are added to mailcow.",
    )
    REPORTS_FOREIGN = "reports.foreign", "Something of a person's is in the way of TLS reports."
    REPORTS_NOT_RECEIVED = "reports.not_received", "TLS reports cannot be received now."

    # --- mailcow.conf
    CONF_LOCKED = "conf.locked", "mailcow.conf cannot be written."
    CONF_STAYS_OUT = (
        "conf.stays_out",
        "A person removed an entry twice, so the sidecar does not add it again.",
    )
    CONF_SPACES = "conf.spaces", "A setting has white space that mailcow reads differently than intended."
    CONF_COMMENT = "conf.comment", "A setting has a # that Compose reads as part of the list."

    # --- certificate and containers
    NAME_NOT_READY = "name.not_ready", "A name would not pass acme-mailcow's checks now."
    NAME_WOULD_DROP = "name.would_drop", "A name in the certificate would be left out of the next one."
    NAME_IN_VAIN = "name.in_vain", "Restarts of acme-mailcow did not bring a name into the certificate."
    CERTIFICATE_LOST = "certificate.lost", "A name that was in the certificate is no longer in it."
    CERTIFICATE_FULL = "certificate.full", "The certificate would have more names than Let's Encrypt accepts."
    CERTIFICATE_NOT_ACME = "certificate.not_acme", "The certificate does not come from acme-mailcow."
    ACME_ENVIRONMENT = "acme.environment", "acme-mailcow was created before mailcow.conf was changed."
    ACME_FAILED = "acme.failed", "acme-mailcow's last run failed."
    ACME_NO_LOG = "acme.no_log", "acme-mailcow's log cannot be read."
    ACME_UNCHECKED = "acme.unchecked", "acme-mailcow checks no name before it orders."
    ACME_NOT_HEALED = (
        "acme.not_healed",
        "A re-creation of acme-mailcow was interrupted, and cannot be repaired.",
    )
    NGINX_ENVIRONMENT = "nginx.environment", "nginx-mailcow was created before mailcow.conf was changed."
    NGINX_OLD_CERTIFICATE = (
        "nginx.old_certificate",
        "nginx presents another certificate than the one on the disk.",
    )
    NGINX_BEHIND_PROXY = "nginx.behind_proxy", "Another web server answers in front of nginx-mailcow."
    CONTAINER_STOPPED = "container.stopped", "A container that is needed does not run."
    CONTAINER_UNSETTLED = "container.unsettled", "A container does not run steadily."

    # --- DNS records that the sidecar publishes
    RECORD_FOREIGN = "record.foreign", "Somebody else's DNS record is where the sidecar would publish one."
    RECORDS_HELD = "records.held", "More published DNS records would change at once than is done unasked."
    ACCOUNT_FAILING = "account.failing", "A DNS account cannot be used."

    # --- the sidecar itself
    SETTINGS_UNKNOWN_DOMAIN = (
        "settings.unknown_domain",
        "The settings name a domain that mailcow does not have.",
    )
    PASS_FAILED = "pass.failed", "A whole pass failed."
    STATE_RENEWED = "state.renewed", "The state could not be read and was started again."
    VERIFY_TROUBLE = "verify.trouble", "The domains cannot be checked as senders see them."


UNSEEN = frozenset(
    {
        NoticeCode.UNSEEN_CONF,
        NoticeCode.UNSEEN_MAILCOW,
        NoticeCode.UNSEEN_DOMAINS,
        NoticeCode.UNSEEN_DOCKER,
        NoticeCode.UNSEEN_CERTIFICATES,
        NoticeCode.UNSEEN_FILE,
        NoticeCode.UNSEEN_REPORTS,
    }
)
"""Parts that could not be observed: the notice is over as soon as the part is observed."""


class Level(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know; reported once while it stays true. `todo` is what to do, if anything.

    `passing`: it is an event, so it never ends.
    """

    level: Level
    code: NoticeCode
    subject: str
    message: str
    todo: str | None = None
    passing: bool = False
