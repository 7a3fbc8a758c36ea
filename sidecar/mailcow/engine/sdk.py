"""The Docker SDK and its HTTP client, without the detection of character sets, and what their errors mean.

Rules for every editor: the modules of this room take `docker` and `requests` from here. The SDK, requests and urllib3 wrap
the system's error in their own; a message shows the one that a person can act on: what was tried, on what, what came back,
what to do.
"""

# ruff: noqa: PLC0414 - `as` marks what is exported

import warnings

from sidecar.host.lean import without

# requests guesses the character set of texts without one. The Engine sends JSON in UTF-8. This saves 2.5 MB.
with without("chardet", "charset_normalizer"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # requests warns that it cannot guess
    import requests as requests

from collections.abc import Iterator

import docker as docker

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError


def trouble(what: str, docker_host: str, timeout_s: float, error: Exception) -> SidecarError:
    """The error to raise if `what` could not be done with the Engine at `docker_host`."""
    tried = f"{what} failed: the Docker engine at {docker_host}"
    for cause in _causes(error):
        match cause:
            case FileNotFoundError():
                return TemporaryError(
                    f"{tried} has no socket there; mount Docker's socket, or set DOCKER_HOST"
                )
            case PermissionError():
                return PermanentError(
                    f"{tried} does not allow this process; its socket belongs to root, and with SELinux "
                    "the container needs security_opt label=disable"
                )
            case ConnectionRefusedError():
                return TemporaryError(
                    f"{tried} does not listen there; is Docker running, and is this its socket?"
                )
            case requests.Timeout() | TimeoutError():
                return TemporaryError(
                    f"{tried} did not answer within {timeout_s:g} s; is the host overloaded?"
                )
            case docker.errors.APIError() if cause.status_code == 403:
                return PermanentError(
                    f"{tried} refused it ({explanation(cause)}); is there a proxy before its socket?"
                )
            case docker.errors.APIError():
                return TemporaryError(f"{tried} answered {explanation(cause)}; it is tried again")
            case _:
                pass
    return TemporaryError(f"{tried} gave {type(error).__name__}: {error}; is DOCKER_HOST right?")


def explanation(error: docker.errors.APIError) -> str:
    """The Engine's own message, with its status."""
    return f"{error.status_code} {error.explanation or 'without a reason'}"[:300]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; urllib3 hides the cause among the arguments."""
    queue, seen = [error], set[int]()
    while queue:
        cause = queue.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        queue += [
            c for c in (cause.__cause__, cause.__context__, *cause.args) if isinstance(c, BaseException)
        ]
