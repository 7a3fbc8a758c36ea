"""From an answer of `inspect` to the same container once more, and what is reported of a cut-off attempt by a list."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.mailcow.engine.calls import CREATE, ENGINE_CALLS, IMAGE, REMOVE, START, unlisted
from sidecar.mailcow.engine.new_container import (
    CONFIG_HASH,
    Settlement,
    claimed_restart,
    differences,
    leftovers,
    own_name,
    recreation,
    restarts,
    way,
)
from sidecar.observed import NEW_SUFFIX, OLD_SUFFIX

ID = "0123456789ab" + "c" * 52
OTHER_ID = "fedcba987654" + "d" * 52
NAME = "mailcowdockerized-acme-mailcow-1"
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}
CHANGED = {"ADDITIONAL_SAN": "mta-sts.*"}

INSPECTED: dict[str, Any] = {
    "Id": ID,
    "Name": f"/{NAME}",
    "Image": "sha256:" + "e" * 64,
    "State": {"Status": "running"},
    "Config": {
        "Hostname": ID[:12],
        "Domainname": "",
        "Env": ["PATH=/bin", "ADDITIONAL_SAN=", "DBPASS=x=y"],
        "Cmd": ["/srv/acme.sh"],
        "Image": "example.test/acme:1.91",
        "Entrypoint": ["/sbin/tini", "-g", "--"],
        "Labels": {CONFIG_HASH: "f" * 64, "com.docker.compose.service": "acme-mailcow"},
        "NotKnownYet": {"a": 1},
    },
    "HostConfig": {
        "Binds": ["/host/ssl:/var/lib/acme:z", "named:/named"],
        "NetworkMode": "mc_mailcow-network",
        "RestartPolicy": ALWAYS,
        "Dns": ["172.22.1.254"],
        "Ulimits": None,
        "NotKnownEither": 7,
    },
    "NetworkSettings": {
        "Networks": {
            "mc_mailcow-network": {
                "IPAMConfig": {"IPv4Address": "172.22.1.200", "IPv6Address": "fd4d::200"},
                "Links": ["other:o"],
                "Aliases": [NAME, "acme-mailcow", "acme", ID[:12]],
                "MacAddress": "02:42:ac:16:01:c8",
                "NetworkID": "9" * 64,
                "EndpointID": "8" * 64,
                "Gateway": "172.22.1.1",
                "IPAddress": "172.22.1.200",
                "IPPrefixLen": 24,
                "IPv6Gateway": "fd4d::1",
                "GlobalIPv6Address": "fd4d::200",
                "GlobalIPv6PrefixLen": 64,
                "DriverOpts": {"a": "b"},
                "DNSNames": [NAME, ID[:12]],
                "GwPriority": 3,
            }
        }
    },
    "Mounts": [
        {"Type": "bind", "Source": "/host/ssl", "Destination": "/var/lib/acme", "RW": True},
        {"Type": "volume", "Name": "named", "Source": "/v/named", "Destination": "/named", "RW": True},
    ],
}


def inspected(**changes: Any) -> dict[str, Any]:
    """An answer of `inspect`; `Config__Hostname=...` changes one field in it."""
    answer = deepcopy(INSPECTED)
    for path, value in changes.items():
        *folders, last = path.split("__")
        target = answer
        for folder in folders:
            target = target[folder]
        target[last] = value
    return answer


def body(answer: Mapping[str, Any], environment: Mapping[str, str] = CHANGED) -> dict[str, Any]:
    """The body for the Engine."""
    return dict(recreation(answer, environment).body)


def test_everything_goes_back_whole() -> None:
    """Fields that nobody here knows, too; what differs is listed here, each with its reason in the code."""
    made = body(INSPECTED)
    changed = {"Hostname", "Image", "Env", "Labels"}
    assert {key for key, value in INSPECTED["Config"].items() if made[key] != value} == changed
    assert made.keys() - INSPECTED["Config"].keys() == {"HostConfig", "NetworkingConfig"}
    assert made["HostConfig"] == INSPECTED["HostConfig"] | {
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}
    }
    assert made["Image"] == INSPECTED["Image"]
    assert recreation(INSPECTED, CHANGED).restart == ALWAYS


@pytest.mark.parametrize(
    ("means", "used"),
    [
        (INSPECTED["Image"], INSPECTED["Config"]["Image"]),
        ("sha256:" + "d" * 64, INSPECTED["Image"]),  # pulled anew since
        (None, INSPECTED["Image"]),  # gone, or nobody may ask
    ],
)
def test_image_keeps_its_name_as_long_as_that_means_the_same_image(means: str | None, used: str) -> None:
    """`docker ps` shows the name; a tag that was moved must not bring another version of acme-mailcow."""
    made = recreation(INSPECTED, CHANGED, means)
    assert made.body["Image"] == used
    after = made_from(INSPECTED, means)
    assert after["Config"]["Image"] == used
    assert differences(INSPECTED, after, CHANGED, means) == ()
    after["Config"]["Image"] = "example.test/other:1"
    assert differences(INSPECTED, after, CHANGED, means) == ("Config.Image",)


def test_answer_is_not_changed() -> None:
    """It is compared with later."""
    answer = inspected(Mounts=[ANONYMOUS], HostConfig__Mounts=[{"Type": "volume", "Target": "/data"}])
    before = deepcopy(answer)
    recreation(answer, CHANGED)
    assert answer == before


@pytest.mark.parametrize(
    ("lines", "changed", "expected"),
    [
        (None, {"B": "x"}, ["B=x"]),
        (["B"], {"B": "x"}, ["B=x"]),  # a variable without a value
        (["B=1", "A=2", "B=3"], {"B": "x"}, ["B=x", "A=2"]),  # the last counted; one is left
    ],
)
def test_environment(lines: list[str] | None, changed: dict[str, str], expected: list[str]) -> None:
    """Only the given keys change, at their place; a missing one is added."""
    assert body(inspected(Config__Env=lines), changed)["Env"] == expected


names = st.text("ABC_", min_size=1, max_size=3)
values = st.text(max_size=5)


@given(st.dictionaries(names, values), st.dictionaries(names, values))
def test_environment_is_the_old_one_and_what_changed(old: dict[str, str], changed: dict[str, str]) -> None:
    """Whatever is in it."""
    made = body(inspected(Config__Env=[f"{k}={v}" for k, v in old.items()]), changed)["Env"]
    assert dict(line.split("=", 1) for line in made) == old | changed
    assert [line.partition("=")[0] for line in made][: len(old)] == list(old)


@pytest.mark.parametrize(
    ("hostname", "mode", "expected"),
    [
        (ID[:12], "mc", ""),  # the Engine's choice
        ("mail", "mc", "mail"),
        ("", "mc", ""),
        (OTHER_ID[:12], "container:" + OTHER_ID, ""),  # the other container's, and refused if asked for
    ],
)
def test_hostname(hostname: str, mode: str, expected: str) -> None:
    """Only a name that somebody gave is given again."""
    answer = inspected(Config__Hostname=hostname, HostConfig__NetworkMode=mode)
    assert body(answer)["Hostname"] == expected


@pytest.mark.parametrize("cleared", [None, []])
def test_cleared_entry_point_stays_cleared(cleared: list[str] | None) -> None:
    """Asked for none, the Engine would take the image's."""
    assert body(inspected(Config__Entrypoint=cleared))["Entrypoint"] == [""]


