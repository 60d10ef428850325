"""The same by Flask, run by its own server."""

import hashlib

from flask import Flask, request

app = Flask(__name__)


@app.post("/")
def answer():
    return hashlib.sha256(request.get_data()).hexdigest()
