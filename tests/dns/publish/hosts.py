"""Simulated HTTP APIs of DNS hosts on loopback, as their public documentation has them: only what is used of each."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dns.rdata

from sidecar.observed.record_sets import Key, RecordType, record_set
from tests.dns.publish.contract import ZONE

TOKEN = "a-token-that-must-stay-secret-4711"


@dataclass(slots=True)
class Zone:
    """The zone at the host: values of each record set in presentation form, as most hosts have them."""

    sets: dict[tuple[str, str], tuple[int, list[str]]] = field(
        default_factory=lambda: {
            ("", "NS"): (3_600, ["ns1.host.test."]),
            ("", "MX"): (3_600, ["10 mail.example.test."]),
            ("", "TXT"): (3_600, ['"v=spf1 mx -all"']),
            ("mail", "A"): (3_600, ["192.0.2.1"]),
            ("www", "CNAME"): (3_600, ["mail.example.test."]),
            ("key._domainkey", "TXT"): (3_600, ['"v=DKIM1; k=rsa; p=abc"']),
            **{(f"host{n}", "A"): (3_600, [f"192.0.2.{n}"]) for n in range(10, 20)},
        }
    )
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    broken: int | None = None
    """A status with which each write is answered, after it was made."""
    besides: Callable[[], None] | None = None
    """What else happens at each write."""

    def put(self, key: Key, values: Iterable[str]) -> None:
        """As a person does, at the host's own page."""
        given = [_presented(key.type, value) for value in values]
        self.set(relative(key.name), str(key.type), 3_600, given)

    def set(self, name: str, type_: str, ttl: int, values: list[str]) -> None:
        """Replaces a record set; without values it is gone."""
        if values:
            self.sets[name, type_] = (ttl, values)
        else:
            self.sets.pop((name, type_), None)

    def collides(self, name: str, type_: str) -> bool:
        """Whether a CNAME would stand beside another record."""
        others = {kind for one, kind in self.sets if one == name} - {type_}
        return "CNAME" in others or (type_ == "CNAME" and bool(others))

    def everything(self) -> dict[Key, tuple[str, ...]]:
        """All of it, as values of the port."""
        return {
            Key(absolute(name), RecordType(type_)): record_set(
                RecordType(type_), [plain(type_, value) for value in values], ttl
            ).values
            for (name, type_), (ttl, values) in self.sets.items()
            if type_ in list(RecordType)
        }


def relative(name: str) -> str:
    """A name within the zone."""
    return "" if name.rstrip(".") == ZONE else name.rstrip(".").removesuffix(f".{ZONE}")


def absolute(name: str) -> str:
    """The whole name."""
    return f"{name}.{ZONE}" if name else ZONE


def _presented(type_: RecordType, value: str) -> str:
    if type_ is RecordType.TXT:
        parts = [value[at : at + 255] for at in range(0, len(value), 255)]
        return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    return f"{value.rstrip('.')}." if type_ is RecordType.CNAME else value


def plain(type_: str, value: str) -> str:
    """The text of a TXT record in presentation form; other values as they are."""
    if type_ != "TXT":
        return value
    rdata: Any = dns.rdata.from_text("IN", "TXT", value)
    return b"".join(rdata.strings).decode()


Reply = tuple[int, Any]
Handle = Callable[[Zone, str, str, dict[str, list[str]], Any, dict[str, str]], Reply]


