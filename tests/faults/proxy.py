"""A TCP proxy that can be told to be slow, so that a server answers late: a process of its own.

python -m tests.faults.proxy CONTROL LISTEN:TARGET ...     (ports of 127.0.0.1)

A line sent to the control port is the time in seconds for which every piece of up to 64 KiB is held back from then
on, in either direction; it is answered when it holds.
"""

import asyncio
import socket
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

PIECE = 64 * 1024
HOST = "127.0.0.1"


class Proxy:
    delay_s = 0.0

    async def control(self, reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            self.delay_s = float(line)
            writer.write(line)
            await writer.drain()
        writer.close()

    async def connect(self, reader: StreamReader, writer: StreamWriter, target: int) -> None:
        """Pass everything on both ways until either side ends; who is not there ends it at once."""
        try:
            to_reader, to_writer = await asyncio.open_connection(HOST, target)
        except OSError:
            writer.transport.abort()
            return
        ways = {
            asyncio.create_task(self._pass_on(reader, to_writer)),
            asyncio.create_task(self._pass_on(to_reader, writer)),
        }
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, to_writer):
            end.transport.abort()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(piece)
                await writer.drain()


async def main(control: str, *pairs: str) -> None:
    proxy = Proxy()
    for pair in pairs:
        listen, target = map(int, pair.split(":"))

        async def connect(reader: StreamReader, writer: StreamWriter, target: int = target) -> None:
            await proxy.connect(reader, writer, target)

        await asyncio.start_server(connect, HOST, listen, limit=PIECE)
    await (await asyncio.start_server(proxy.control, HOST, int(control))).serve_forever()


def tell(control: int, delay_s: float) -> None:
    """Tell a running proxy to hold back everything for so long."""
    with socket.create_connection((HOST, control), timeout=5) as connection:
        connection.sendall(f"{delay_s}\n".encode())
        connection.recv(100)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
