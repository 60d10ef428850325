"""A version of the dataset in a repository: when annotations have come, waits for more, exports the project and commits
it. With DVC, `dvc add` the export before the commit.

    lshookd webhook create pull: --project 7 --actions \\
        ANNOTATION_CREATED,ANNOTATIONS_CREATED,ANNOTATION_UPDATED,ANNOTATIONS_DELETED,TASKS_CREATED,TASKS_DELETED
    LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_TOKEN=… PULL_URL=… PULL_TOKEN=lshp_… \\
        python3 dataset_version.py REPOSITORY SECONDS
"""

import os
import pathlib
import subprocess
import sys
import time

import httpx
import lshookd

repository, pause, key = pathlib.Path(sys.argv[1]), float(sys.argv[2]), f"Token {os.environ['LABEL_STUDIO_TOKEN']}"
git = ["git", "-C", str(repository)]

for batch in lshookd.pull(os.environ["PULL_URL"], os.environ["PULL_TOKEN"], limit=1000).batches():
    time.sleep(pause)
    for project in {event.project.id: event.project for event in batch}.values():
        url = f"{os.environ['LABEL_STUDIO_URL']}/api/projects/{project.id}/export?exportType=JSON&download_all_tasks=true"
        answer = httpx.get(url, headers={"Authorization": key}, timeout=600)
        if answer.status_code == 404:
            continue  # The project is deleted.
        (repository / f"project-{project.id}.json").write_bytes(answer.raise_for_status().content)
        subprocess.run([*git, "add", f"project-{project.id}.json"], check=True)
        if subprocess.run([*git, "diff", "--cached", "--quiet"]).returncode:
            subprocess.run([*git, "commit", "--quiet", "--message", f"{project.title}: annotations"], check=True)
