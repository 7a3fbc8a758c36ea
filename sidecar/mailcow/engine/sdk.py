"""The Docker SDK and its HTTP client, without the detection of character sets.

Rule for every editor: the modules of this room take `docker` and `requests` from here.
"""

# ruff: noqa: PLC0414 - `as` marks what is exported

import warnings

from sidecar.host.lean import without

# requests guesses the character set of texts without one. The Engine sends JSON in UTF-8. This saves 2.5 MB.
with without("chardet", "charset_normalizer"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # requests warns that it cannot guess
    import requests as requests

import docker as docker
