"""Show other machines the way to the server: its address, and a QR code of it on a terminal."""

import io
import socket
import sys
from ipaddress import ip_address

_ROUTES = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation, to which nothing is sent."""

_WHITE_ON_BLACK, _RESET = "\x1b[38;5;231;48;5;16m", "\x1b[0m"


def url_of(host: str, port: int) -> str:
    """Return the URL of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable_url(server_socket: socket.socket) -> str | None:
    """Return the URL at which other machines reach a server; None if they can't."""
    host, port = server_socket.getsockname()[:2]
    address = ip_address(host)
    if address.is_loopback:
        return None
    own = _own_address(server_socket.family) if address.is_unspecified else host
    return own and url_of(own, port)


def _own_address(family: int) -> str | None:
    """Return the address of this machine in its network; None without a network."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ROUTES[socket.AddressFamily(family)], 9))  # only selects a route
        except OSError:
            return None
        return str(probe.getsockname()[0])


def print_qr_code(text: str) -> None:
    """Print a QR code to standard error, in the right colours on any terminal."""
    import segno  # only a server for other machines needs it

    drawing = io.StringIO()
    segno.make_qr(text, error="l").terminal(out=drawing, compact=True)
    for line in drawing.getvalue().splitlines():
        print(f"{_WHITE_ON_BLACK}{line}{_RESET}", file=sys.stderr)
