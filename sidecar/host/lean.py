"""Large libraries, imported without the parts of them that this program never uses.

Rule for every editor: only optional parts of a library are left out, and each entry says what that saves. Import
these libraries only from here: the first import in the process decides what is loaded.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """In this block the modules `names` cannot be imported, unless they are loaded already."""
    absent = [name for name in names if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment] # how Python itself marks what cannot be imported
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with without("rich"):  # for coloured traces in structlog's own output, which is not used: 3 MB
    import structlog as structlog  # noqa: PLC0414 - marks it as exported
    from structlog.typing import EventDict as EventDict  # noqa: PLC0414
    from structlog.typing import Processor as Processor  # noqa: PLC0414
    from structlog.typing import WrappedLogger as WrappedLogger  # noqa: PLC0414