def test_endpoint_is_what_was_asked_for() -> None:
    """Fixed addresses, aliases, links and options; not what the Engine found out, nor the old id."""
    assert body(INSPECTED)["NetworkingConfig"] == {
        "EndpointsConfig": {
            "mc_mailcow-network": {
                "IPAMConfig": {"IPv4Address": "172.22.1.200", "IPv6Address": "fd4d::200"},
                "Links": ["other:o"],
                "Aliases": [NAME, "acme-mailcow", "acme"],
                "DriverOpts": {"a": "b"},
                "GwPriority": 3,
            }
        }
    }


def test_mac_address_that_was_asked_for_is_kept() -> None:
    """The Engine shows it in Config; the one of an endpoint is what it got."""
    mac = "02:00:00:00:00:01"
    [endpoint] = body(inspected(Config__MacAddress=mac))["NetworkingConfig"]["EndpointsConfig"].values()
    assert endpoint["MacAddress"] == mac


def test_further_networks_are_connected() -> None:
    """Engines before API 1.44 take one at creation: the main one."""
    answer = inspected()
    answer["NetworkSettings"]["Networks"]["another"] = {"Aliases": ["x"], "IPAddress": "10.0.0.2"}
    made = recreation(answer, CHANGED)
    assert list(made.body["NetworkingConfig"]["EndpointsConfig"]) == ["mc_mailcow-network"]
    assert made.networks == {"another": {"Aliases": ["x"]}}


@pytest.mark.parametrize(
    ("mode", "main"),
    [
        ("mc_mailcow-network", ["mc_mailcow-network"]),
        ("9" * 64, ["mc_mailcow-network"]),  # by its id
        ("host", []),
        ("none", []),
        ("container:" + OTHER_ID, []),
    ],
)
def test_main_network(mode: str, main: list[str]) -> None:
    """None where the container has no endpoint of its own."""
    made = recreation(inspected(HostConfig__NetworkMode=mode), CHANGED)
    assert list(made.body["NetworkingConfig"]["EndpointsConfig"]) == main
    assert made.networks == {}


