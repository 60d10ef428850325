"""Works in Django's admin site, request by request. EDIT is `title` or `delete`; PROJECT is the project's id."""

import json
import os
import time

from django.conf import settings
from django.test import Client
from django.test.utils import setup_test_environment
from projects.models import Project
from tasks.models import Task
from users.models import User

setup_test_environment()  # Answers come with the form that they were made of.
project = Project.objects.get(id=int(os.environ["PROJECT"]))
administrator = User.objects.order_by("id").first()
User.objects.filter(id=administrator.id).update(is_staff=True, is_superuser=True)
client = Client()
client.force_login(User.objects.get(id=administrator.id))
session = client.session
session["last_login"] = time.time()  # Or Label Studio ends the session.
session.save()
client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key


def filled(path):
    """The form as a browser would send it back unchanged."""
    page = client.get(path)
    assert page.status_code == 200, (page.status_code, page.headers, page.content[:300])
    form = page.context["adminform"].form
    sent = {}
    for name, field in form.fields.items():
        value = form.initial.get(name)
        if value is None or value is False:
            continue
        if hasattr(value, "date") and hasattr(value, "time"):
            sent[f"{name}_0"], sent[f"{name}_1"] = value.date().isoformat(), value.time().isoformat()
        elif isinstance(value, list):
            sent[name] = [getattr(item, "pk", item) for item in value]
            if field.__class__.__name__ == "JSONField":
                sent[name] = json.dumps(value)
        else:
            sent[name] = json.dumps(value) if isinstance(value, dict) else value
    return sent


if os.environ["EDIT"] == "title":
    path = f"/admin/projects/project/{project.id}/change/"
    # What the form insists on.
    wanted = {"pinned_at_0": "2026-01-01", "pinned_at_1": "00:00:00", "custom_task_lock_ttl": 3600}
    answer = client.post(path, {**wanted, **filled(path), "title": "By the admin site"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
else:
    task = Task.objects.filter(project=project).order_by("id").last()
    answer = client.post(
        "/admin/tasks/task/", {"action": "delete_selected", "_selected_action": [task.id], "post": "yes"}
    )
    assert answer.status_code == 302, answer.content
print("the program is done")
