"""Run the fault upstream until standard input ends; the first line printed is its port."""

import ssl
import sys
import threading

from tests.upstream.server import Server


def main() -> None:
    """Serve, with TLS if a certificate's and a key's file are named."""
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*sys.argv[1:3])
    server = Server(tls)
    threading.Thread(target=server.serve, daemon=True).start()
    print(server.port, flush=True)  # noqa: T201 - who started it reads this
    sys.stdin.read()  # whoever started it is gone when this ends, however it went


if __name__ == "__main__":
    main()