ANONYMOUS = {"Type": "volume", "Name": "f00", "Source": "/v/f00", "Destination": "/data", "RW": True}


@pytest.mark.parametrize(
    ("mount", "asked", "expected"),
    [
        # out of the image's VOLUME
        (ANONYMOUS, None, [{"Type": "volume", "Source": "f00", "Target": "/data"}]),
        (
            ANONYMOUS | {"RW": False},
            None,
            [{"Type": "volume", "Source": "f00", "Target": "/data", "ReadOnly": True}],
        ),
        # as Compose asks for one, its options stay
        (
            ANONYMOUS,
            [{"Type": "volume", "Target": "/data/", "VolumeOptions": {"NoCopy": True}}],
            [{"Type": "volume", "Target": "/data/", "Source": "f00", "VolumeOptions": {"NoCopy": True}}],
        ),
        # has a name already
        (
            ANONYMOUS,
            [{"Type": "volume", "Source": "f00", "Target": "/data"}],
            [{"Type": "volume", "Source": "f00", "Target": "/data"}],
        ),
        # is no volume
        (
            ANONYMOUS | {"Type": "tmpfs"},
            [{"Type": "tmpfs", "Target": "/data"}],
            [{"Type": "tmpfs", "Target": "/data"}],
        ),
        # is in Binds
        (ANONYMOUS | {"Name": "named", "Destination": "/named"}, None, None),
    ],
)
def test_anonymous_volumes_are_carried_over(
    mount: dict[str, Any], asked: list[dict[str, Any]] | None, expected: list[dict[str, Any]] | None
) -> None:
    """By their names, without which the new container would get empty ones."""
    answer = inspected(Mounts=[mount], HostConfig__Mounts=asked)
    assert body(answer)["HostConfig"]["Mounts"] == expected


@pytest.mark.parametrize("policy", [ALWAYS, {"Name": "on-failure", "MaximumRetryCount": 5}])
def test_label_holds_the_restart_policy_and_is_not_a_hash(policy: dict[str, Any]) -> None:
    """Compose re-creates the container, and the healer knows what to set."""
    label = body(inspected(HostConfig__RestartPolicy=policy))["Labels"][CONFIG_HASH]
    assert claimed_restart(label) == policy
    assert restarts(policy)
    assert len(label) != 64


@pytest.mark.parametrize("policy", [None, {}, {"Name": ""}, {"Name": "no", "MaximumRetryCount": 0}])
def test_container_that_does_not_restart(policy: dict[str, Any] | None) -> None:
    """Nothing has to be set later."""
    made = recreation(inspected(HostConfig__RestartPolicy=policy), CHANGED)
    assert not restarts(made.restart)
    claimed = claimed_restart(made.body["Labels"][CONFIG_HASH])
    assert claimed is not None
    assert not restarts(claimed)


@pytest.mark.parametrize("label", ["", "f" * 64, "re-created by mta-sts-sidecar; restart=always:"])
def test_other_labels_claim_nothing(label: str) -> None:
    """Compose's own, for one."""
    assert claimed_restart(label) is None


def made_from(answer: dict[str, Any], named: str | None = None) -> dict[str, Any]:
    """What an Engine that does as asked makes of it, with a new id and its own way to say that nothing is there."""
    asked = recreation(answer, CHANGED, named)
    config = {k: v for k, v in asked.body.items() if k not in {"HostConfig", "NetworkingConfig"}}
    if config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    networks = asked.body["NetworkingConfig"]["EndpointsConfig"] | asked.networks
    return {
        **answer,
        "Id": OTHER_ID,
        "Config": config | {"Hostname": config["Hostname"] or OTHER_ID[:12], "OnBuild": None},
        "HostConfig": asked.body["HostConfig"] | {"Ulimits": [], "Links": {}},
        "NetworkSettings": {
            "Networks": {
                name: endpoint | {"Aliases": [*(endpoint["Aliases"] or []), OTHER_ID[:12]], "IPAddress": ""}
                for name, endpoint in networks.items()
            }
        },
    }


