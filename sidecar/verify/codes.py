"""The codes of the rules that need no network: what `sidecar lint` can find in a record, a policy or a pattern.

Here is also what a kind of finding means for the conditions of a roll-out (`Bearing`).

Rule for every editor: a code, once published, keeps its name and its meaning. An ERROR makes the text
invalid, a lesser finding leaves it valid: that defines *valid*. Codes for what only a probe can see do not belong here.
"""

from sidecar.observed.checks import Bearing, Code, ConditionType, Effect, Severity

_SERVED = (ConditionType.POLICY_SERVED,)
_RECORD = (ConditionType.RECORD_PUBLISHED,)
_COVERED = (ConditionType.MX_COVERED,)
_AUTHENTICATED = (ConditionType.MX_AUTHENTICATED,)
_REPORTS = (ConditionType.REPORTS_WANTED,)

PROVES_SERVED = Bearing(Effect.PROVES, _SERVED)
PROVES_RECORD = Bearing(Effect.PROVES, _RECORD)
PROVES_COVERED = Bearing(Effect.PROVES, _COVERED)
PROVES_AUTHENTICATED = Bearing(Effect.PROVES, _AUTHENTICATED)
PROVES_REPORTS = Bearing(Effect.PROVES, _REPORTS)

BREAKS_RECORD = Bearing(Effect.BREAKS, _RECORD)
BREAKS_COVERED = Bearing(Effect.BREAKS, _COVERED)
BREAKS_AUTHENTICATED = Bearing(Effect.BREAKS, _AUTHENTICATED)
BREAKS_REPORTS = Bearing(Effect.BREAKS, _REPORTS)

GRAVE_SERVED = Bearing(Effect.BREAKS_WHEN_GRAVE, _SERVED)
GRAVE_RECORD = Bearing(Effect.BREAKS_WHEN_GRAVE, _RECORD)
GRAVE_REPORTS = Bearing(Effect.BREAKS_WHEN_GRAVE, _REPORTS)

BLOCKS_SERVED = Bearing(Effect.BLOCKS, _SERVED)
BLOCKS_RECORD = Bearing(Effect.BLOCKS, _RECORD)
BLOCKS_COVERED = Bearing(Effect.BLOCKS, _COVERED)
BLOCKS_AUTHENTICATED = Bearing(Effect.BLOCKS, _AUTHENTICATED)
BLOCKS_COVERED_AND_AUTHENTICATED = Bearing(Effect.BLOCKS, (*_COVERED, *_AUTHENTICATED))
BLOCKS_REPORTS = Bearing(Effect.BLOCKS, _REPORTS)


_STS = "RFC 8461 §3.1"
_POLICY = "RFC 8461 §3.2"
_TLSRPT = "RFC 8460 §3"
_MATCH = "RFC 8461 §4.1"
_ERROR, _WARNING, _NOTICE = Severity.ERROR, Severity.WARNING, Severity.NOTICE

RECORD_FOREIGN = Code(
    "record-foreign", _ERROR, _STS, "The text is not an MTA-STS record: senders discard it.", GRAVE_RECORD
)
RECORD_VERSION = Code(
    "record-version", _ERROR, _STS, "The record's version is not spelled v=STSv1.", GRAVE_RECORD
)
RECORD_QUOTED = Code("record-quoted", _ERROR, _STS, "Quotation marks are part of the record.", GRAVE_RECORD)
RECORD_ESCAPED = Code(
    "record-escaped", _ERROR, _STS, "Backslashes of a zone file are part of the record.", GRAVE_RECORD
)
RECORD_SEMICOLON = Code("record-semicolon", _ERROR, _STS, "No semicolon follows v=STSv1.", GRAVE_RECORD)
RECORD_WHITE_SPACE = Code(
    "record-white-space",
    _ERROR,
    _STS,
    "White space stands where the grammar does not allow it.",
    GRAVE_RECORD,
)
RECORD_OCTET = Code(
    "record-octet",
    _ERROR,
    _STS,
    "It has a line end, a control character or an octet beyond US-ASCII.",
    GRAVE_RECORD,
)
RECORD_EMPTY_FIELD = Code(
    "record-empty-field", _ERROR, _STS, "There is nothing between two semicolons.", GRAVE_RECORD
)
RECORD_FIELD = Code("record-field", _ERROR, _STS, "A field is not of the form name=value.", GRAVE_RECORD)
RECORD_ID_MISSING = Code("record-id-missing", _ERROR, _STS, "The record has no id.", GRAVE_RECORD)
RECORD_ID = Code(
    "record-id",
    _ERROR,
    _STS,
    "The id is empty, or has other characters than letters and digits.",
    GRAVE_RECORD,
)
RECORD_ID_LENGTH = Code("record-id-length", _ERROR, _STS, "The id has more than 32 characters.", GRAVE_RECORD)
RECORD_SPACED = Code(
    "record-spaced", _WARNING, _STS, "White space before the first semicolon: senders discard the record."
)
RECORD_REPEATED = Code(
    "record-field-repeated", _WARNING, _POLICY, "A field is given twice: only the first counts."
)
RECORD_UNKNOWN = Code(
    "record-field-unknown", _NOTICE, _POLICY, "A field is unknown to the RFC: senders ignore it."
)

