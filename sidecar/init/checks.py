"""What a mailcow directory means for MTA-STS: a list of small rules over what was found; pure.

Rules for every editor: a rule is a function of its own in `RULES`; what it finds is a value with a stable code. It says
what it means for the reader, not only what is there. No finding contains a key or a password. What is to be changed is
decided in `proposals`.
"""

from collections.abc import Callable

from sidecar.init import compose_rules, mailcow_rules
from sidecar.init.findings import Findings, InitFinding
from sidecar.init.look import Directory

RULES: tuple[Callable[[Directory], Findings], ...] = (
    mailcow_rules.generation,
    mailcow_rules.hostname,
    compose_rules.compose_files,
    mailcow_rules.certificate,
    mailcow_rules.certificate_settings,
    mailcow_rules.ports,
    mailcow_rules.policy_file,
    compose_rules.address,
    mailcow_rules.access,
    compose_rules.clone,
    compose_rules.start,
)
"""In the order in which findings are printed."""


def check(directory: Directory) -> tuple[InitFinding, ...]:
    """All that the rules find, in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(directory))
