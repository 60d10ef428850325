"""Pulling survives whatever happens to the network, and acknowledges what was handled and nothing else."""

import asyncio
import json
import uuid

import httpx
import pytest

import lshookd
from lshookd import pulling
from lshookd.testing import sample, signed


class Daemon:
    """What an lshookd with one lane answers."""

    def __init__(self, quantity=5, failures=()):
        self.waiting = [str(uuid.uuid4()) for _ in range(quantity)]
        self.leased = []
        self.acknowledged = []
        self.requests = []
        self.failures = list(failures)
        self.lease_seconds = 60.0

    def __call__(self, request):
        path = request.url.path.rsplit("/", 1)[1]
        self.requests.append(path)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        body = json.loads(request.content or b"{}")
        if path == "events":
            if not self.leased:
                self.leased = self.waiting[: int(request.url.params["limit"])]
                given = self.leased
            else:
                given = []
            events = []
            for key in given:
                headers, text = signed(sample("ANNOTATION_CREATED"), webhook_id=key)
                event = {"id": key, "attempt": 1, "action": "ANNOTATION_CREATED", "project": 1, "headers": headers}
                events.append({**event, "occurred_at": "2026-01-31T12:00:00.1234Z", "body": text.decode()})
            return httpx.Response(200, json={"events": events, "lease": "l", "lease_seconds": self.lease_seconds})
        if path == "ack":
            self.acknowledged += body["ids"]
            self.waiting = [key for key in self.waiting if key not in body["ids"]]
            self.leased = [key for key in self.leased if key not in body["ids"]]
        if path == "release":
            self.leased = []
        return httpx.Response(200, json={})

    def pull(self, **options):
        client = httpx.Client(transport=httpx.MockTransport(self))
        return lshookd.pull("http://lshookd/v1/webhooks/1/events", "token", client=client, follow=False, **options)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(pulling, "LONGEST_PAUSE", 0.01)


def test_events_come_in_order_and_are_acknowledged():
    daemon = Daemon()
    expected = list(daemon.waiting)
    events = list(daemon.pull(limit=2))
    assert [event.delivery.id for event in events] == expected == daemon.acknowledged
    assert events[0].annotation.id and events[0].delivery.attempt == 1 and events[0].delivery.occurred_at.year == 2026


def test_what_was_handled_before_the_loop_failed_is_acknowledged_and_nothing_else():
    daemon = Daemon()
    expected = list(daemon.waiting)
    events = iter(daemon.pull())
    next(events), next(events), next(events)
    events.close()
    assert daemon.acknowledged == expected[:2]
    assert daemon.requests[-1] == "release"
    assert [event.delivery.id for event in daemon.pull()] == expected[2:]


def test_it_goes_on_after_failures():
    failures = [
        httpx.ConnectError("refused"),
        httpx.Response(503, json={"error": "away"}, headers={"retry-after": "0"}),
        httpx.Response(502, text="proxy"),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, text="not JSON"),
    ]
    daemon = Daemon(failures=failures)
    assert len(list(daemon.pull())) == 5
    # Also where the acknowledgement is what fails.
    daemon = Daemon()
    events = iter(daemon.pull(limit=1))
    next(events)
    daemon.failures = failures[:3]
    assert len(list(events)) == 4 and len(set(daemon.acknowledged)) == 5


def test_a_wrong_token_is_an_error_and_no_reason_to_go_on():
    daemon = Daemon(failures=[httpx.Response(401, json={"error": "show the token"})])
    with pytest.raises(lshookd.PullError, match="show the token"):
        list(daemon.pull())


def test_batches_are_acknowledged_together():
    daemon = Daemon()
    assert [len(batch) for batch in daemon.pull(limit=2).batches()] == [2, 2, 1]
    assert len(daemon.acknowledged) == 5
    assert daemon.requests.count("ack") == 3


def test_the_lease_is_kept_while_the_work_takes_long():
    import time

    daemon = Daemon(quantity=1)
    daemon.lease_seconds = 0.03
    for _ in daemon.pull():
        time.sleep(0.2)
    assert daemon.requests.count("extend") >= 3


def test_the_same_for_async_for():
    daemon = Daemon()
    expected = list(daemon.waiting)

    async def run():
        client = httpx.AsyncClient(transport=httpx.MockTransport(daemon))
        pull = lshookd.pull_async("http://lshookd/v1/webhooks/1", "token", client=client, follow=False, limit=2)
        return [event.delivery.id async for event in pull]

    assert asyncio.run(run()) == expected == daemon.acknowledged


def test_an_async_loop_that_fails_acknowledges_what_was_handled():
    daemon = Daemon()
    expected = list(daemon.waiting)

    async def run():
        client = httpx.AsyncClient(transport=httpx.MockTransport(daemon))
        events = lshookd.pull_async("http://lshookd/v1/webhooks/1", "token", client=client, follow=False).__aiter__()
        await events.__anext__()
        await events.__anext__()
        await events.aclose()

    asyncio.run(run())
    assert daemon.acknowledged == expected[:1]


def test_progress_is_counted_where_it_is_wanted(capsys):
    assert len(list(Daemon().pull(progress=True))) == 5
    assert "5 events" in capsys.readouterr().err
