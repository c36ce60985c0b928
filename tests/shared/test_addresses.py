"""What strangers' addresses answer is taken within bounds."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.http.addresses import Answered, fetch

AT = "http://127.0.0.1/badge"


class Stream(httpx.AsyncByteStream):
    """A body that comes in pieces, and how many of them were taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.taken = pieces, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece


async def fetched(body: Stream, status: int = 200, **headers: str) -> bytes:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, headers=named, stream=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), headers={"User-Agent": "praktika"}) as http:
        return (await fetch(http, AT, accept="*/*", most_bytes=1_000, inside=True)).content


async def test_what_is_compressed_is_not_inflated():
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    for encoding in ("gzip", "gzip, gzip", "deflate", "zstd", "br", "unheard"):
        body = Stream(bomb)
        with pytest.raises(httpx.DecodingError, match="Content-Encoding"):
            await fetched(body, content_encoding=encoding)
        assert not body.taken


async def test_an_answer_is_counted_as_it_comes():
    assert await fetched(Stream(b"a" * 999, b"b")) == b"a" * 999 + b"b"
    assert await fetched(Stream(b"a"), content_encoding="identity") == b"a"
    body = Stream(*[b"a" * 600] * 100)
    with pytest.raises(httpx.DecodingError, match="more than 1000 bytes"):
        await fetched(body)
    assert body.taken == 2


async def test_another_status_than_200_is_told():
    with pytest.raises(Answered, match="410") as told:
        await fetched(Stream(), 410)
    assert told.value.status == 410
