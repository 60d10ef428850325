"""Endpoints with TLS by OpenSSL, one for each of the given manners: {"certificate": path, and where it is not as usual
"ciphers", "least", "most", "alpn", "pause", "asks"}. Prints their ports."""

import json
import socket
import ssl
import sys
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def context_of(manner):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What is too weak for our days must be offered, so that the client can refuse it.
    context.set_ciphers(manner.get("ciphers", "ALL") + ":@SECLEVEL=0")
    context.minimum_version = getattr(ssl.TLSVersion, manner.get("least", "TLSv1"))
    context.maximum_version = getattr(ssl.TLSVersion, manner.get("most", "TLSv1_3"))
    context.load_cert_chain(manner["certificate"])
    if "alpn" in manner:
        context.set_alpn_protocols([manner["alpn"]])
    if "asks" in manner:
        context.verify_mode = getattr(ssl, manner["asks"])
        context.load_verify_locations(manner["certificate"])
    return context


def read_request(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536) or sys.exit()
    head, body = request.split(b"\r\n\r\n", 1)
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].split(b":")[1]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536) or sys.exit())


def serve(connection, context, pause):
    try:
        time.sleep(pause)
        with context.wrap_socket(connection, server_side=True) as tls:
            read_request(tls)
            tls.sendall(ANSWER)
    except OSError:
        pass


def listen(listener, context, pause):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context, pause), daemon=True).start()


ports = []
for manner in json.loads(sys.argv[1]):
    listener = socket.create_server(("127.0.0.1", 0))
    ports.append(listener.getsockname()[1])
    arguments = (listener, context_of(manner), manner.get("pause", 0))
    threading.Thread(target=listen, args=arguments, daemon=True).start()
print(json.dumps(ports), flush=True)
sys.stdin.read()
