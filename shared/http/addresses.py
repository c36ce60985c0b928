"""Where an address that a stranger names may be, and calling it there and nowhere else.

Who names an address makes this service call it. So it must not be one of our own network: a name is resolved once, each
of its addresses is checked, and the connection goes to the one that was checked. A webhook's redirects are not
followed; where something is fetched, each redirect is checked like the first address.
"""

import asyncio
import socket
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import httpx

from shared.pages.languages import Text

CALL_S = 15
RESOLVE_S = 5
READ_BYTES = 16 * 1024  # so much of an answer is read, so that the connection can be used again
_CARRIES_IPV4 = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))


class NotAllowed(Exception):
    """The address is none that we call, and why."""

    def __init__(self, why: Text) -> None:
        self.why = why
        super().__init__(why)


class Answer(NamedTuple):
    status: int
    headers: httpx.Headers


def parsed(text: str, *, inside: bool) -> httpx.URL:
    """The URL that *text* is.

    Args:
        inside: http is allowed, too.
    Raises:
        NotAllowed: it is none, or not of a kind that we call.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise NotAllowed(Text("is no URL")) from None
    if url.scheme != "https" and not (inside and url.scheme == "http"):
        raise NotAllowed(Text("must begin with https://"))
    if not url.host or url.userinfo or url.fragment:
        raise NotAllowed(Text("must be https://host/path without user, password or fragment"))
    if url.port is not None and not 1 <= url.port <= 65535:
        raise NotAllowed(Text("has no port between 1 and 65535"))
    return url


def is_public(address: str) -> bool:
    """Does an IP address belong to the public internet, by whatever form it is written or carried in?"""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour or ip.teredo or ip.scope_id or any(ip in network for network in _CARRIES_IPV4):
            return False
        if ip.is_site_local:
            return False
    never = (
        ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    )
    return ip.is_global and not never


async def resolved(url: httpx.URL, *, inside: bool) -> str:
    """An IP address of the host, once all that it has are found to be allowed.

    Raises:
        NotAllowed: one is not, or there is none.
    """
    host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise NotAllowed(Text("has a host that is not found")) from None
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not inside and not all(map(is_public, addresses)):
        raise NotAllowed(Text("has a host that is not in the public internet"))
    return addresses[0]


def client() -> httpx.AsyncClient:
    """A client for one webhook: connections are kept by IP address, and must not be shared between host names."""
    agent = {"User-Agent": "praktika"}
    return httpx.AsyncClient(verify=_trusted(), trust_env=False, follow_redirects=False, timeout=CALL_S, headers=agent)


_trusted = cache(httpx.create_ssl_context)  # reading all authorities takes long, and there may be hundreds of clients


async def call(  # noqa: PLR0913
    http: httpx.AsyncClient, method: str, url: httpx.URL, *, headers: dict[str, str], content: bytes, inside: bool
) -> Answer:
    """Send a request to the checked address of *url*.

    Raises:
        NotAllowed: the host's address is not allowed (any more).
        httpx.HTTPError, TimeoutError: it does not answer as it should.
    """
    async with asyncio.timeout(CALL_S):
        address = await resolved(url, inside=inside)
        request = http.build_request(
            method,
            url.copy_with(host=address),
            headers={**headers, "Host": url.netloc.decode("ascii")},
            content=content,
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        response = await http.send(request, stream=True)
        try:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > READ_BYTES:
                    break
        finally:
            await response.aclose()
    return Answer(response.status_code, response.headers)


class Answered(httpx.HTTPError):
    """It answers with another status than 200."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"it answers {status}")


class Fetched(NamedTuple):
    """What is at an address.

    Attributes:
        address: where it was in the end, after redirects.
    """

    address: str
    content_type: str
    content: bytes


MOST_REDIRECTS = 3


async def fetch(http: httpx.AsyncClient, text: str, *, accept: str, most_bytes: int, inside: bool) -> Fetched:
    """What is at the address *text*, after a few redirects.

    Nothing is inflated: a few kilobytes may become gigabytes before their length can be known.

    Raises:
        NotAllowed: it, or what it redirects to, is none that we call.
        Answered: not with 200.
        httpx.HTTPError, TimeoutError: it does not answer, or with too much, or compressed.
    """
    async with asyncio.timeout(CALL_S):
        url = parsed(text, inside=inside)
        for _ in range(MOST_REDIRECTS + 1):
            address = await resolved(url, inside=inside)
            host = url.netloc.decode("ascii")
            request = http.build_request(
                "GET",
                url.copy_with(host=address),
                headers={"Host": host, "Accept": accept, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            response = await http.send(request, stream=True)
            try:
                if response.is_redirect:
                    target = url.join(response.headers["location"]).copy_with(fragment=None)
                    url = parsed(str(target), inside=inside)
                    continue
                return Fetched(str(url), response.headers.get("content-type", ""), await _body(response, most_bytes))
            finally:
                await response.aclose()
        raise httpx.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


async def _body(response: httpx.Response, most_bytes: int) -> bytes:
    if response.status_code != 200:
        raise Answered(response.status_code)
    if (encoding := response.headers.get("content-encoding", "identity")).strip().lower() not in ("identity", ""):
        raise httpx.DecodingError(f"it answers with Content-Encoding {encoding[:60]}, which was not asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most_bytes:
            raise httpx.DecodingError(f"it answers with more than {most_bytes} bytes")
    return bytes(content)
