"""Label Studio's events, a model for each action.

The models are made of the JSON Schemas in lshookd's documentation (docs/schemas). Fields that a version of Label Studio
adds are kept, and can be read as attributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Optional, Union

from pydantic import Field, TypeAdapter, ValidationError

from lshookd._model import Delivery, Model
from lshookd._models import (
    Annotation,
    AnnotationCreated,
    AnnotationsCreated,
    AnnotationsDeleted,
    AnnotationSkipped,
    AnnotationUpdated,
    DraftCreated,
    DraftDeleted,
    DraftUpdated,
    GroundTruthSet,
    LabelCreated,
    LabelDeleted,
    LabelLinkCreated,
    LabelLinkDeleted,
    LabelLinkUpdated,
    LabelUpdated,
    OperationalEvent,
    PredictionsCreated,
    PredictionsDeleted,
    Project,
    ProjectCompleted,
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
    StorageSyncCompleted,
    StorageSyncFailed,
    StorageSyncStarted,
    Task,
    TasksCompleted,
    TasksCreated,
    TasksDeleted,
    TasksReopened,
    TasksUpdated,
    TaskUpdated,
    UserCreated,
    UserDeleted,
    UserUpdated,
)

__all__ = [
    "Annotation",
    "AnnotationCreated",
    "AnnotationSkipped",
    "AnnotationUpdated",
    "AnnotationsCreated",
    "AnnotationsDeleted",
    "Delivery",
    "DraftCreated",
    "DraftDeleted",
    "DraftUpdated",
    "Event",
    "GroundTruthSet",
    "KnownEvent",
    "LabelCreated",
    "LabelDeleted",
    "LabelLinkCreated",
    "LabelLinkDeleted",
    "LabelLinkUpdated",
    "LabelUpdated",
    "OperationalEvent",
    "OtherEvent",
    "PredictionsCreated",
    "PredictionsDeleted",
    "Project",
    "ProjectCompleted",
    "ProjectCreated",
    "ProjectDeleted",
    "ProjectUpdated",
    "StorageSyncCompleted",
    "StorageSyncFailed",
    "StorageSyncStarted",
    "Task",
    "TaskUpdated",
    "TasksCompleted",
    "TasksCreated",
    "TasksDeleted",
    "TasksReopened",
    "TasksUpdated",
    "UserCreated",
    "UserDeleted",
    "UserUpdated",
    "annotations_of",
    "parse",
]

KnownEvent = Annotated[
    Union[
        AnnotationCreated,
        AnnotationsCreated,
        AnnotationUpdated,
        AnnotationsDeleted,
        AnnotationSkipped,
        GroundTruthSet,
        TasksCreated,
        TasksDeleted,
        TaskUpdated,
        TasksUpdated,
        TasksCompleted,
        TasksReopened,
        ProjectCreated,
        ProjectUpdated,
        ProjectDeleted,
        ProjectCompleted,
        DraftCreated,
        DraftUpdated,
        DraftDeleted,
        PredictionsCreated,
        PredictionsDeleted,
        LabelCreated,
        LabelUpdated,
        LabelDeleted,
        LabelLinkCreated,
        LabelLinkUpdated,
        LabelLinkDeleted,
        StorageSyncStarted,
        StorageSyncCompleted,
        StorageSyncFailed,
        UserCreated,
        UserUpdated,
        UserDeleted,
        OperationalEvent,
    ],
    Field(discriminator="action"),
]
"""An event of an action that this version knows, told by its action."""


class OtherEvent(Model):
    """Of another action, or a body of another shape: that of a rule's template, or the action's name alone."""

    action: str = ""


Event = Union[KnownEvent, OtherEvent]
"""Whatever a webhook of lshookd's sends."""

_KNOWN: TypeAdapter[Any] = TypeAdapter(KnownEvent)


def parse(body: Union[bytes, str], headers: Optional[Mapping[str, str]] = None) -> Any:
    """The event of a request's body, and of its headers how it came; an envelope of CloudEvents is opened.

    Raises:
        ValueError: The body is no JSON object.
    """
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("the body is no JSON object")
    if "specversion" in found and isinstance(found.get("data"), dict):
        found = found["data"]
    try:
        event: Model = _KNOWN.validate_python(found)
    except ValidationError:
        # What is no action's name is kept as it is, beside a name that is none.
        is_named = isinstance(found.get("action"), str)
        event = OtherEvent.model_validate(found if is_named else {**found, "action": ""})
    if headers is not None:
        lower = {name.lower(): value for name, value in headers.items()}
        if "webhook-id" in lower:
            event._delivery = Delivery(lower["webhook-id"], replay=lower.get("lshookd-replay"), headers=lower)
    return event


def annotations_of(event: Any) -> list[tuple[Annotation, Optional[Task]]]:
    """The annotations of an event, each with its task where the event shows it: of one, or of several that were
    created in bulk. Those of which a deletion left nothing but the id are not among them."""
    found, tasks = getattr(event, "annotations", None), getattr(event, "tasks", None)
    if found is None:
        found, tasks = getattr(event, "annotation", None), getattr(event, "task", None)
    found = found if isinstance(found, list) else [found]
    tasks = tasks if isinstance(tasks, list) else [tasks]
    tasks += [None] * (len(found) - len(tasks))
    return [
        (annotation, task if isinstance(task, Task) else None)
        for annotation, task in zip(found, tasks)
        if isinstance(annotation, Annotation)
    ]
