"""`sidecar records`: the DNS records that each domain needs, as a zone file to be pasted.

Rule for every editor: standard output is a zone file from its first line to its last; all else is a comment in
it, or goes to standard error.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sidecar.host.exits import Exit

if TYPE_CHECKING:
    from sidecar.cli.look import Inspection
    from sidecar.plan.records import DomainRecords

_EXAMPLES = """\
examples:
  sidecar records                          all records of all domains
  sidecar records --missing                only what the DNS does not have
  sidecar records example.org              of one domain or alias domain
  sidecar records --shared                 all domains point to the records of the host's domain
  sidecar records --format dnscontrol      for DNS as code: zone, octodns, dnscontrol or json

The _mta-sts record is shown once the policy is served: the policy first, its id after (RFC 8461). A record that must
not be published yet is commented out (;).
The address for _smtp._tls is `tls_report` in data/conf/mta-sts/config.yml.

exit codes: 0 shown, 1 a domain is not in this mailcow, 2 settings are invalid, 3 mailcow cannot be read
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    records = subparsers.add_parser(
        "records",
        help="the DNS records each domain needs, as a zone file",
        description="Prints the DNS records that each domain needs for MTA-STS and TLSRPT, as a zone file.",
        epilog=_EXAMPLES,
    )
    records.add_argument("domains", nargs="*", metavar="DOMAIN", help="without one: all domains")
    records.add_argument("--missing", action="store_true", help="only those that the DNS does not have")
    records.add_argument(
        "--shared",
        action="store_true",
        help="one id for all: other domains point to the records of the host's domain "
        "(so by default before mailcow 2025-09)",
    )
    records.add_argument(
        "--format",
        choices=["zone", "octodns", "dnscontrol", "json"],
        default="zone",
        help="the form of the records, with their present ids (default: zone)",
    )


async def run(given: argparse.Namespace, env: Mapping[str, str]) -> Exit:
    """Reads mailcow and the DNS, and prints the records."""
    from sidecar.cli.look import look_at, unreadable
    from sidecar.plan.records import needed
    from sidecar.status.record_exports import Form, exported, zone_text

    look = await look_at(given.domains, env)
    if not look.readable:
        return unreadable(look)
    found = needed(
        look.observed,
        look.settings,
        look.domains,
        shared=True if given.shared else None,
        id_trouble=look.id_trouble.get,
    )
    if given.format != Form.ZONE:
        print(exported(found, Form(given.format), missing=given.missing), end="")
        return Exit.OK
    print(zone_text(found, _head(look, found, given), missing=given.missing), end="")
    return Exit.OK


def _head(look: "Inspection", found: "Sequence[DomainRecords]", given: argparse.Namespace) -> list[str]:
    """Comments on top: what is true for more than one domain, and requested domains without records."""
    from sidecar.formats.domain_name import to_unicode
    from sidecar.observed import Backend, Seen
    from sidecar.plan.records import RecordState

    lines: list[str] = []
    native = isinstance(look.observed.mailcow, Seen) and look.observed.mailcow.value.backend is Backend.NATIVE
    if native and given.shared:
        lines.append(
            "one id for all domains: when the policy of another domain changes, this id must change, too"
        )
    unset = [records.report.note for records in found if records.report.standing is RecordState.NOT_SET]
    if unset:
        lines.append(f"no TLSRPT records: {unset[0]}")
    shown = {records.domain.name for records in found}
    lines += [
        f"{to_unicode(name)}: no records: it takes no mail here, has left MTA-STS, or is excluded by the settings"
        for name in look.names or ()
        if name not in shown
    ]
    return lines
