"""Which release this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version, `unknown` in a checkout that was never installed."""
    try:
        return version("mta-sts-sidecar")
    except PackageNotFoundError:
        return "unknown"