@contextmanager
def serving(handle: Handle, zone: Zone) -> Iterator[str]:
    """The URL under which this API is served."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            given = json.loads(self.rfile.read(length)) if length else None
            zone.asked.append(f"{self.command} {parts.path}")
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = handle(zone, self.command, parts.path, parse_qs(parts.query), given, headers)
            if self.command != "GET" and zone.besides is not None:
                zone.besides()
            if self.command != "GET" and zone.broken is not None:
                status, body = zone.broken, {"error": f"broken, {headers}"}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- Cloudflare: one record a value, each with an id ------------------------------------------------------


def cloudflare(
    zone: Zone, method: str, path: str, query: dict[str, list[str]], given: Any, headers: dict[str, str]
) -> Reply:
    """developers.cloudflare.com/api: zones and DNS records."""
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return 403, {"success": False, "errors": [{"code": 9109, "message": "Invalid access token"}]}
    match method, path.strip("/").split("/"):
        case "GET", ["zones"]:
            return _cloudflare_page(
                [{"id": "z1", "name": ZONE, "name_servers": [], "plan": {"legacy_id": "free"}}]
            )
        case "GET", ["zones", "z1", "dns_records"]:
            return _cloudflare_page(
                [
                    _cloudflare_record(name, type_, ttl, value)
                    for (name, type_), (ttl, values) in zone.sets.items()
                    if type_ != "NS"
                    for value in values
                ]
            )
        case "POST", ["zones", "z1", "dns_records"]:
            name, type_ = relative(given["name"]), given["type"]
            if zone.collides(name, type_) or (type_ == "CNAME" and (name, type_) in zone.sets):
                return 400, {
                    "success": False,
                    "errors": [{"code": 81053, "message": "record already exists"}],
                }
            _, values = zone.sets.get((name, type_), (0, []))
            zone.set(name, type_, given["ttl"], [*values, _cloudflare_value(given)])
            return 200, {"success": True, "result": given}
        case "PUT", ["zones", "z1", "dns_records", id_]:
            name, type_, at = _cloudflare_place(zone, id_)
            _, values = zone.sets[name, type_]
            values[at] = _cloudflare_value(given)
            zone.set(name, type_, given["ttl"], values)
            return 200, {"success": True, "result": given}
        case "DELETE", ["zones", "z1", "dns_records", id_]:
            name, type_, at = _cloudflare_place(zone, id_)
            ttl, values = zone.sets[name, type_]
            zone.set(name, type_, ttl, [value for n, value in enumerate(values) if n != at])
            return 200, {"success": True, "result": {"id": id_}}
    return 404, {"success": False, "errors": [{"code": 7003, "message": f"no route for {method} {path}"}]}


def _cloudflare_page(result: list[Any]) -> Reply:
    return 200, {
        "success": True,
        "result": result,
        "result_info": {"page": 1, "per_page": 1_000, "count": len(result), "total_count": len(result)},
    }


def _cloudflare_value(given: Any) -> str:
    content = str(given["content"])
    if given["type"] == "TXT" and not content.startswith('"'):
        return _presented(RecordType.TXT, content)
    return f"{content.rstrip('.')}." if given["type"] == "CNAME" else content


def _cloudflare_record(name: str, type_: str, ttl: int, value: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": f"{name}|{type_}|{value}".encode().hex(),
        "name": absolute(name),
        "type": type_,
        "ttl": ttl,
        "content": value.rstrip(".") if type_ == "CNAME" else value,
        "proxied": False,
        "zone_id": "z1",
    }
    if type_ == "MX":
        priority, target = value.split()
        found |= {"priority": int(priority), "content": target.rstrip(".")}
    return found


def _cloudflare_place(zone: Zone, id_: str) -> tuple[str, str, int]:
    name, type_, value = bytes.fromhex(id_).decode().split("|", 2)
    return name, type_, zone.sets[name, type_][1].index(value)


# --- deSEC: record sets, several in one PATCH --------------------------------------------------------------


def desec(
    zone: Zone, method: str, path: str, query: dict[str, list[str]], given: Any, headers: dict[str, str]
) -> Reply:
    """desec.readthedocs.io: domains and RRsets; the lowest TTL is an hour."""
    if headers.get("authorization") != f"Token {TOKEN}":
        return 401, {"detail": "Invalid token."}
    match method, path.strip("/").split("/"):
        case "GET", ["v1", "domains"]:
            return 200, [{"name": ZONE, "minimum_ttl": 3_600}]
        case "GET", ["v1", "domains", name, "rrsets"] if name == ZONE:
            return 200, [
                {
                    "domain": ZONE,
                    "subname": sub,
                    "name": f"{absolute(sub)}.",
                    "type": type_,
                    "ttl": ttl,
                    "records": values,
                }
                for (sub, type_), (ttl, values) in zone.sets.items()
            ]
        case "PATCH", ["v1", "domains", name, "rrsets"] if name == ZONE:
            for one in given:
                if one["records"] and zone.collides(one["subname"], one["type"]):
                    return 400, [{"non_field_errors": ["RRset with conflicting type present: CNAME."]}]
                if one["records"] and int(one["ttl"]) < 3_600:
                    return 400, [{"ttl": ["Ensure this value is greater than or equal to 3600."]}]
            for one in given:
                values = [
                    _presented(RecordType.TXT, plain("TXT", value)) if one["type"] == "TXT" else value
                    for value in one["records"]
                ]
                zone.set(one["subname"], one["type"], int(one["ttl"]), values)
            return 200, given
    return 404, {"detail": "Not found."}


# --- Hetzner Cloud: record sets, actions -------------------------------------------------------------------

_ACTION = {
    "id": 1,
    "command": "a",
    "status": "success",
    "progress": 100,
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:00:00+00:00",
    "resources": [],
    "error": None,
}


def hetzner(
    zone: Zone, method: str, path: str, query: dict[str, list[str]], given: Any, headers: dict[str, str]
) -> Reply:
    """docs.hetzner.cloud: zones and RRSets."""
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return 401, {"error": {"code": "unauthorized", "message": "unable to authenticate"}}
    match method, path.strip("/").split("/"):
        case "GET", ["zones", *rest] if rest in ([], ["1"]):
            found = {"id": 1, "name": ZONE, "mode": "primary", "ttl": 3_600}
            return 200, {"zone": found} if rest else {"zones": [found]}
        case "GET", ["zones", "1", "rrsets"]:
            return 200, {
                "rrsets": [_hetzner_set(name, type_, *found) for (name, type_), found in zone.sets.items()]
            }
        case "POST", ["zones", "1", "rrsets"]:
            name = "" if given["name"] == "@" else given["name"]
            if zone.collides(name, given["type"]) or (name, given["type"]) in zone.sets:
                return 409, {"error": {"code": "uniqueness_error", "message": "there is such a record set"}}
            zone.set(name, given["type"], given["ttl"], _hetzner_values(given))
            return 201, {"rrset": _hetzner_set(name, given["type"], given["ttl"], []), "action": _ACTION}
        case "POST", ["zones", "1", "rrsets", name, type_, "actions", action]:
            ttl, values = zone.sets["" if name == "@" else name, type_]
            if action == "set_records":
                values = _hetzner_values({**given, "type": type_})
            zone.set("" if name == "@" else name, type_, given.get("ttl", ttl), values)
            return 201, {"action": _ACTION}
        case "DELETE", ["zones", "1", "rrsets", name, type_]:
            zone.set("" if name == "@" else name, type_, 0, [])
            return 201, {"action": _ACTION}
    return 404, {"error": {"code": "not_found", "message": f"no route for {method} {path}"}}


def _hetzner_set(name: str, type_: str, ttl: int, values: list[str]) -> dict[str, Any]:
    records = [{"value": value, "comment": ""} for value in values]
    return {
        "id": f"{name or '@'}/{type_}",
        "name": name or "@",
        "type": type_,
        "ttl": ttl,
        "records": records,
        "zone": 1,
    }


def _hetzner_values(given: Any) -> list[str]:
    values = [str(one["value"]) for one in given["records"]]
    return [
        _presented(RecordType.TXT, plain("TXT", value)) if given["type"] == "TXT" else value
        for value in values
    ]


# --- Servercow ---------------------------------------------------------------------------------------------


def servercow(
    zone: Zone, method: str, path: str, query: dict[str, list[str]], given: Any, headers: dict[str, str]
) -> Reply:
    """wiki.servercow.de: 200 to everything, record sets by name and type, text without quotes."""
    if (headers.get("x-auth-username"), headers.get("x-auth-password")) != ("user", TOKEN):
        return 200, {"error": "invalid credentials"}
    if path.strip("/") != ZONE:
        return 200, {"error": "no such domain in user context"}
    match method:
        case "GET":
            return 200, [
                {"name": name, "type": type_, "ttl": ttl, "content": texts[0] if len(texts) == 1 else texts}
                for (name, type_), (ttl, values) in zone.sets.items()
                for texts in ([plain(type_, value) for value in values],)
            ]
        case "POST":
            if zone.collides(given["name"], given["type"]):
                return 200, {"error": "conflicting record"}
            texts = [given["content"]] if isinstance(given["content"], str) else given["content"]
            values = [_presented(RecordType(given["type"]), text) for text in texts]
            zone.set(given["name"], given["type"], given["ttl"], values)
            return 200, {"message": "ok"}
        case "DELETE":
            zone.set(given["name"], given["type"], 0, [])
            return 200, {"message": "ok"}
    return 200, {"error": "method"}
