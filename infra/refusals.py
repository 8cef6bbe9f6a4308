"""A response that is no answer in, the same response with a body that ends out.

The whole body of an error, or of a redirect, is read before anything is made of it: a server that
never stops would fill our memory until the call's deadline.
"""

from collections.abc import AsyncIterator
from typing import Final

import httpx2

#: What is wrong stands at the beginning.
_MAX_BYTES: Final = 65_536


async def shorten(response: httpx2.Response) -> None:
    """A hook of the client: runs when the headers are here, and nothing of the body is read."""
    if not response.is_success and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Beginning(response.stream)


class _Beginning(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            yield part
            size += len(part)
            if size >= _MAX_BYTES:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
