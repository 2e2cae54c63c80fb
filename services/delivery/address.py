"""Where a webhook may go: every address of a name is looked up and checked at the moment of sending.

A check when the settings are read would not do: a name can lead to a public address then and into the local network
later (DNS rebinding). The caller connects to the addresses returned here and never looks the name up again.
"""

import ipaddress
import socket
from collections.abc import Callable

from services.delivery.receiver import DeliveryFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
"""Addresses at which cloud machines hand out credentials; never a receiver of alarms."""
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


def system_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system's resolver gives them, without doubles; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def checked_addresses(host: str, port: int, *, allow_private: bool, resolve: Resolve = system_addresses) -> list[str]:
    """Return the addresses to connect to, when every single one is allowed.

    Public addresses are allowed, and this machine when it is called by its number or `localhost`. `allow_private`
    adds private networks; link-local addresses, multicast and the metadata services of clouds are never allowed.

    Raises
    ------
    DeliveryFailed
        An address is not allowed, or there is none.

    >>> checked_addresses("127.0.0.1", 80, allow_private=False)
    ['127.0.0.1']
    >>> checked_addresses("metadata.example", 80, allow_private=True, resolve=lambda *_: ["169.254.169.254"])
    Traceback (most recent call last):
    ...
    services.delivery.receiver.DeliveryFailed: metadata.example leads to 169.254.169.254, where no receiver can be
    """
    places = resolve(host, port)
    if not places:
        raise DeliveryFailed(f"{host} has no address")
    for place in places:
        address = _meant(ipaddress.ip_address(place.split("%", 1)[0]))
        if _never(address):
            raise DeliveryFailed(f"{host} leads to {place}, where no receiver can be", refused=True)
        if not (address.is_global or allow_private or (address.is_loopback and is_loopback(host))):
            message = f"{host} leads to {place}, inside a private network; set allow_private if that is meant"
            raise DeliveryFailed(message, refused=True)
    return places


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its own words; a name that only leads here is not.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "::ffff:127.0.0.1", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address in LOOPBACK if isinstance(address, ipaddress.IPv4Address) else address == ipaddress.IPv6Address(1)


def is_number(host: str) -> bool:
    """Whether a host is written as an address, so that looking it up asks nobody."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries inside, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _never(address: Address) -> bool:
    return address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified
