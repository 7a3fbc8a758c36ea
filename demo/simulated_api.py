"""The simulated JSON API: keys and sessions, the order in which a call is judged, lists and counts.

Rule for every editor: the order of the checks is mailcow's (key, JSON, rights, body, method, route), because
which refusal comes first is what a client sees. What a write does stands in `simulated_writes`.
"""

import functools
import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from demo.simulated_http import ROUTE_NOT_FOUND, Access, Answer, Ask, Body, Session, error, php, said
from demo.simulated_php import Died, array, field, intval, name_of, pretty_json, text
from demo.simulated_world import AliasRow, DomainRow, SqlError, World, listed
from demo.simulated_writes import ROUTES, Call

PREFIX = "/api/v1/"
_INCOMPLETE = error(200, "Cannot find attributes in post data")
_DENIED = error(403, "API read/write access denied")
_NO_JSON = error(400, "Request body doesn't contain valid json!")
_EMPTY_OBJECT = php("{}")
_PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


class Api:
    """The keys, the allow list, and the answers to calls that carry them."""

    def __init__(self, world: World, *, key: str | None, read_only_key: str | None) -> None:
        self.world = world
        self.key = key
        self.read_only_key = read_only_key
        self.allow_from: tuple[str, ...] = ()
        self.skip_ip_check = False
        self._cache: dict[str, tuple[int, Body]] = {}

    # --- keys

    def access_of(self, key: str) -> Access | None:
        """What a key may do: characters outside of A-Z a-z 0-9 - do not count, nor does case."""
        stripped = re.sub(r"[^a-zA-Z0-9-]", "", key).lower()
        if not stripped:
            return None
        if self.key is not None and stripped == self.key.lower():
            return Access.READ_WRITE
        if self.read_only_key is not None and stripped == self.read_only_key.lower():
            return Access.READ_ONLY
        return None

    def enter(self, ask: Ask, session: Session) -> Answer | None:
        """Checks the key that a call carries, if any, before all else; an answer is a refusal."""
        key = ask.headers.get("x-api-key", "")
        if not key or key == "0":
            return None
        access, address = self.access_of(key), _address(ask)
        if access is None:
            return error(401, "authentication failed", content_type="text/html; charset=utf-8")
        if not self.skip_ip_check and not _listed(address, self.allow_from):
            message = f"api access denied for ip {address}"
            return error(401, message, content_type="text/html; charset=utf-8")
        session.access = access
        return None

    # --- calls

    def answer(self, ask: Ask, session: Session) -> Answer:
        """The answer to a call below /api/v1/ whose key was checked."""
        if ask.headers.get("sec-fetch-dest", "empty") != "empty":
            return php(status=403)
        action, category, name, *_ = [*ask.path.removeprefix(PREFIX).split("/"), "", "", ""]
        request: Any = None
        is_json = "application/json" in ask.content_type
        if is_json and action != "get":
            request = _json(ask.body)
            if request is None:
                return _NO_JSON
        match action:
            case "get":
                return self._get(ask, session, category, name)
            case "search" if self.world.release.search_route:
                return self._search(ask, session, category, request)
            case "add" | "edit" | "delete":
                post = _post(action, request) if is_json else _form(ask)
                return self._write(ask, session, (action, category), post)
            case _:
                return ROUTE_NOT_FOUND

    def _write(self, ask: Ask, session: Session, route: tuple[str, str], post: dict[str, Any]) -> Answer:
        action = route[0]
        if session.access is Access.READ_ONLY or (session.access is None and action != "add"):
            return _DENIED
        if ("items" if action == "delete" else "attr") not in post:
            return _INCOMPLETE
        if ask.method != "POST":
            return error(405, "only POST method is allowed")
        found = ROUTES.get(route)
        if found is None or (found.kind == "mta_sts" and not self.world.release.native):
            return ROUTE_NOT_FOUND
        attributes, items = post.get("attr"), array(post.get("items"))
        if not isinstance(attributes, dict):
            attributes = array(attributes)
        data: Any = attributes
        if action != "add":
            data = {found.items_key: items, **(attributes if isinstance(attributes, dict) else {})}
        call = Call(self.world, action, found.kind, data)
        try:
            for message in found.handler(call) if session.access else (call.refused("access_denied"),):
                session.pending.append(message)
        except (Died, SqlError) as cause:
            session.pending.append(_exception(cause))
            return php()
        messages, session.pending = session.pending, []
        return said(messages or {"type": "success", "msg": "Task completed"})

    def _get(self, ask: Ask, session: Session, category: str, name: str) -> Answer:
        if ask.method != "GET":
            return error(405, "only GET method is allowed")
        if session.access is None:
            return php()
        match category:
            case "domain":
                return self._get_domain(ask, name)
            case "alias-domain":
                return self._get_alias(name)
            case "alias" | "transport":
                return php(self.world.routes.shown(category, name))
            case "status":
                known = name == "version"
                return php(pretty_json({"version": self.world.said_version}) if known else "")
            case _:
                return ROUTE_NOT_FOUND

    def _get_domain(self, ask: Ask, name: str) -> Answer:
        if name == "all":
            tagged = "tags" in parse_qs(ask.query)  # no domain has tags here
            if tagged or not self.world.domains:
                return _EMPTY_OBJECT
            return self._cached("domains", self._domains)
        if name == "datatables" and self.world.release.paged_route:
            return self._page(_php_query(ask.query))
        row = self.world.find(name_of(name))
        return php(pretty_json(row.details())) if row else _EMPTY_OBJECT

    def _get_alias(self, name: str) -> Answer:
        if name == "all":
            # mailcow looks for alias domains by the domains that it knows
            known = any(row.target in self.world.domains for row in self.world.aliases.values())
            return self._cached("aliases", self._aliases) if known else _EMPTY_OBJECT
        row = self.world.aliases.get(name_of(name) or "")
        return php(pretty_json(self._alias(row))) if row else _EMPTY_OBJECT

    # --- lists

    def _cached(self, what: str, make: Callable[[], str]) -> Answer:
        """A list is made, and compressed, once for each state of the tables."""
        revision, body = self._cache.get(what, (-1, Body(b"")))
        if revision != self.world.revision:
            body = Body(make().encode())
            self._cache[what] = (self.world.revision, body)
        return Answer(200, "application/json", body)

    def _domains(self) -> str:
        return "[\n" + ",\n".join(map(listed, self.world.rows())) + "\n]"

    def _aliases(self) -> str:
        rows = [self.world.aliases[name] for name in sorted(self.world.aliases)]
        return pretty_json([self._alias(row) for row in rows if row.target in self.world.domains])

    def _alias(self, row: AliasRow) -> dict[str, Any]:
        target = self.world.domains.get(row.target)
        return {
            "alias_domain": row.name,
            "parent_is_backupmx": target.backupmx if target else 0,
            "target_domain": row.target,
            "active": row.active,
            "active_int": row.active,
            "rl": False,
            "created": row.created,
            "modified": row.modified,
        }

    def _search(self, ask: Ask, session: Session, category: str, request: Any) -> Answer:
        if ask.method != "POST":
            return error(405, "only POST method is allowed")
        if category != "domain":
            return error(404, "Invalid search category")
        if session.access is None:
            return error(403, "Insufficient permissions")
        return self._page(request)

    def _page(self, request: Any) -> Answer:
        """Rows and counts for a table of mailcow's page; length 0 asks for counts alone."""
        rows = self.world.rows()
        total = len(rows)
        columns = array(field(request, "columns"))
        wanted = text(field(field(request, "search"), "value"))
        if wanted:
            # mailcow takes the place of a column in the request for its number here
            read = [_column(place) for place, column in enumerate(columns) if _searchable(column)]
            rows = [row for row in rows if not read or any(_contains(part(row), wanted) for part in read)]
        for column in filter(_searchable, columns):
            wanted = text(field(field(column, "search"), "value"))
            part = _column(intval(field(column, "data")))
            rows = [row for row in rows if _contains(part(row), wanted)]
        found, length = len(rows), field(request, "length")
        if field(request, "start") is not None and intval(length) != -1:
            start = intval(field(request, "start"))
            rows = rows[start : start + intval(length)]
        head = {"draw": intval(field(request, "draw")), "recordsTotal": total, "recordsFiltered": found}
        return php(pretty_json({**head, "data": [row.details() for row in rows]}))


