"""Trains on what waits, from a place that no request reaches: counts the choices of annotations, and says so at last."""

import collections
import os
import sys

import lshookd

url, token, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
choices = collections.Counter()
for number, event in enumerate(lshookd.pull(url, token, limit=10, follow=False), start=1):
    for annotation, _task in lshookd.annotations_of(event):
        print("trained on", annotation.id, event.project.title, flush=True)
        choices.update(region["value"]["choices"][0] for region in annotation.result or [])
    if number == most:
        os.kill(os.getpid(), 9)
print("choices", dict(choices))
