"""Tells annotators when a project is set up: when it is created, and when its labeling interface
changes. The message goes to a command's standard input, as a mailer or a chat's client takes it.

    lshookd webhook create http://127.0.0.1:8000/ --actions PROJECT_CREATED,PROJECT_UPDATED
    WEBHOOK_SECRET=whsec_… python3 notify_annotators.py mail -s 'Label Studio' annotators@example.com

(A webhook without --project is the organization's: only such hear of new projects.)
"""

import subprocess
import sys

from webhook import serve

interfaces = {}


def handle(event):
    project = event["project"]
    before = interfaces.get(project["id"])
    interfaces[project["id"]] = project["label_config"]
    if event["action"] == "PROJECT_CREATED":
        message = f"There is a new project: {project['title']}"
    elif before is not None and before != project["label_config"]:
        message = f"The labeling interface of {project['title']} has changed"
    else:
        return
    subprocess.run(sys.argv[1:], input=message + "\n", text=True, check=True)


serve(handle)
