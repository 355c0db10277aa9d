"""Fetch what a certificate says where to fetch: its CRL, an OCSP answer, its issuer.

Such URLs are strangers' input. They are http or https to a public address, or not asked at all:
else whoever issues a certificate could have this machine ask its neighbours. What comes back is
bounded in size and in time, and believed in nothing. Redirects are followed on the same host only.

Proxies named in the environment are used, because firms have them; a name is then the proxy's to
look up, and only addresses written as numbers are looked at here.
"""

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from functools import partial
from typing import IO
from urllib.parse import urlsplit

from ledger.errors import UnavailableError

CHUNK_BYTES = 16_384
MAX_REDIRECTS = 2
MAX_URL_CHARACTERS = 1024
"""CRL servers' URLs have under 200."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def fetch(
    url: str,
    *,
    accept: Collection[str],
    limit_bytes: int,
    timeout_seconds: float,
    body: bytes | None = None,
    content_type: str = "",
    allow_private: bool = False,
) -> bytes:
    """GET url, or POST body to it, and return the whole answer of one of the media types accept.

    ``limit_bytes``: the longest answer taken. ``timeout_seconds``: for all of it, looking up the
    name included. ``allow_private``: also ask private and loopback addresses, for tests.

    UnavailableError: the URL is not one that is asked, or there is no such answer.
    """
    # Neither looking up a name nor a header that drips can be given a deadline but from outside.
    done: queue.SimpleQueue[bytes | UnavailableError] = queue.SimpleQueue()
    request = _request(url, accept, body, content_type, allow_private=allow_private)
    deadline = time.monotonic() + timeout_seconds
    opener = _opener(request, allow_private=allow_private)

    def ask() -> None:
        done.put(_ask(opener, request, accept, limit_bytes, deadline))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = done.get(timeout=timeout_seconds)
    except queue.Empty as error:
        raise UnavailableError(f"{request.host} took too long") from error
    if isinstance(answer, UnavailableError):
        raise answer
    return answer


def is_public(text: str) -> bool:
    """Whether an address, in numbers, is one that any machine on the internet could mean.

    >>> [is_public(text) for text in ("192.0.2.1", "8.8.8.8", "::ffff:127.0.0.1", "fe80::1%lo")]
    [False, True, False, False]
    """
    address: _Address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        address = inner or address
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _request(
    url: str, accept: Collection[str], body: bytes | None, content_type: str, *, allow_private: bool
) -> urllib.request.Request:
    """The request, if the URL is one that is asked; else UnavailableError."""
    _check_url(url, allow_private=allow_private)
    headers = {"Accept": ", ".join(accept), "User-Agent": "tallystick"}
    if body is not None:
        headers["Content-Type"] = content_type
    try:
        return urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - checked
    except ValueError as error:
        raise UnavailableError("not a URL that is asked") from error


def _check_url(url: str, *, allow_private: bool) -> None:
    plain = url.isascii() and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UnavailableError("not a URL that is asked") from error
    if not plain or len(url) > MAX_URL_CHARACTERS or parts.scheme not in ("http", "https"):
        raise UnavailableError("not a URL that is asked: want http or https")
    if not host or parts.username is not None or parts.password is not None:
        raise UnavailableError("not a URL that is asked: want a host, and no user")
    if not allow_private and not _may_be_public(host):
        raise UnavailableError(f"{host[:80]} is not a public address, and not asked")


def _may_be_public(host: str) -> bool:
    """Whether a host may be asked as far as its text tells; a name is looked at again later."""
    try:
        return is_public(host)
    except ValueError:
        return not host.rstrip(".").endswith("localhost")


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a GET to another path of its host, or to its https; other redirects are errors."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        same = old.hostname == new.hostname and new.scheme in (old.scheme, "https")
        if req.data is not None or not same or new.port not in (old.port, None):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(
    request: urllib.request.Request, *, allow_private: bool
) -> urllib.request.OpenerDirector:
    proxied = request.type in urllib.request.getproxies() and not urllib.request.proxy_bypass(
        urlsplit(request.full_url).hostname or ""
    )
    if proxied or allow_private:
        return urllib.request.build_opener(_SameHost)
    return urllib.request.build_opener(
        _SameHost, urllib.request.ProxyHandler({}), _PublicHttp, _PublicHttps
    )


def _connect(host: str, port: int, timeout_seconds: float) -> socket.socket:
    """A connection to host, all of whose addresses are public; UnavailableError, OSError.

    The addresses looked at are those connected to: a second look-up could give others.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if not addresses or not all(map(is_public, addresses)):
        raise UnavailableError(f"{host} has an address that is not public, and is not asked")
    return socket.create_connection((addresses[0], port), timeout_seconds)


class _Plain(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = _connect(self.host, self.port, self.timeout or 0)


class _Tls(http.client.HTTPSConnection):
    def connect(self) -> None:
        plain = _connect(self.host, self.port, self.timeout or 0)
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


class _PublicHttp(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, req)


class _PublicHttps(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Tls, req)


def _ask(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    accept: Collection[str],
    limit_bytes: int,
    deadline: float,
) -> bytes | UnavailableError:
    """The answer, or why there is none, as a value: it is handed from one thread to another."""
    host = request.host
    try:
        wait_seconds = max(0.001, deadline - time.monotonic())
        with opener.open(request, timeout=wait_seconds) as answer:
            return _body(answer, accept, limit_bytes, deadline)
    except UnavailableError as error:
        return error
    except urllib.error.HTTPError as error:
        error.close()
        return UnavailableError(f"{host} answered with status {error.code}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())[:120]
        return UnavailableError(f"{host} could not be asked: {reason or type(error).__name__}")


def _body(
    answer: http.client.HTTPResponse, accept: Collection[str], limit_bytes: int, deadline: float
) -> bytes:
    if answer.status != http.client.OK:
        raise UnavailableError(f"answer has status {answer.status}, want 200")
    if (kind := answer.headers.get_content_type()) not in accept:
        raise UnavailableError(f"answer is {kind[:80]!r}, want one of {', '.join(accept)}")
    announced = answer.length
    if announced is not None and announced > limit_bytes:
        raise UnavailableError(f"answer has {announced} bytes, want at most {limit_bytes}")
    body = bytearray()
    for chunk in iter(partial(answer.read1, CHUNK_BYTES), b""):
        body += chunk
        if len(body) > limit_bytes:
            raise UnavailableError(f"answer is longer than {limit_bytes} bytes")
        if time.monotonic() > deadline:
            raise UnavailableError("answer took too long")
    if announced is not None and len(body) != announced:
        raise UnavailableError(f"answer has {len(body)} bytes, announced were {announced}")
    return bytes(body)
