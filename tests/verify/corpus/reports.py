"""TLSRPT TXT records (RFC 8460 §3). The grammar:

tlsrpt-record    = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
field-delim      = *WSP ";" *WSP
tlsrpt-field     = tlsrpt-rua / tlsrpt-extension    ; Note that the tlsrpt-rua record is required.
tlsrpt-version   = %s"v=TLSRPTv1"
tlsrpt-rua       = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
tlsrpt-uri       = URI ; of RFC 3986; commas, exclamation points and semicolons MUST be encoded
tlsrpt-extension = tlsrpt-ext-name "=" tlsrpt-ext-value
tlsrpt-ext-name  = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
tlsrpt-ext-value = 1*(%x21-3A / %x3C / %x3E-7E)
"""

from tests.verify.corpus import Case

A = "mailto:a@example.org"
B = "https://example.net/tlsrpt"


def good(data: str, why: str, *codes: str, rua: tuple[str, ...] = (A,)) -> Case:
    """A record, and what is read in it."""
    return Case(data.encode(), True, why, codes, rua=rua)


def bad(data: str | bytes, why: str, *codes: str, rua: tuple[str, ...] = ()) -> Case:
    """No record, and what is right in it all the same."""
    return Case(data if isinstance(data, bytes) else data.encode(), False, why, codes, rua=rua)


def to(uri: str, why: str, *codes: str) -> Case:
    """A record whose only destination is this one, and right."""
    return good(f"v=TLSRPTv1; rua={uri}", why, *codes, rua=(uri,))


def not_to(uri: str, why: str, *codes: str) -> Case:
    """A record whose only destination is this one, and wrong."""
    return bad(f"v=TLSRPTv1; rua={uri}", why, *codes)


UNKNOWN, REPEATED, SPACED = "tlsrpt-field-unknown", "tlsrpt-field-repeated", "tlsrpt-spaced"
FOREIGN, VERSION, QUOTED = "tlsrpt-foreign", "tlsrpt-version", "tlsrpt-quoted"
SEMICOLON, WHITE_SPACE, OCTET = "tlsrpt-semicolon", "tlsrpt-white-space", "tlsrpt-octet"
EMPTY_FIELD, FIELD, MISSING = "tlsrpt-empty-field", "tlsrpt-field", "tlsrpt-rua-missing"
URI, ENCODING, SCHEME = "tlsrpt-uri", "tlsrpt-uri-encoding", "tlsrpt-uri-scheme"
UNUSABLE, MAILTO, HTTPS = "tlsrpt-uri-unusable", "tlsrpt-mailto", "tlsrpt-https"

