"""Events as the types of Label Studio's own SDK (the extra `sdk`)."""

from __future__ import annotations

from typing import Any, Union

import label_studio_sdk

from lshookd.events import Annotation, Project, Task

# What the API's client returns for a task: named anew with version 2.
_TASK: Any = getattr(label_studio_sdk, "LseTask", None) or label_studio_sdk.BaseTask


def to_sdk(part: Union[Annotation, Task, Project]) -> Any:
    """An annotation, a task or a project of an event, as `label_studio_sdk` has it.

    Fields that a payload does not have are left unset: the SDK's types are those of its API, which shows more.

    Raises:
        TypeError: It is none of these.
    """
    types: Any = (
        (Annotation, label_studio_sdk.Annotation),
        (Task, _TASK),
        (Project, label_studio_sdk.Project),
    )
    for ours, theirs in types:
        if isinstance(part, ours):
            return theirs.model_construct(**part.model_dump())
    raise TypeError(f"the SDK has no type for {type(part).__name__}")
