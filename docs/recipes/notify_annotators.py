"""Tells annotators when a project is set up: when it is created, and when its labeling interface changes. The message
goes to a command's standard input, as a mailer or a chat's client takes it.

    lshookd webhook create http://127.0.0.1:8000/ --actions PROJECT_CREATED,PROJECT_UPDATED
    WEBHOOK_SECRET=whsec_… NOTIFY="mail -s 'Label Studio' annotators@example.com" \\
        python3 -m lshookd receive notify_annotators.py --port 8000

(A webhook without --project is the organization's: only such hear of new projects.)
"""

import os
import subprocess

from lshookd import Receiver, SQLiteStore

receiver = Receiver(os.environ["WEBHOOK_SECRET"], store=SQLiteStore("handled.db"))
interfaces = {}


@receiver.on("PROJECT_CREATED", "PROJECT_UPDATED")
def tell(event):
    project, before = event.project, interfaces.get(event.project.id)
    interfaces[project.id] = project.label_config
    if event.action == "PROJECT_CREATED":
        message = f"There is a new project: {project.title}"
    elif before not in (None, project.label_config):
        message = f"The labeling interface of {project.title} has changed"
    else:
        return
    subprocess.run(os.environ["NOTIFY"], shell=True, input=message + "\n", text=True, check=True)
