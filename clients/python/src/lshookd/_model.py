"""What all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Optional

from pydantic import BaseModel, ConfigDict, PrivateAttr


@dataclass(frozen=True)
class Delivery:
    """How an event came."""

    id: str
    """The `webhook-id`: the same each time that the event comes."""
    attempt: Optional[int] = None
    """Which attempt this is, counted from 1; known of events that are pulled."""
    replay: Optional[str] = None
    """Set where an operator had it delivered again."""
    occurred_at: Optional[datetime] = None
    """When it occurred; known of events that are pulled."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The headers of the request."""

    @property
    def key(self) -> str:
        """What a store of handled events keeps: a replay is another delivery of the same event."""
        return self.id if self.replay is None else f"{self.id}#{self.replay}"


class Model(BaseModel):
    """Keeps fields that it does not know: each version of Label Studio has some of its own."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    _delivery: Optional[Delivery] = PrivateAttr(default=None)

    @property
    def delivery(self) -> Delivery:
        """How this event came.

        Raises:
            AttributeError: It came by no delivery, or is a part of an event.
        """
        if self._delivery is None:
            raise AttributeError("only an event that was received or pulled has a delivery")
        return self._delivery
