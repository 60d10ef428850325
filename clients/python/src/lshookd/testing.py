"""For one's own tests: an event of every action, signed as lshookd signs.

    from lshookd.testing import deliver, sample

    def test_training():
        answer = deliver(receiver, sample("ANNOTATION_CREATED"))
        assert answer.status == 200

With pytest the fixture `lshookd_deliver` does the same.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import resources
from typing import Any, Callable, Optional

from standardwebhooks import Webhook

from lshookd.receiver import Answer, Receiver

SECRET = "whsec_" + base64.b64encode(b"a secret for tests, and not else").decode()
"""A signing secret for tests: `Receiver(secret=lshookd.testing.SECRET)`."""


def _samples() -> dict[str, dict[str, Any]]:
    text = resources.files("lshookd").joinpath("_samples.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def actions() -> list[str]:
    """The actions of which there is a sample."""
    return sorted(_samples())


def sample(action: str, **changes: Any) -> dict[str, Any]:
    """An event of this action as a real Label Studio made it, with changes of its own.

    Raises:
        KeyError: There is no such action.
    """
    return {**_samples()[action], **changes}


def signed(
    event: Mapping[str, Any],
    secret: str = SECRET,
    *,
    webhook_id: Optional[str] = None,
    timestamp: Optional[datetime] = None,
    replay: Optional[int] = None,
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request with this event."""
    body = json.dumps(event).encode()
    webhook_id = webhook_id or str(uuid.uuid4())
    timestamp = timestamp or datetime.now(timezone.utc)
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, timestamp, body.decode()),
    }
    if replay is not None:
        headers["lshookd-replay"] = str(replay)
    return headers, body


def deliver(receiver: Receiver, event: Mapping[str, Any], secret: str = SECRET, **options: Any) -> Answer:
    """Gives a receiver a signed request with this event; `options` are those of `signed`."""
    return receiver.handle(*signed(event, secret, **options))


try:
    import pytest
except ImportError:  # pragma: no cover
    pass
else:

    @pytest.fixture
    def lshookd_deliver() -> Callable[..., Answer]:
        """`lshookd_deliver(receiver, "ANNOTATION_CREATED")` gives it a signed sample; keywords change the sample."""

        def give(receiver: Receiver, action: str, **changes: Any) -> Answer:
            return deliver(receiver, sample(action, **changes))

        return give