POLICY_EMPTY = Code("policy-empty", _ERROR, _POLICY, "The policy is empty.", GRAVE_SERVED)
POLICY_BOM = Code("policy-bom", _ERROR, _POLICY, "The policy begins with a byte order mark.", GRAVE_SERVED)
POLICY_UTF16 = Code(
    "policy-utf-16",
    _ERROR,
    _POLICY,
    "The policy is written in UTF-16, which senders cannot read.",
    GRAVE_SERVED,
)
POLICY_ONE_LINE = Code(
    "policy-one-line", _ERROR, _POLICY, "All fields of the policy stand on one line.", GRAVE_SERVED
)
POLICY_BLANK_LINE = Code("policy-blank-line", _ERROR, _POLICY, "A line of the policy is blank.", GRAVE_SERVED)
POLICY_LINE_END = Code(
    "policy-line-end", _ERROR, _POLICY, "A line ends neither in LF nor in CRLF.", GRAVE_SERVED
)
POLICY_WHITE_SPACE = Code(
    "policy-white-space", _ERROR, _POLICY, "White space stands beside the name of a field.", GRAVE_SERVED
)
POLICY_FIELD = Code("policy-field", _ERROR, _POLICY, "A line is not of the form name: value.", GRAVE_SERVED)
POLICY_UTF8 = Code("policy-utf-8", _ERROR, _POLICY, "A line is not UTF-8.", GRAVE_SERVED)
POLICY_VERSION_MISSING = Code(
    "policy-version-missing", _ERROR, _POLICY, "The policy has no version.", GRAVE_SERVED
)
POLICY_VERSION = Code("policy-version", _ERROR, _POLICY, "The version is not STSv1.", GRAVE_SERVED)
POLICY_MODE_MISSING = Code("policy-mode-missing", _ERROR, _POLICY, "The policy has no mode.", GRAVE_SERVED)
POLICY_MODE = Code("policy-mode", _ERROR, _POLICY, "The mode is not enforce, testing or none.", GRAVE_SERVED)
POLICY_MAX_AGE_MISSING = Code(
    "policy-max-age-missing", _ERROR, _POLICY, "The policy has no max_age.", GRAVE_SERVED
)
POLICY_MAX_AGE = Code(
    "policy-max-age", _ERROR, _POLICY, "max_age does not consist of one to ten digits.", GRAVE_SERVED
)
POLICY_MAX_AGE_LIMIT = Code(
    "policy-max-age-limit", _ERROR, _POLICY, "max_age is over 31557600 seconds.", GRAVE_SERVED
)
POLICY_MX_MISSING = Code(
    "policy-mx-missing", _ERROR, _POLICY, "The policy has no mx, and its mode is not none.", GRAVE_SERVED
)
POLICY_MX = Code(
    "policy-mx", _ERROR, _POLICY, "An mx is neither a host name nor *. before one.", GRAVE_SERVED
)
POLICY_REPEATED = Code(
    "policy-field-repeated", _WARNING, _POLICY, "A field is given twice: only the first counts."
)
POLICY_UNKNOWN = Code(
    "policy-field-unknown", _NOTICE, _POLICY, "A field is unknown to the RFC: senders ignore it."
)
POLICY_NOT_ASCII = Code(
    "policy-not-ascii", _WARNING, _POLICY, "Senders that read only US-ASCII fail on other letters."
)
POLICY_MX_REPEATED = Code("policy-mx-repeated", _NOTICE, _POLICY, "An mx is given twice.")
POLICY_MX_ADDRESS = Code(
    "policy-mx-address", _WARNING, _POLICY, "An mx is an IP address, which no MX host matches."
)
POLICY_MX_WIDE = Code(
    "policy-mx-public-suffix",
    _WARNING,
    "RFC 8461 §10.4",
    "A wildcard covers every domain below a public suffix: anybody can have a host there.",
)
POLICY_MAX_AGE_SHORT = Code(
    "policy-max-age-short", _NOTICE, _POLICY, "max_age is shorter than the weeks that the RFC expects."
)
POLICY_MAX_AGE_ZERO = Code("policy-max-age-zero", _WARNING, _POLICY, "max_age is 0: senders keep nothing.")
POLICY_LONG = Code(
    "policy-long", _WARNING, "RFC 8461 §3.3", "The policy is over 64 KB: senders may stop reading."
)