@pytest.mark.parametrize(
    "changes", [{}, {"Config__Entrypoint": None}, {"Config__Hostname": "mail"}, {"Mounts": [ANONYMOUS]}]
)
def test_nothing_differs_where_the_engine_did_as_asked(changes: dict[str, Any]) -> None:
    """Nothing, null and empty are the same; so are both containers' own ids."""
    before = inspected(**changes)
    assert differences(before, made_from(before), CHANGED) == ()


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("Image", "sha256:other", "Image"),
        ("Config__NotKnownYet", {"a": 2}, "Config.NotKnownYet"),
        ("Config__Env", ["PATH=/bin"], "Config.Env"),
        ("Config__New", True, "Config.New"),
        ("HostConfig__NotKnownEither", 0, "HostConfig.NotKnownEither"),
        ("HostConfig__Dns", None, "HostConfig.Dns"),
        ("HostConfig__RestartPolicy", ALWAYS, "HostConfig.RestartPolicy"),
        ("NetworkSettings__Networks", {}, "Networks.mc_mailcow-network"),
        ("Mounts", [], "Mounts"),
    ],
)
def test_difference_is_named(path: str, value: Any, expected: str) -> None:
    """So that the old container is left alone, and a person knows why."""
    after = made_from(inspected())
    *folders, last = path.split("__")
    target = after
    for folder in folders:
        target = target[folder]
    target[last] = value
    assert differences(INSPECTED, after, CHANGED) == (expected,)


# --- the remains of an interrupted attempt -----------------------------------------------------------------


def row(name: str, state: str = "running", label: str = "f" * 64) -> dict[str, Any]:
    """A container in the Engine's list; its id is its name."""
    names = ["/linked/alias", f"/{name}"]
    return {"Id": name, "Names": names, "State": state, "Labels": {CONFIG_HASH: label}}


NOTHING, BACK, FORWARD = Settlement.NOTHING, Settlement.BACK, Settlement.FORWARD
CLEAR, STUCK = Settlement.CLEAR, Settlement.STUCK
OLD, NEW = NAME + OLD_SUFFIX, NAME + NEW_SUFFIX


@pytest.mark.parametrize(
    ("rows", "expected", "after_a_failure"),
    [
        ([], NOTHING, NOTHING),
        ([row(NAME)], NOTHING, NOTHING),
        ([row(NAME, "exited")], NOTHING, NOTHING),  # a person stopped it
        ([row(OLD)], BACK, BACK),
        ([row(OLD, "exited")], BACK, BACK),
        ([row(OLD), row(NEW, "created")], BACK, BACK),
        ([row(OLD, "exited"), row(NEW, "created")], BACK, BACK),
        ([row(OLD, "exited"), row(NEW)], FORWARD, BACK),  # its run has begun
        ([row(OLD, "exited"), row(NEW, "exited")], BACK, BACK),  # its run has failed
        ([row(OLD), row(NEW)], BACK, BACK),  # a person started one
        ([row(NEW)], FORWARD, FORWARD),
        ([row(NEW, "exited")], FORWARD, FORWARD),  # there is no other
        ([row(NAME), row(NEW, "created")], CLEAR, CLEAR),  # Compose made one
        ([row(NAME), row(OLD, "exited"), row(NEW)], CLEAR, CLEAR),
        # ours is the only one that runs
        ([row(NAME, "created"), row(OLD)], STUCK, STUCK),
        ([row(NAME, "exited"), row(NEW, "created")], CLEAR, CLEAR),
    ],
)
def test_way_to_one_container(
    rows: list[dict[str, Any]], expected: Settlement, after_a_failure: Settlement
) -> None:
    """From all that can be left over; after a failed call the old container is preferred."""
    assert way(leftovers(rows)) is expected
    assert way(leftovers(rows), back=True) is after_a_failure


@pytest.mark.parametrize("name", [NAME, OLD, NEW])
def test_own_name(name: str) -> None:
    """Whichever of the three a container has."""
    assert own_name(name) == NAME


# --- the list of calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("POST", "/v1.45/containers/create", CREATE),
        ("POST", "/containers/create", CREATE),
        ("POST", f"/v1.41/containers/{ID}/start", START),
        ("DELETE", f"/containers/{ID}", REMOVE),
        ("GET", "/v1.45/images/ghcr.io/mailcow/acme:1.93/json", IMAGE),
    ],
)
def test_calls_are_recognised_by_their_pattern(method: str, path: str, call: Any) -> None:
    """With a version or without; no other kind fits."""
    assert [one for one in ENGINE_CALLS if one.matches(method, path)] == [call]


def test_other_calls_are_not_listed() -> None:
    """Another method, a longer path, another thing."""
    strange = [
        ("GET", "/containers/create"),
        ("POST", f"/containers/{ID}/start/x"),
        ("POST", "/images/create"),
        ("GET", "/images/json"),
    ]
    assert len(unlisted(strange)) == len(strange)
    assert unlisted([("GET", "/v1.45/events")]) == ()
