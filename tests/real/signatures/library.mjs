const [secret, message, timestamp, signature, body] = process.argv.slice(2);
const headers = { "webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": signature };

SNIPPET
