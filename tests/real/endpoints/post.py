"""Posts as Label Studio does, by python-requests with its second of time, to each URL of the arguments, all at once;
{"url": ..., "headers": {...}, "bytes": of the body}. Prints the version of Python and of requests, and what came of each."""

import json
import platform
import sys
from concurrent.futures import ThreadPoolExecutor

import requests


def post(endpoint):
    try:
        answer = requests.post(
            endpoint["url"], json={"action": "x" * endpoint["bytes"]}, headers=endpoint["headers"], timeout=1.0
        )
        return str(answer.status_code)
    except Exception as error:
        return type(error).__name__


endpoints = json.load(sys.stdin)
with ThreadPoolExecutor(len(endpoints)) as pool:
    outcomes = list(pool.map(post, endpoints))
python = ".".join(platform.python_version_tuple()[:2])
print(json.dumps({"by": f"Python {python}, requests {requests.__version__}", "outcomes": outcomes}))
