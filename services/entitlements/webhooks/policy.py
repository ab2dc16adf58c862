"""When an attempt follows, when a webhook is given up, and which targets are never spoken to."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from services.entitlements.webhooks.schemas import NAME, TARGET, target

PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
JITTER = 0.2
LONGEST = timedelta(hours=24)
PATIENCE = timedelta(days=5)
QUIET = timedelta(days=2)  # longer than the longest pause: what failed before has nothing to do with it
OVERLAP = timedelta(hours=24)
MOST_SECRETS = 10
PUBLISHED = re.compile(TARGET)
FULL_NAME = re.compile(NAME)
ANYWHERE = re.compile(target("[Hh][Tt][Tt][Pp][Ss]?", r"[A-Za-z0-9._-]+"))
DENIED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host, inside Azure
        "169.254.0.0/16",  # link-local, clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/3",  # loopback, IPv4 in disguise, NAT64
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: IPv4 in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "4000::/2",  # not given out
        "8000::/1",  # not given out; unique local, link-local, multicast
    )
)


def is_public(address: str) -> bool:
    """Whether an address belongs to somebody on the open internet, for all that this table knows."""
    parsed = ip_address(address.partition("%")[0])
    return not any(parsed.version == network.version and parsed in network for network in DENIED)


def is_spoken_to(scheme: str, host: str, port: int | None, *, anywhere: bool) -> bool:
    """Whether a target that was taken once is tried, however it was written; its addresses are looked at as well."""
    if port is not None and not 0 < port < 65536:
        return False
    return scheme in ("http", "https") if anywhere else scheme == "https" and _is_name_or_public(host)


def fault_of(url: str, *, anywhere: bool) -> str | None:
    """What is wrong with a new target, as far as its text says; `anywhere` takes http and private addresses too."""
    if anywhere:
        return None if ANYWHERE.fullmatch(url) else "an http or https URL without user, password or fragment"
    found = PUBLISHED.fullmatch(url)
    if found is None:
        return "an https URL of a full name or a plain address, without user, password or fragment"
    return None if _is_name_or_public(found[1]) else "a host on the open internet"


def _is_name_or_public(host: str) -> bool:
    try:
        return is_public(host.strip("[]"))
    except ValueError:
        return bool(FULL_NAME.fullmatch(host)) and host.rstrip(".").rpartition(".")[2].lower() != "localhost"


def pause_after(tries: int, *, chance: float, asked: float | None) -> timedelta | None:
    """How long to wait after so many failed tries, `chance` being in [0, 1); None: no more.

    A receiver may ask for more time, up to a day.
    """
    if tries > len(PAUSES):
        return None
    pause = PAUSES[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    return max(pause, min(timedelta(seconds=asked or 0), LONGEST))


def still_valid(old: Sequence[Mapping[str, str]], now: datetime) -> list[dict[str, str]]:
    """Those old secrets that a message is signed with as well: each until its own time, and the latest few."""
    return [dict(one) for one in old if now < datetime.fromisoformat(one["until"])][1 - MOST_SECRETS :]


def failing_from(since: datetime | None, last: datetime | None, now: datetime) -> datetime:
    """Since when a receiver that fails now has done nothing else; a time in which nothing was sent does not count."""
    return now if since is None or last is None or now - last > QUIET else since


def is_hopeless(since: datetime | None, last: datetime | None) -> bool:
    """Whether a receiver has done nothing but fail for too long."""
    return since is not None and last is not None and last - since >= PATIENCE
