import sys

secret, message, timestamp, signature, body = sys.argv[1:]
headers = {"webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": signature}

SNIPPET

sys.exit(0 if is_genuine(secret, headers, body.encode()) else 1)
