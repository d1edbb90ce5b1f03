"""The client libraries that requests leave through, and how their connections are made."""

import socket
from functools import cache
from ssl import SSLContext
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from attrs import frozen
from yarl import URL

from .addresses import is_loopback
from .decompression import ENCODINGS
from .outbound import Connections, IncomingReply, OutgoingRequest

KEPT_OPEN = 120.0  # seconds that an idle connection is kept
DNS_KEPT = 300  # seconds that an address is kept


@frozen
class ConnectionOptions:
    """How connections are made.

    client: the library that makes them. ssl: whom to trust; False is everybody.
    proxies: whether to use the proxies that the environment names.
    seconds: for name, connection, proxy and TLS together.
    ipv4_only: let aiohttp use no other addresses; httpx tries them all, one beside the other.
    """

    client: type["AiohttpConnections"] | type["HttpxConnections"]
    user_agent: str
    ssl: SSLContext | bool = True
    proxies: bool = True
    seconds: float = 30.0
    ipv4_only: bool = False

    def __call__(self) -> Connections:
        return self.client(self)


class AiohttpConnections:
    """Connections of aiohttp.

    Their number has no limit: a request that waited for one would be paced as if it had left.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self._proxy = cache(proxy_for) if options.proxies else _no_proxy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=options.ssl,
                family=socket.AF_INET if options.ipv4_only else socket.AF_UNSPEC,
                keepalive_timeout=KEPT_OPEN,
                ttl_dns_cache=DNS_KEPT,
            ),
            headers={"accept-encoding": ENCODINGS, "user-agent": options.user_agent},
            timeout=aiohttp.ClientTimeout(total=None, connect=options.seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def post(self, request: OutgoingRequest) -> IncomingReply:
        address = urlsplit(request.url)
        raw = await self._session.post(
            # What is encoded stays as it is: a signature may count on it.
            URL(request.url, encoded="%" in request.url),
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            proxy=self._proxy(address.scheme, address.hostname or ""),
        )

        async def close() -> None:
            raw.close()

        headers = tuple(raw.headers.items())
        return IncomingReply(raw.status, raw.reason or "", headers, raw.content.readany, close)

    async def aclose(self) -> None:
        await self._session.close()


class HttpxConnections:
    """Connections of httpx, for whoever has told litellm to do without aiohttp."""

    def __init__(self, options: ConnectionOptions) -> None:
        self._client = httpx.AsyncClient(
            headers={"accept-encoding": ENCODINGS, "user-agent": options.user_agent},
            verify=options.ssl,
            trust_env=options.proxies,
            mounts=dict.fromkeys(f"all://{host}" for host in ("localhost", "127.0.0.1", "[::1]")),
            timeout=httpx.Timeout(None, connect=options.seconds),
            limits=httpx.Limits(keepalive_expiry=KEPT_OPEN),
        )

    async def post(self, request: OutgoingRequest) -> IncomingReply:
        raw = await self._client.send(
            self._client.build_request(
                "POST", request.url, headers=request.headers, content=request.body
            ),
            stream=True,
        )
        chunks = raw.aiter_raw()

        async def read() -> bytes:
            return await anext(chunks, b"")

        headers = raw.headers.multi_items()
        return IncomingReply(raw.status_code, raw.reason_phrase, headers, read, raw.aclose)

    async def aclose(self) -> None:
        await self._client.aclose()


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host, or the system's settings.

    None stands between this machine and itself.
    """
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _no_proxy(scheme: str, host: str) -> None:
    return None
