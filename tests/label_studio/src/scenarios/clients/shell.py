"""What an administrator does in Label Studio's shell. DO is `create`, `annotate`, `edit` or `delete`."""

import os

from projects.models import Project
from tasks.models import Annotation, Task

project = Project.objects.get(id=int(os.environ["PROJECT"]))
result = [{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["owl"]}}]
work = os.environ["DO"]
if work == "create":
    for number in range(3):
        Task.objects.create(project=project, data={"text": f"by the shell {number}"})
elif work == "annotate":
    task = Task.objects.filter(project=project).order_by("id").last()
    Annotation.objects.create(task=task, project=project, result=result, completed_by=project.created_by)
elif work == "edit":
    project.title = "By the shell"
    project.save()
else:
    Task.objects.filter(project=project).order_by("id").last().delete()
print("the program is done")
