"""Error messages of the Docker engine: what was tried, on what, what came back, what to do.

Rule for every editor: the SDK, requests and urllib3 wrap the system's error in their own; the message shows the one
that a person can act on. Nothing here talks to the Engine.
"""

from collections.abc import Iterator

from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.mailcow.engine.sdk import docker, requests


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
