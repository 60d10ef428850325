"""A small receiver of Label Studio's webhooks as lshookd sends them: verifies the signature, stores
each event durably before it answers, and handles them one after the other, in their order. What it
has stored it handles also after a restart; what it has handled it drops when it comes once more.

WEBHOOK_SECRET holds what `lshookd webhook secret ID` shows; PORT is where it listens, on 127.0.0.1.
The events are in inbox.db, in the folder where it is started.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sqlite3
import sys
import threading
import time
import traceback

ATTEMPTS = 5


def is_genuine(secret, headers, body):
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())


def inbox():
    database = sqlite3.connect("inbox.db", timeout=60)
    database.execute(
        "create table if not exists event (number integer primary key, webhook_id text unique, body blob, state text)"
    )
    return database


def serve(handle):
    """Calls handle(event) for every event, and once more where it failed; after ATTEMPTS the event counts as failed."""
    secret = os.environ["WEBHOOK_SECRET"]
    arrived = threading.Event()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                genuine = is_genuine(secret, self.headers, body)
            except (KeyError, TypeError, ValueError, AttributeError):
                genuine = False
            if genuine:
                with inbox() as database:
                    database.execute(
                        "insert or ignore into event (webhook_id, body, state) values (?, ?, 'new')",
                        (self.headers["webhook-id"], body),
                    )
                arrived.set()
            self.send_response(200 if genuine else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    def work():
        database = inbox()
        while True:
            arrived.clear()
            row = database.execute("select number, body from event where state = 'new' order by number limit 1").fetchone()
            if row is None:
                arrived.wait(60)
                continue
            with database:
                database.execute("update event set state = ? where number = ?", (outcome(handle, row[1]), row[0]))

    threading.Thread(target=work, daemon=True).start()
    port = int(os.environ.get("PORT", "8000"))
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


def outcome(handle, body):
    for attempt in range(ATTEMPTS):
        try:
            handle(json.loads(body))
            return "handled"
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            time.sleep(2**attempt)
    return "failed"


def annotations(event):
    """The annotations of an event, each with its task; one, or several that were created in bulk."""
    found, tasks = event.get("annotation", []), event.get("task", [])
    return list(zip(found, tasks)) if isinstance(found, list) else [(found, tasks)]