# The numbers that the columns of the domain table have in mailcow's page.
_COLUMNS: dict[int, Callable[[DomainRow], str]] = {
    2: lambda row: row.name,
    3: lambda row: str(row.aliases),
    4: lambda row: str(row.mailboxes),
    5: lambda row: str(row.quota),
    7: lambda row: str(row.defquota),
    8: lambda row: str(row.maxquota),
    10: lambda row: str(row.backupmx),
    15: lambda row: str(row.active),
}


def _column(number: int) -> Callable[[DomainRow], str]:
    return _COLUMNS.get(number, _COLUMNS[2])  # a number that is not known counts as the first column


def _searchable(column: Any) -> bool:
    return field(column, "searchable") in (True, "true")


def _contains(value: str, part: str) -> bool:
    return part.lower() in value.lower()


def _exception(cause: Exception) -> dict[str, Any]:
    kind = "TypeError" if isinstance(cause, Died) else "PDOException"
    message = f"An unknown error occured: {kind} Object\n(\n    [message:protected] => {cause}\n)\n"
    return {"type": "danger", "log": ["exception_handler"], "msg": message}


# --- reading a request -----------------------------------------------------------------------------------


def _json(body: bytes) -> Any:
    """None for JSON's null and for what is not JSON: mailcow treats both alike."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _post(action: str, request: Any) -> dict[str, Any]:
    """The form fields that mailcow makes of a JSON body."""
    match action:
        case "add":
            return {"attr": request}
        case "edit":
            return {"attr": field(request, "attr"), "items": field(request, "items")}
        case _:
            return {"items": request}


def _form(ask: Ask) -> dict[str, Any]:
    if not ask.content_type.startswith("application/x-www-form-urlencoded"):
        return {}
    fields = parse_qs(ask.body.decode("utf-8", "replace"))
    return {name: _json(values[-1].encode()) for name, values in fields.items() if name in {"attr", "items"}}


def _php_query(query: str) -> dict[str, Any]:
    """A query with PHP's brackets, such as columns[0][search][value]=1, as nested arrays."""
    result: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        first, *rest = re.findall(r"[^\[\]]+", name) or [name]
        *parents, last = (first, *rest)
        place = functools.reduce(lambda at, key: at.setdefault(key, {}), parents, result)
        if isinstance(place, dict):
            place[last] = value
    return result


def _address(ask: Ask) -> str:
    """The caller as nginx sees it: from a private network it believes X-Forwarded-For."""
    peer = ipaddress.ip_address(ask.peer)
    forwarded = ask.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if forwarded and any(peer in network for network in _PROXIES):
        return forwarded
    return ask.peer


def _listed(address: str, allowed: Iterable[str]) -> bool:
    """Whether a list of addresses and networks holds `address`; an entry that is neither is nothing."""
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    for entry in allowed:
        try:
            if caller in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
