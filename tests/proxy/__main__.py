"""Stand before a port of this machine until standard input ends.

The first line printed is our port. Each line read is ``[direction, toxics]`` in JSON; it is
answered, once it holds, with the number of connections that are open.
"""

import asyncio
import json
import sys

from tests.proxy.server import Server, Toxics


async def main() -> None:
    """Serve, and obey."""
    server = Server(int(sys.argv[1]))
    print(await server.listen(), flush=True)  # noqa: T201 - who started it reads this
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := await commands.readline():
        direction, toxics = json.loads(line)
        server.poison(direction, Toxics(**toxics))
        print(len(server.connections), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(main())
