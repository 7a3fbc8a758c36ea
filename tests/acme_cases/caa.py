"""Rows about CAA: what acme-mailcow asks, and what the certificate authority asks."""

from tests.acme_cases.case import (
    BASE,
    ERRORS,
    FULL,
    HOST,
    LE,
    OTHER_CA,
    RENEWED,
    REQUESTED,
    WITHOUT_HOST,
    A,
    AcmeCase,
    confirmed,
    named,
    own,
)

CAA = (
    AcmeCase(
        id="caa-allows",
        zone={**BASE, "a.test": {"CAA": (OTHER_CA, LE)}},
        names=FULL,
        log=("Validated CAA for parent domain a.test", *confirmed("mta-sts.a.test")),
    ),
    AcmeCase(
        id="caa-forbids",
        zone={**BASE, "a.test": {"CAA": (OTHER_CA,)}},
        held=FULL,
        names=(HOST,),
        failed=FULL[1:],
        log=("Lets Encrypt disallowed for a.test by CAA record", *confirmed(HOST), RENEWED),
        never=("mta-sts.a.test",),
    ),
    AcmeCase(
        id="caa-nobody-may",
        zone={**BASE, "a.test": {"CAA": ('0 issue ";"',)}},
        names=(HOST,),
        failed=FULL[1:],
    ),
    AcmeCase(
        id="caa-of-the-target-allows-and-the-domain-forbids",
        zone={**BASE, HOST: {**A, "CAA": (LE,)}, "a.test": {"CAA": (OTHER_CA,)}},
        names=(HOST,),
        failed=FULL[1:],
    ),
    AcmeCase(
        id="caa-capitals",
        zone={**BASE, "a.test": {"CAA": ('0 issue "LetsEncrypt.org"',)}},
        names=(HOST,),
        failed=FULL[1:],
    ),
    AcmeCase(
        id="caa-for-wildcards-only",
        zone={**BASE, "a.test": {"CAA": ('0 issuewild "other-ca.test"',)}},
        names=FULL,
        never=("CAA",),
    ),
    AcmeCase(
        id="caa-for-reports-only",
        zone={**BASE, "a.test": {"CAA": ('0 iodef "mailto:a@a.test"',)}},
        names=FULL,
    ),
    AcmeCase(
        id="caa-critical-flag", zone={**BASE, "a.test": {"CAA": ('128 issue "letsencrypt.org"',)}}, names=FULL
    ),
    AcmeCase(
        id="caa-parameters-that-allow",
        zone={**BASE, "a.test": {"CAA": ('0 issue "letsencrypt.org; validationmethods=http-01,dns-01"',)}},
        names=FULL,
    ),
    AcmeCase(
        id="caa-of-a-listed-name",
        conf={"ADDITIONAL_SAN": "webmail.other.test"},
        zone={**BASE, "webmail.other.test": A, "other.test": {"CAA": (OTHER_CA,)}},
        names=FULL,
        failed=("webmail.other.test",),
        log=(
            (
                "Skipping ACME validation for webmail.other.test: "
                "Lets Encrypt disallowed for webmail.other.test by CAA record"
            ),
        ),
    ),
    AcmeCase(
        id="caa-of-a-listed-name-allows",
        conf={"ADDITIONAL_SAN": "webmail.other.test"},
        zone={**BASE, "webmail.other.test": A, "other.test": {"CAA": (LE,)}},
        names=named(*FULL[1:], "webmail.other.test"),
        log=("Validated CAA for parent domain other.test of webmail.other.test",),
    ),
    AcmeCase(
        id="caa-above-the-hostname-forbids",
        zone={**BASE, "host.test": {"CAA": (OTHER_CA,)}},
        held=FULL,
        names=WITHOUT_HOST,
        failed=(HOST,),
        log=("Lets Encrypt disallowed for host.test by CAA record", REQUESTED),
    ),
    # What acme-mailcow lets pass and the certificate authority refuses: the whole order fails.
    AcmeCase(
        id="caa-almost-the-name",
        zone={**BASE, "a.test": {"CAA": ('0 issue "notletsencrypt.org"',)}},
        names=(HOST,),
        sleep="30m",
        log=("Validated CAA for parent domain a.test", ERRORS),
    ),
    AcmeCase(
        id="caa-parameters-that-forbid",
        zone={**BASE, "a.test": {"CAA": ('0 issue "letsencrypt.org; validationmethods=dns-01"',)}},
        names=(HOST,),
        sleep="30m",
        log=(ERRORS,),
    ),
    AcmeCase(
        id="caa-of-the-target-forbids",
        zone={**BASE, "mta-sts.a.test": {"CNAME": ("other.test.",)}, "other.test": {**A, "CAA": (OTHER_CA,)}},
        names=(HOST,),
        sleep="30m",
        log=(*confirmed("mta-sts.a.test"), ERRORS),
    ),
    AcmeCase(
        id="caa-of-the-name-itself-forbids",
        zone={**BASE, "mta-sts.a.test": {**A, "CAA": (OTHER_CA,)}},
        names=(HOST,),
        sleep="30m",
        log=(*confirmed("mta-sts.a.test"), ERRORS),
    ),
    AcmeCase(
        id="caa-further-up-forbids",
        domains={"sub.a.test": "active"},
        policies={"sub.a.test": True},
        zone={HOST: A, **own("sub.a.test"), "a.test": {"CAA": (OTHER_CA,)}},
        names=(HOST,),
        sleep="30m",
        log=(*confirmed("mta-sts.sub.a.test"), ERRORS),
    ),
)
