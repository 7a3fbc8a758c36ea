"""`sidecar init`: checks a mailcow directory before the service exists, and sets up what the sidecar needs there.

Rules for every editor: it uses no network and no Docker; it changes two files, mailcow.conf and the override file
of Compose, each shown as a diff without secrets and agreed to beforehand; run again, it changes nothing. `run` has the flow,
`look` reads, `checks` judges, `access` and `override` have the edits.
"""

from sidecar.init.run import TAKE_EFFECT, InitOptions, run_init
from sidecar.init.terminal import Streams

__all__ = ["TAKE_EFFECT", "InitOptions", "Streams", "run_init"]
