"""How often visitors may send pages, from one address."""

from ipaddress import IPv6Address, ip_network

from consents.domain.token_bucket import Allowance

PER_ADDRESS = Allowance(10, 60)

_IPV6_PREFIX = 64
"""One subscriber has all addresses of a /64."""


def bucket_name(ip_address: str) -> str:
    """Return the name of the bucket of an address."""
    return f"address#{network(ip_address)}"


def network(ip_address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in ip_address:
        return ip_address
    address = IPv6Address(ip_address.partition("%")[0])
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
