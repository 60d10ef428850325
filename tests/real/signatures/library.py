import sys

secret, message, timestamp, signature, body = sys.argv[1:]
headers = {"webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": signature}
body = body.encode()

SNIPPET
