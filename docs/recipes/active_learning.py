"""Active learning: learns from every annotation, and writes predictions for the tasks that have none (in the project's
settings, order tasks by prediction score). The model counts words of the task's `text`; put yours in its place.

    lshookd webhook create pull: --project 7 --actions ANNOTATION_CREATED,ANNOTATIONS_CREATED,ANNOTATION_UPDATED
    LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_TOKEN=… PULL_URL=… PULL_TOKEN=lshp_… python3 active_learning.py
"""

import collections
import os

import lshookd
from label_studio_sdk import LabelStudio

studio = LabelStudio(base_url=os.environ["LABEL_STUDIO_URL"], api_key=os.environ["LABEL_STUDIO_TOKEN"])
words, interface = collections.defaultdict(collections.Counter), {}

for batch in lshookd.pull(os.environ["PULL_URL"], os.environ["PULL_TOKEN"]).batches():
    for annotation, task in (pair for event in batch for pair in lshookd.annotations_of(event)):
        for region in annotation.result or []:
            if region.get("value", {}).get("choices") and not annotation.was_cancelled:
                words[region["value"]["choices"][0]].update(str(task.data.get("text", "")).split())
                interface = {key: region[key] for key in ("from_name", "to_name", "type")}
    for task in studio.tasks.list(project=batch[-1].project.id, fields="all") if interface else []:
        if not task.is_labeled and not task.predictions:
            text = str(task.data.get("text", "")).split()
            scores = {choice: 1 + sum(seen[word] for word in text) for choice, seen in words.items()}
            best = max(scores, key=scores.get)
            result = [{**interface, "value": {"choices": [best]}}]
            score = scores[best] / sum(scores.values())
            studio.predictions.create(task=task.id, result=result, score=score, model_version="words")
