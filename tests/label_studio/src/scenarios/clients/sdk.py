"""Works by label-studio-sdk: imports, predicts, annotates, edits, deletes. PROJECT is the project's id."""

import os

base, token, project = os.environ["BASE"], os.environ["TOKEN"], int(os.environ["PROJECT"])
result = [{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["owl"]}}]

from label_studio_sdk.client import LabelStudio

client = LabelStudio(base_url=base, api_key=token)
client.projects.import_tasks(project, request=[{"text": "by the SDK, 1"}, {"text": "by the SDK, 2"}])
tasks = sorted(task.id for task in client.tasks.list(project=project, fields="all"))[-2:]
client.predictions.create(task=tasks[0], result=result, score=0.5, model_version="sdk")
annotation = client.annotations.create(tasks[0], result=result, lead_time=2.0)
client.annotations.update(annotation.id, result=result, ground_truth=True)
client.annotations.delete(annotation.id)
client.tasks.delete(str(tasks[1]))
client.projects.update(project, title="By the SDK")
print("the program is done")
