"""A version of the dataset in a repository: when annotations have come and then nothing more for a
while, exports the project and commits it. With DVC, `dvc add` the export before the commit.

    lshookd webhook create http://127.0.0.1:8000/ --project 7 --actions \\
        ANNOTATION_CREATED,ANNOTATIONS_CREATED,ANNOTATION_UPDATED,ANNOTATIONS_DELETED,TASKS_CREATED,TASKS_DELETED
    LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_TOKEN=… WEBHOOK_SECRET=whsec_… \\
        python3 dataset_version.py REPOSITORY SECONDS
"""

import os
import pathlib
import subprocess
import sys
import threading
import urllib.request

from webhook import serve

repository, pause = pathlib.Path(sys.argv[1]), float(sys.argv[2])
waiting = {}


def export(project, title):
    try:
        commit(project, title)
    except Exception as error:
        # The project may be deleted meanwhile; else the next event brings another attempt.
        print(f"project {project} cannot be exported: {error!r}", file=sys.stderr, flush=True)


def commit(project, title):
    url = f"{os.environ['LABEL_STUDIO_URL']}/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    request = urllib.request.Request(url, headers={"Authorization": f"Token {os.environ['LABEL_STUDIO_TOKEN']}"})
    with urllib.request.urlopen(request) as answer:
        (repository / f"project-{project}.json").write_bytes(answer.read())
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "add", f"project-{project}.json"], check=True)
    if subprocess.run([*git, "diff", "--cached", "--quiet"]).returncode:
        subprocess.run([*git, "commit", "--quiet", "--message", f"{title}: annotations"], check=True)


def handle(event):
    project = event["project"]
    if project["id"] in waiting:
        waiting[project["id"]].cancel()
    waiting[project["id"]] = threading.Timer(pause, export, (project["id"], project["title"]))
    waiting[project["id"]].start()


serve(handle)
