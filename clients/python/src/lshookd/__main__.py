"""`python -m lshookd receive handlers.py`: serves the receiver that a file makes."""

from __future__ import annotations

import argparse
import logging
import os
import runpy
import socketserver
import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from lshookd.receiver import Receiver


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def handle(self) -> None:
        # wsgiref answers one request of a connection; lshookd keeps its connections.
        self.close_connection = False
        while not self.close_connection:
            self.raw_requestline = self.rfile.readline(65_537)
            if len(self.raw_requestline) > 65_536 or not self.raw_requestline or not self.parse_request():
                return
            incoming: Any = self.rfile
            outgoing: Any = self.wfile
            handler = ServerHandler(incoming, outgoing, self.get_stderr(), self.get_environ())
            handler.http_version = "1.1"
            handler.request_handler = self  # type: ignore[attr-defined]
            handler.run(self.server.get_app())  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        pass


def _receiver(path: str) -> Receiver:
    sys.path.insert(0, str(Path(path).resolve().parent))
    found = [value for value in runpy.run_path(path).values() if isinstance(value, Receiver)]
    if len({id(each) for each in found}) != 1:
        raise SystemExit(f"{path} makes {len(found)} receivers at its top level; one is served")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lshookd", description="Receives events of lshookd.")
    commands = parser.add_subparsers(dest="command", required=True)
    receive = commands.add_parser("receive", help="serve the Receiver that a Python file makes")
    receive.add_argument("file", help="a Python file with a Receiver and its handlers")
    receive.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    receive.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")), help="port (default: 8000)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    receiver = _receiver(arguments.file)
    _Server.address_family = 10 if ":" in arguments.host else 2
    server = _Server((arguments.host, arguments.port), _Handler)
    server.set_app(receiver.wsgi)
    print(f"listening on http://{arguments.host}:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
