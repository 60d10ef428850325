"""A small receiver of Label Studio's webhooks as lshookd sends them: verifies the signature, drops
what it has seen, answers at once, and works in the background, event after event.

WEBHOOK_SECRET holds what `lshookd webhook secret ID` shows; PORT is where it listens, on 127.0.0.1.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import queue
import sys
import threading
import time


def is_genuine(secret, headers, body):
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())


def serve(handle):
    """Calls handle(event) for every event, one after the other, in their order."""
    secret = os.environ["WEBHOOK_SECRET"]
    events = queue.Queue()
    seen = set()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                genuine = is_genuine(secret, self.headers, body)
            except (KeyError, TypeError, ValueError, AttributeError):
                genuine = False
            if genuine and self.headers["webhook-id"] not in seen:
                seen.add(self.headers["webhook-id"])
                events.put(json.loads(body))
            self.send_response(200 if genuine else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    def work():
        while True:
            event = events.get()
            try:
                handle(event)
            except Exception as error:
                print(f"{event['action']}: {error!r}", file=sys.stderr, flush=True)

    threading.Thread(target=work, daemon=True).start()
    port = int(os.environ.get("PORT", "8000"))
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
