"""Addresses of endpoints and proxies, checked before the first call instead of by it.

No message repeats an address: it may hold a password, and a wrong one may hide it anywhere.
"""

from urllib.parse import SplitResult, urlsplit

from rolecall import Settings

PROXIES = ("http", "https", "socks4", "socks5", "socks5h")


def wrong_endpoint(address: str, setting: str) -> str | None:
    """Describe what is wrong with an endpoint's address; None where it can be called."""
    return _wrong(address, setting, ("http", "https"))


def wrong_proxy(settings: Settings, endpoint: str) -> str | None:
    """Describe what is wrong with the proxy of an endpoint, empty being the vendor's own."""
    base = _split(endpoint or "https://")
    if base is None or is_loopback(base.hostname or ""):
        return None
    for name in (f"{base.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            address = settings.variable(variable)
            if address:
                whole = address if "://" in address else f"http://{address}"
                return _wrong(whole, variable, PROXIES)
    return None


def is_loopback(host: str) -> bool:
    """Check whether a host is this machine, where no proxy stands between."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _wrong(address: str, setting: str, schemes: tuple[str, ...]) -> str | None:
    parts = _split(address)
    if parts is None:
        return f"{setting} is no address: its host or port cannot be read"
    if parts.scheme not in schemes or "://" not in address:
        return f"{setting} is no address: it must begin with https:// or http://"
    if not parts.hostname or any(each.isspace() for each in address):
        return f"{setting} is no address: it names no host"
    return None


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # it is read when it is asked for
    except ValueError:
        return None
    return parts