TLSRPT_FOREIGN = Code(
    "tlsrpt-foreign", _ERROR, _TLSRPT, "The text is not a TLSRPT record: senders discard it.", GRAVE_REPORTS
)
TLSRPT_VERSION = Code(
    "tlsrpt-version", _ERROR, _TLSRPT, "The record's version is not spelled v=TLSRPTv1.", GRAVE_REPORTS
)
TLSRPT_QUOTED = Code(
    "tlsrpt-quoted", _ERROR, _TLSRPT, "Quotation marks are part of the record.", GRAVE_REPORTS
)
TLSRPT_ESCAPED = Code(
    "tlsrpt-escaped", _ERROR, _TLSRPT, "Backslashes of a zone file are part of the record.", GRAVE_REPORTS
)
TLSRPT_SEMICOLON = Code(
    "tlsrpt-semicolon", _ERROR, _TLSRPT, "No semicolon follows v=TLSRPTv1.", GRAVE_REPORTS
)
TLSRPT_WHITE_SPACE = Code(
    "tlsrpt-white-space",
    _ERROR,
    _TLSRPT,
    "White space stands where the grammar does not allow it.",
    GRAVE_REPORTS,
)
TLSRPT_OCTET = Code(
    "tlsrpt-octet",
    _ERROR,
    _TLSRPT,
    "It has a line end, a control character or an octet beyond US-ASCII.",
    GRAVE_REPORTS,
)
TLSRPT_EMPTY_FIELD = Code(
    "tlsrpt-empty-field", _ERROR, _TLSRPT, "There is nothing between two semicolons.", GRAVE_REPORTS
)
TLSRPT_FIELD = Code("tlsrpt-field", _ERROR, _TLSRPT, "A field is not of the form name=value.", GRAVE_REPORTS)
TLSRPT_RUA_MISSING = Code("tlsrpt-rua-missing", _ERROR, _TLSRPT, "The record has no rua.", GRAVE_REPORTS)
TLSRPT_URI = Code("tlsrpt-uri", _ERROR, _TLSRPT, "A destination is not a URI.", GRAVE_REPORTS)
TLSRPT_URI_ENCODING = Code(
    "tlsrpt-uri-encoding", _ERROR, _TLSRPT, "A '!' in a destination is not encoded.", GRAVE_REPORTS
)
TLSRPT_URI_SCHEME = Code(
    "tlsrpt-uri-scheme", _ERROR, _TLSRPT, "No destination is a mailto or https URI.", GRAVE_REPORTS
)
TLSRPT_MAILTO = Code("tlsrpt-mailto", _ERROR, _TLSRPT, "A mailto URI holds no mail address.", GRAVE_REPORTS)
TLSRPT_HTTPS = Code("tlsrpt-https", _ERROR, _TLSRPT, "An https URI has no host.", GRAVE_REPORTS)
TLSRPT_URI_UNUSABLE = Code(
    "tlsrpt-uri-unusable",
    _WARNING,
    _TLSRPT,
    "One destination of several is skipped: it is neither mailto nor https.",
)
TLSRPT_SPACED = Code(
    "tlsrpt-spaced", _WARNING, _TLSRPT, "White space before the first semicolon: senders discard the record."
)
TLSRPT_REPEATED = Code("tlsrpt-field-repeated", _WARNING, _TLSRPT, "A field is given twice.")
TLSRPT_UNKNOWN = Code(
    "tlsrpt-field-unknown", _NOTICE, _TLSRPT, "A field is unknown to the RFC: senders ignore it."
)

MATCH_PATTERN = Code(
    "match-pattern", _ERROR, _POLICY, "The pattern is neither a host name nor *. before one."
)
MATCH_HOST = Code("match-host", _ERROR, _MATCH, "The MX host is not a host name.")
MATCH_NONE = Code("match-none", _ERROR, _MATCH, "The MX host does not match the pattern.")

ALL: tuple[Code, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Code))
"""All of the above, in this order: the table in docs/finding-codes.md and the tests are made from it."""
