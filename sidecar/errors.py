"""The two kinds of trouble at the edge of the program.

Each says what was tried, on what, what came back and what to do; the cause is chained with `raise ... from`.
What a check finds is a value, never one of these. No secret may ever be put into the text.
"""


class SidecarError(Exception):
    """Trouble with the outside world that a person can be told about in one line."""


class TemporaryError(SidecarError):
    """May go away by itself: try again later."""


class NoSpaceError(TemporaryError):
    """A disk is full: worth another try at every pass, for only that shows that there is space again."""


class PermanentError(SidecarError):
    """Will not go away before a person changes something."""
