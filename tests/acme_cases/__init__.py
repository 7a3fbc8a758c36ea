"""What acme-mailcow does with a name, as a table of cases out of plain values alone.

Read off what mailcow's own acme-mailcow did in real runs. The stand-in of the demo is held to these rows, and so
can everything be that predicts acme-mailcow. Nothing here is computed by the code that it is to be compared with.
"""

from tests.acme_cases.addresses import ADDRESSES
from tests.acme_cases.caa import CAA
from tests.acme_cases.case import HOST, AcmeCase
from tests.acme_cases.ends import ENDS, HTTP
from tests.acme_cases.names import NAMES
from tests.acme_cases.versions import VERSIONS

__all__ = ["CASES", "HOST", "AcmeCase"]

CASES: tuple[AcmeCase, ...] = (*NAMES, *VERSIONS, *CAA, *ADDRESSES, *HTTP, *ENDS)
