"""A machine learning backend by label-studio-ml: tells birds by the words of their calls.

Every annotation is learned from before the request is answered, which takes its time. Only what
lshookd sends is learned: Label Studio's own requests name no webhook-id.
usage: bird_model.py PORT FOLDER [SECONDS]; it trains for so long
"""

import os
import sys
import time
from collections import Counter

os.environ["LABEL_STUDIO_ML_BACKEND_V2"] = "true"

from flask import request  # noqa: E402
from label_studio_ml.api import init_app  # noqa: E402
from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager, SimpleJobManager  # noqa: E402

SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 1.2  # Jobs are named by the second, too.


class BirdModel(LabelStudioMLBase):
    """Naive Bayes without the arithmetic: the bird whose calls share most words wins."""

    def learned(self):
        return self.train_output.get("train_output", self.train_output)

    def fit(self, tasks, event=None, data=None, **kwargs):
        learned = {"title": "", "examples": {}, **self.learned()}
        learned["title"] = data["project"]["title"]
        if event != "PROJECT_UPDATED":
            annotation = data["annotation"]
            kind = annotation["result"][0]["value"]["choices"][0]
            learned["examples"][str(annotation["id"])] = [kind, data["task"]["data"]["text"]]
        time.sleep(SECONDS)
        return {"train_output": learned}

    def predict(self, tasks, **kwargs):
        words = {}
        for kind, text in self.learned().get("examples", {}).values():
            words.setdefault(kind, Counter()).update(text.split())
        predictions = []
        for task in tasks:
            scores = {kind: sum(known[word] for word in task["data"]["text"].split()) for kind, known in words.items()}
            kind = max(scores, key=scores.get) if scores else None
            result = {"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": [kind]}}
            predictions.append({"result": [result], "model_version": self.learned().get("title")})
        return predictions


class Foreground(SimpleJobManager):
    """Trains within the request."""

    def run_job(self, model_class, args):
        self.job(model_class, *args)


port, folder = sys.argv[1:3]
LabelStudioMLManager.get_job_manager = classmethod(lambda manager: Foreground(model_dir=folder))
app = init_app(BirdModel, model_dir=folder)


@app.before_request
def only_lshookd():
    if request.path == "/webhook" and "webhook-id" not in request.headers:
        return "", 204


app.run("127.0.0.1", int(port))
