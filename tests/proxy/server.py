"""Connections, each of two pumps, and what is done to what they carry."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST
READ = 65536
AHEAD = 64  # pieces read and not yet passed on
SLICES_PER_S = 50  # of a bandwidth
APART_S = 0.001  # slices are sent so far apart, lest they be joined again

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


@dataclass(frozen=True)
class Toxics:
    """What is done to one direction, also of connections that are open; None does nothing."""

    latency: float | None = None  # seconds by which each piece comes later
    bandwidth: int | None = None  # bytes per second
    slow_close: float | None = None  # seconds by which an end comes later
    timeout: float | None = None  # all is swallowed, and after so many seconds (0: never) closed
    reset_peer: float | None = None  # after so many seconds both sides are reset
    slicer: int | None = None  # bytes per piece, each sent by itself
    limit_data: int | None = None  # bytes that still pass on each connection, before it is closed


class Server:
    """Passes on whatever comes to a port of its own."""

    def __init__(self, target: int) -> None:
        self.connections: set[Connection] = set()
        self.toxics = {"up": Toxics(), "down": Toxics()}
        self._target = target

    async def listen(self) -> int:
        """Begin, and return our port."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._listening.sockets[0].getsockname()[1])

    def poison(self, direction: str, toxics: Toxics) -> None:
        """Replace what is done to a direction."""
        self.toxics[direction] = toxics
        for connection in self.connections:
            connection.obey(direction)

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            reset(writer)
            return
        connection = Connection(self.toxics, (reader, writer), there)
        self.connections.add(connection)
        with contextlib.suppress(asyncio.CancelledError):  # the proxy ends
            await connection.run()
        self.connections.discard(connection)


class Connection:
    """One client, one server, a pump in each direction."""

    def __init__(
        self, toxics: dict[str, Toxics], here: tuple[Reader, Writer], there: tuple[Reader, Writer]
    ) -> None:
        self._toxics = toxics
        self._writers = (here[1], there[1])
        self._ended: asyncio.Future[Callable[[Writer], None]] = asyncio.get_running_loop().create_future()
        self._timers: dict[str, list[asyncio.TimerHandle]] = {"up": [], "down": []}
        self._pumps = asyncio.gather(
            Pump(lambda: toxics["up"], here[0], there[1]).run(),
            Pump(lambda: toxics["down"], there[0], here[1]).run(),
        )
        self._pumps.add_done_callback(self._pumped)
        for direction in toxics:
            self.obey(direction)

    async def run(self) -> None:
        """Carry until both directions have ended, or one broke."""
        how = await self._ended
        self._pumps.cancel()
        for timer in (*self._timers["up"], *self._timers["down"]):
            timer.cancel()
        for writer in self._writers:
            how(writer)

    def obey(self, direction: str) -> None:
        """Do what is not a pump's to do."""
        for timer in self._timers[direction]:
            timer.cancel()
        toxics, later = self._toxics[direction], asyncio.get_running_loop().call_later
        ends = [(toxics.reset_peer, reset), (toxics.timeout or None, close)]
        self._timers[direction] = [later(when, self._end, how) for when, how in ends if when is not None]

    def _pumped(self, pumps: "asyncio.Future[list[None]]") -> None:
        if not pumps.cancelled():
            self._end(reset if isinstance(pumps.exception(), OSError) else close)

    def _end(self, how: Callable[[Writer], None]) -> None:
        if not self._ended.done():
            self._ended.set_result(how)


class LimitError(Exception):
    """As much as may has passed."""


class Pump:
    """One direction of one connection."""

    def __init__(self, toxics: Callable[[], Toxics], reader: Reader, writer: Writer) -> None:
        self._toxics = toxics
        self._reader = reader
        self._writer = writer
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(AHEAD)
        self._limited: Toxics | None = None
        self._left = 0

    async def run(self) -> None:
        """Carry to the end."""
        await asyncio.gather(self._read(), self._write())

    async def _read(self) -> None:
        data = b"?"
        while data:
            data = await self._reader.read(READ)
            await self._pieces.put((asyncio.get_running_loop().time(), data))

    async def _write(self) -> None:
        while True:
            came, data = await self._pieces.get()
            if not data:
                break
            waited = asyncio.get_running_loop().time() - came
            await asyncio.sleep((self._toxics().latency or 0) - waited)
            while data:
                data = await self._pass_on(data)
        await asyncio.sleep(self._toxics().slow_close or 0)
        with contextlib.suppress(OSError):  # the other side has gone already
            self._writer.write_eof()

    async def _pass_on(self, data: bytes) -> bytes:
        """Send the first piece as the toxics are now, and return the rest."""
        toxics = self._toxics()
        if toxics.timeout is not None:
            return b""
        rate = toxics.bandwidth
        size = toxics.slicer or (max(1, rate // SLICES_PER_S) if rate else len(data))
        piece = self._within_limit(toxics, data[:size])
        self._writer.write(piece)
        await self._writer.drain()
        await asyncio.sleep(len(piece) / rate if rate else APART_S if toxics.slicer else 0)
        return data[size:]

    def _within_limit(self, toxics: Toxics, piece: bytes) -> bytes:
        if toxics.limit_data is None:
            return piece
        if toxics is not self._limited:
            self._limited, self._left = toxics, toxics.limit_data
        if len(piece) >= self._left:
            self._writer.write(piece[: self._left])
            raise LimitError
        self._left -= len(piece)
        return piece


def close(writer: Writer) -> None:
    """End a side in order."""
    writer.close()


def reset(writer: Writer) -> None:
    """End a side with RST."""
    with contextlib.suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
