"""A limit to the findings of one text: a stranger's policy of blank lines would fill the memory with them.

Rule for every editor: rules put errors first, so that what makes a text invalid is never among what is left out.
"""

from collections.abc import Sequence
from dataclasses import replace

from sidecar.observed.findings import Finding

MOST = 50


def few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first 50 of `findings`; the last of them says how many more there are."""
    if len(findings) <= MOST:
        return tuple(findings)
    last = findings[MOST - 1]
    more = f"{last.message} (and {len(findings) - MOST} more findings)"
    return (*findings[: MOST - 1], replace(last, message=more))
