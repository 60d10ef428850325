"""A receiver as Label Studio's documentation of webhooks suggests: one function for all actions,
which reads what the reference promises of each. What is missing is an error, and answered so;
so is what claims an id and is not signed by the secret. Label Studio's own requests do neither.
usage: receiver.py PORT FOLDER SECRET
"""

import sys

from flask import Flask, jsonify, request
from standardwebhooks import Webhook

app = Flask(__name__)
signature = Webhook(sys.argv[3])
seen = {}

COUNTS = (
    "task_number finished_task_number total_predictions_number total_annotations_number num_tasks_with_annotations "
    "useful_annotation_number ground_truth_number skipped_annotations_number"
).split()
PROJECT = "id title description label_config created_at created_by organization maximum_annotations".split() + COUNTS
TASK = "id data meta created_at updated_at is_labeled overlap project".split()
ANNOTATION = "id result created_at updated_at lead_time was_cancelled ground_truth completed_by task".split()


def reads(thing, keys):
    return [thing[key] for key in keys]


@app.route("/", methods=["POST"])
def receive():
    event = request.get_json()
    action = event["action"]
    match action:
        case "TASKS_CREATED":
            assert [reads(task, TASK) for task in event["tasks"]]
        case "TASKS_DELETED":
            assert [task["id"] for task in event["tasks"]]
        case "ANNOTATION_CREATED" | "ANNOTATION_UPDATED":
            reads(event["annotation"], ANNOTATION)
            reads(event["task"], TASK)
            assert event["annotation"]["task"] == event["task"]["id"]
        case "ANNOTATIONS_CREATED":
            assert [reads(annotation, ANNOTATION) for annotation in event["annotation"]]
        case "ANNOTATIONS_DELETED":
            assert [annotation["id"] for annotation in event["annotations"]]
        case "PROJECT_CREATED" | "PROJECT_UPDATED" | "PROJECT_DELETED":
            pass
        case "LABEL_LINK_CREATED":
            assert [reads(link, ["id", "project", "label", "from_name"]) for link in event["label_link"]]
        case "LABEL_LINK_UPDATED":
            reads(event["label_link"], ["id", "project", "label", "from_name"])
            reads(event["label"], ["id", "value", "title", "organization", "links"])
        case "LABEL_LINK_DELETED":
            assert event["label_link"]["id"]
        case _:
            raise KeyError(f"{action} is not in the reference")
    reads(event["project"], ["id"] if action == "PROJECT_DELETED" else PROJECT)
    if "webhook-id" in request.headers:
        signature.verify(request.get_data(), {name.lower(): value for name, value in request.headers.items()})
        seen[action] = seen.get(action, 0) + 1
    return "", 200


@app.route("/seen")
def get_seen():
    return jsonify(seen)


app.run("127.0.0.1", int(sys.argv[1]))