CASES = (
    # What the grammar takes.
    good("v=TLSRPTv1;rua=mailto:a@example.org", "the RFC's example"),
    to("https://reporting.example.com/v1/tlsrpt", "the RFC's other example"),
    good(f"v=TLSRPTv1; rua={A}", "the delimiter at the end is optional"),
    good(f"v=TLSRPTv1; rua={A};", "and may be there"),
    good(f"v=TLSRPTv1; rua={A} ; ", "with white space on both sides"),
    good(f"v=TLSRPTv1;\t rua={A}", "*WSP is any number of spaces and tabs"),
    good(f"v=TLSRPTv1 ;rua={A}", "WSP before the semicolon is in the ABNF; the prose discards it", SPACED),
    good(f"v=TLSRPTv1; rua={A},{B}", "several destinations", rua=(A, B)),
    good(f"v=TLSRPTv1; rua={A} \t, \t{B}", "with WSP on both sides of the comma", rua=(A, B)),
    good(f"v=TLSRPTv1; rua={A},{A}", "the same one twice", rua=(A, A)),
    good(f"v=TLSRPTv1; rua={A}; rua={B}", "of several rua all count", REPEATED, rua=(A, B)),
    good(f"v=TLSRPTv1; rua={A}; x=y", "an extension", UNKNOWN),
    good(f"v=TLSRPTv1; x=y; rua={A}", "before it", UNKNOWN),
    good(f"v=TLSRPTv1; rua={A}; x=y; x=z", "twice", UNKNOWN, REPEATED),
    good(f"v=TLSRPTv1; rua={A}; v=TLSRPTv2", "v again is an extension, and ignored", REPEATED),
    good(f"v=TLSRPTv1; rua={A}; RUA=x", "names have case: this is an extension", UNKNOWN),
    good(f"v=TLSRPTv1; rua={A}; 0._-={'y' * 300}", "names and values as wide as they go", UNKNOWN),
    good(f"v=TLSRPTv1; rua={A},ftp://example.org/x", "an unsupported destination is skipped", UNUSABLE),
    good(f"v=TLSRPTv1; rua=http://example.org/,{A}", "also as the first", UNUSABLE),
    # mailto.
    to("mailto:tlsrpt@elsewhere.example", "another domain needs no authorisation here"),
    to("MAILTO:a@example.org", "schemes have no case (RFC 3986 §3.1)"),
    to("mailto:a.b+c-d_e@example.org", "what a dot-atom holds"),
    to("mailto:a%21b@example.org", "an encoded exclamation point"),
    to("mailto:%22a%2Cb%22@example.org", "an encoded comma, within a quoted string"),
    to("mailto:a@example.org?subject=tlsrpt", "a header field (RFC 6068)"),
    to("mailto:a@xn--bcher-kva.example", "an A-label"),
    to("mailto:a@b%C3%BCcher.example", "encoded UTF-8 (RFC 6068 §2)"),
    to("mailto:a@%5B192.0.2.1%5D", "an encoded address literal"),
    to("mailto:a=b@example.org", "an equals sign is of RFC 3986, unlike in an extension"),
    not_to("mailto:", "no address", MAILTO),
    not_to("mailto:a", "no domain", MAILTO),
    not_to("mailto:@example.org", "no local part", MAILTO),
    not_to("mailto:.a@example.org", "a dot-atom begins with no dot", MAILTO),
    not_to("mailto:a..b@example.org", "nor has two together", MAILTO),
    not_to("mailto:a@b@example.org", "two @", MAILTO),
    not_to("mailto:a%40example.org", "an encoded @ parts nothing", MAILTO),
    not_to("mailto://a@example.org", "mailto has no authority", MAILTO),
    not_to("mailto:%FF@example.org", "encoded octets that are no UTF-8", MAILTO),
    not_to("mailto:a b@example.org", "a space is in no URI", URI),
    not_to("mailto:a@[192.0.2.1]", "nor are brackets outside of an authority", URI),
    not_to("mailto:a%zz@example.org", "no hex digits", URI),
    not_to("mailto:a!b@example.org", "an exclamation point MUST be encoded", ENCODING),
    not_to("mailto:a@example.org!10m", "DMARC's size limit does not exist here", ENCODING),
    bad("v=TLSRPTv1; rua=mailto:a,b@example.org", "a comma MUST be encoded: it parts", MAILTO, URI),
    bad("v=TLSRPTv1; rua=mailto:a;b@example.org", "so does a semicolon", MAILTO, FIELD),
    not_to("a@example.org", "an address alone is no URI", URI),
    # https.
    to("https://example.net", "a host alone"),
    to("https://example.net:8443/a/b?c=d&e=f", "port, path and query"),
    to("https://[2001:db8::1]/tlsrpt", "an IPv6 host"),
    to("https://192.0.2.1/", "an IPv4 host"),
    to("HTTPS://example.net/", "schemes have no case"),
    to("https://example.net/%2C%3B%21", "the three characters, encoded"),
    to("https://user@example.net/", "user information is of the grammar"),
    to("https://example.net/#x", "so is a fragment"),
    not_to("https://", "no host (RFC 9110 §4.2.2)", HTTPS),
    not_to("https://:443/", "the same", HTTPS),
    not_to("https:example.net", "no authority", HTTPS),
    not_to("https://[::::]/", "no IPv6 address", URI),
    not_to("https://[2001:db8::1/", "no closing bracket", URI),
    not_to("https://example.net:x/", "no port", URI),
    not_to("https://example.net/a#b#c", "one fragment only", URI),
    # Other schemes.
    not_to("http://example.net/", "mailto and https alone are supported", SCHEME),
    not_to("ftp://example.net/,news:a", "none of several is", SCHEME),
    not_to("example.net", "no scheme", URI),
    not_to("1https://example.net/", "a scheme begins with a letter", URI),
    not_to(":a@example.org", "and has at least one", URI),
    # rua.
    bad("v=TLSRPTv1;", "a rua is required", MISSING),
    bad("v=TLSRPTv1; x=y", "an extension is none", MISSING, UNKNOWN),
    bad(f"v=TLSRPTv1; RUA={A}", '%s"rua=" has case', MISSING, UNKNOWN),
    bad("v=TLSRPTv1; rua=", "at least one destination", URI),
    bad(f"v=TLSRPTv1; rua={A},", "none after the comma", URI, rua=(A,)),
    bad(f"v=TLSRPTv1; rua=,{A}", "none before it", URI, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A},,{B}", "none between two", URI, rua=(A, B)),
    bad(f"v=TLSRPTv1; rua={A} {B}", "a space parts nothing", URI),
    bad(f"v=TLSRPTv1; rua={A}; rua=x", "each rua has to be one", URI, REPEATED, rua=(A,)),
    bad(f"v=TLSRPTv1; rua = {A}", "white space beside the =", WHITE_SPACE),
    bad(f"v=TLSRPTv1; rua={A} ", "white space at the end", WHITE_SPACE, rua=(A,)),
    bad('v=TLSRPTv1; rua="mailto:a@example.org"', "quotation marks", URI),
    bad(f"v=TLSRPTv1; rua={A}\n", "a line end at the end is part of the text", OCTET),
    bad(f"v=TLSRPTv1; rua={A}\u00a0,{B}", "a no-break space is no WSP", OCTET),
    bad("v=TLSRPTv1; rua=mailto:\u00fc@example.org", "URIs are US-ASCII", OCTET),
    bad(b"v=TLSRPTv1; rua=mailto:a@example.org\xff", "an octet that is not even UTF-8", OCTET),
    # How it begins, and fields.
    bad("", "there is nothing", FOREIGN),
    bad(f"rua={A}", "there is no version", FOREIGN),
    bad(f"rua={A}; v=TLSRPTv1", "the version comes first", FOREIGN),
    bad(f"v=TLSRPTv2; rua={A}", "another version", FOREIGN),
    bad(f"v=TLSRPTv11; rua={A}", "another version that begins alike", FOREIGN),
    bad("v=STSv1; id=abc", "another kind of record", FOREIGN),
    bad(f"v=tlsrptv1; rua={A}", '%s"v=TLSRPTv1" has case', VERSION),
    bad(f" v=TLSRPTv1; rua={A}", "white space before it", WHITE_SPACE),
    bad(f"v = TLSRPTv1; rua={A}", "white space in it", WHITE_SPACE),
    bad(rf"v=TLSRPTv1\; rua={A}", "so do backslashes", "tlsrpt-escaped"),
    bad(f'"v=TLSRPTv1; rua={A}"', "quotation marks belong to the zone file", QUOTED),
    bad("v=TLSRPTv1", "at least one field follows", SEMICOLON),
    bad(f"v=TLSRPTv1 rua={A}", "a semicolon is missing", SEMICOLON),
    bad(f"v=TLSRPTv1, rua={A}", "a comma is none", SEMICOLON),
    bad(f"v=TLSRPTv1;; rua={A}", "nothing between two semicolons", EMPTY_FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A};;", "the same at the end", EMPTY_FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; x", "a field has an =", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; x=", "a value has at least one character", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; x=a b", "and no white space", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; x=a=b", "and no =", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; _x=y", "a name begins with a letter or digit", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua={A}; {'n' * 33}=y", "a name has at most 32 characters", FIELD, rua=(A,)),
    bad(f"v=TLSRPTv1; rua:{A}", "a colon is no equals sign", FIELD, MISSING),
)
