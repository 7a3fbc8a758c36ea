"""Reading the certificates of strangers, whatever is in them.

Rule for every editor: whoever reads octets from outside with `cryptography.x509`, or a field of what was read (fields
are decoded when they are asked for), does it within `reading`.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reading() -> Iterator[None]:
    """Raises ValueError, with its cause, for whatever cryptography raises over a certificate.

    Among that are exceptions that are no ValueError (`DuplicateExtension`, `UnsupportedGeneralNameType` for an
    x400Address, `InvalidVersion`, `UnsupportedAlgorithm`), and panics of its parser, which are no Exception even.
    """
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a class that cannot be imported
            raise
        raise ValueError(f"its parser failed: {error}") from error
