#!/usr/bin/env python3
"""A link with a round trip and a rate, between clients and a server on loopback.

usage: delay.py LISTEN-PORT SERVER-PORT ROUND-TRIP-MS MEGABITS

Bytes of both directions arrive half a round trip after they were sent; a new connection costs a
whole one. The rate is shared by all connections of a direction, as on one wire. It stands in for
a network emulator of the kernel.
"""
import asyncio
import sys
import time

CHUNK = 64 << 10
WINDOW = 8 << 20  # bytes on the way in one connection


class Wire:
    """One direction: says when bytes that are sent now are through."""

    def __init__(self, bytes_per_second):
        self.rate = bytes_per_second
        self.free = 0.0

    def send(self, size):
        self.free = max(self.free, time.monotonic()) + size / self.rate
        return self.free


async def pump(reader, writer, wire, delay):
    queue = asyncio.Queue()
    on_the_way = 0
    room = asyncio.Event()
    room.set()

    async def deliver():
        nonlocal on_the_way
        while True:
            due, data = await queue.get()
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if data is None:
                writer.write_eof()
                return
            writer.write(data)
            on_the_way -= len(data)
            room.set()
            await writer.drain()

    task = asyncio.create_task(deliver())
    try:
        while True:
            await room.wait()
            data = await reader.read(CHUNK)
            if not data:
                break
            on_the_way += len(data)
            if on_the_way > WINDOW:
                room.clear()
            queue.put_nowait((wire.send(len(data)) + delay, data))
        queue.put_nowait((time.monotonic() + delay, None))
        await task
    except (ConnectionError, asyncio.CancelledError):
        task.cancel()


async def main(listen, server, round_trip, megabits):
    up, down = Wire(megabits * 125000), Wire(megabits * 125000)

    async def serve(reader, writer):
        await asyncio.sleep(round_trip)  # the handshake
        there, back = await asyncio.open_connection("127.0.0.1", server)
        await asyncio.gather(
            pump(reader, back, up, round_trip / 2), pump(there, writer, down, round_trip / 2), return_exceptions=True)
        for w in (back, writer):
            w.close()

    async with await asyncio.start_server(serve, "127.0.0.1", listen) as s:
        await s.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000, float(sys.argv[4])))
