"""An endpoint on port 9000 of loopback, or of the address that is given: writes what it gets into /opt/test/received, a line each, and fails
while there is a file /opt/test/broken."""

import http.server
import json
import os
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        broken = os.path.exists("/opt/test/broken")
        sender = "lshookd" if self.headers["webhook-id"] else "label-studio"
        if not broken:
            with open("/opt/test/received", "a") as received:
                print(sender, json.loads(body)["action"], file=received, flush=True)
        self.send_response(500 if broken else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1", 9000), Receiver).serve_forever()
