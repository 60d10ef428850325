"""Pulling events: for notebooks, batch jobs, and whatever no request reaches."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Callable, Optional, Union

import httpx
from pydantic import TypeAdapter

from lshookd._model import Delivery
from lshookd.events import parse

log = logging.getLogger("lshookd")

_DATETIME: TypeAdapter[datetime] = TypeAdapter(datetime)

LONGEST_PAUSE = 30.0
"""Seconds between two tries to reach lshookd."""


class PullError(Exception):
    """lshookd refuses: the token is none of this webhook's, or there is no such webhook."""


def _events(answer: dict[str, Any]) -> list[Any]:
    events = []
    for given in answer["events"]:
        event = parse(given["body"], given["headers"])
        event._delivery = Delivery(
            given["id"],
            given["attempt"],
            event.delivery.replay,
            _DATETIME.validate_python(given["occurred_at"]),
            given["headers"],
        )
        events.append(event)
    return events


def _pause(failures: int) -> float:
    """Twice as long after each failure, and never the same for two consumers."""
    longest = min(0.5 * 2.0 ** min(failures, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


def _check(response: httpx.Response) -> dict[str, Any]:
    """What was answered.

    Raises:
        PullError: It will be refused as often as it is asked.
        httpx.HTTPError: It may be answered later.
    """
    if response.status_code < 400:
        found: dict[str, Any] = response.json()
        return found
    if response.status_code >= 500 or response.status_code in (408, 429):
        response.raise_for_status()
    try:
        reason = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        reason = response.text[:200]
    raise PullError(f"{response.status_code}: {reason}")


def _after(error: Exception) -> Optional[float]:
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    return float(value) if value.isdigit() else None


class _Webhook:
    """Where the events of one webhook are, and what is asked there; how, is for those who wait and those who await."""

    def __init__(self, url: str, token: str, limit: int, follow: bool, wait: float, progress: bool) -> None:
        self._base = url.rstrip("/")
        self._base = self._base[: -len("/events")] if self._base.endswith("/events") else self._base
        self._timeout = httpx.Timeout(30.0, read=wait + 30.0)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._follow = follow
        self._next = f"events?limit={limit}&wait={wait if follow else 0}s"
        self._progress = _bar(progress)

    def _request(self, method: str, path: str, body: Optional[dict[str, Any]]) -> dict[str, Any]:
        return {"method": method, "url": f"{self._base}/{path}", "json": body, "headers": self._headers}

    @staticmethod
    def _pause(error: Exception, failures: int) -> float:
        """How long to wait after so many failures before this one."""
        pause = _after(error)
        pause = _pause(failures) if pause is None else pause
        log.warning("lshookd cannot be reached: %s; again in %.1f s", error, pause)
        return pause

    @staticmethod
    def _position(to: Union[str, datetime]) -> dict[str, str]:
        if isinstance(to, datetime):
            if to.tzinfo is None:
                raise ValueError("the time has no zone; try datetime.now(timezone.utc)")
            to = to.isoformat()
        return {"to": to}

    @staticmethod
    def _refusal(event: Any, reason: str, delay: float) -> dict[str, Any]:
        return {"ids": [event.delivery.id], "reason": reason or "it gave no reason", "delay": delay}


class Pull(_Webhook):
    """The events of a webhook whose URL is `pull:`, in order, typed; iterate over it once.

        for event in lshookd.pull("https://labels.example.com:9188/v1/webhooks/12/events", token):
            print(event.action, event.project.title)

    What the body of the loop has handled is acknowledged when the loop comes round, with others where many come
    together. What it had not handled when the loop ends, by an exception or a `break`, is given again. While the body
    works, the lease of its events is kept, however long it takes. After any failure of the network, of lshookd or of
    PostgreSQL it goes on.

    `limit` events are leased together. `follow=False` ends where nothing more waits; otherwise a request waits `wait`
    seconds for more, again and again. `progress` shows a bar, if tqdm is installed.

    Raises:
        PullError: While iterating, if the token is none of this webhook's.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        limit: int = 100,
        follow: bool = True,
        wait: float = 30.0,
        progress: bool = False,
        client: Optional[httpx.Client] = None,
    ) -> None:
        super().__init__(url, token, limit, follow, wait, progress)
        self._client = client or httpx.Client(timeout=self._timeout)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._leased():
            for event in batch:
                yield event
                batch.done(event)
                if batch.is_due():
                    self._acknowledge(batch)

    def batches(self) -> Iterator[list[Any]]:
        """Lists of events, at most `limit` in each, acknowledged together when the loop comes round."""
        for batch in self._leased():
            yield batch
            for event in batch:
                batch.done(event)

    def seek(self, to: Union[str, datetime]) -> dict[str, int]:
        """Reads on at `"beginning"`, `"end"`, a time with its zone, or an event's id: how many events are given again,
        and how many are passed over."""
        return self._ask("POST", "seek", self._position(to))

    def refuse(self, event: Any, reason: str = "", delay: float = 5.0) -> None:
        """Says that an event could not be handled, and has it given again after so many seconds."""
        self._ask("POST", "nack", self._refusal(event, reason, delay))

    def _leased(self) -> Iterator[_Batch]:
        while True:
            answer = self._ask("GET", self._next)
            batch = _Batch(_events(answer), self._progress)
            if not batch:
                if not self._follow:
                    return
                continue
            with self._kept(answer["lease"], answer["lease_seconds"]):
                try:
                    yield batch
                finally:
                    self._acknowledge(batch)
                    self._ask("POST", "release", {"lease": answer["lease"]}, once=True)

    def _acknowledge(self, batch: _Batch) -> None:
        ids = batch.unacknowledged()
        if ids:
            self._ask("POST", "ack", {"ids": ids})
            batch.acknowledged(ids)

    @contextmanager
    def _kept(self, lease: str, seconds: float) -> Iterator[None]:
        """Extends a lease until the work is done."""
        over = threading.Event()

        def extend() -> None:
            while not over.wait(seconds / 3):
                try:
                    _check(self._client.request(**self._request("POST", "extend", {"lease": lease})))
                except (httpx.HTTPError, PullError) as error:
                    log.warning("the lease could not be extended: %s", error)

        keeper = threading.Thread(target=extend, name="lshookd-lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _ask(self, method: str, path: str, body: Optional[dict[str, Any]] = None, once: bool = False) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                return _check(self._client.request(**self._request(method, path, body)))
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                if once:
                    return {}
                time.sleep(self._pause(error, failures))
                failures += 1


class AsyncPull(_Webhook):
    """The same for `async for`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        limit: int = 100,
        follow: bool = True,
        wait: float = 30.0,
        progress: bool = False,
        client: Optional[httpx.AsyncClient] = None,
    ) -> None:
        super().__init__(url, token, limit, follow, wait, progress)
        self._client = client or httpx.AsyncClient(timeout=self._timeout)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for batch in self.batches():
            for event in batch:
                yield event
                batch.done(event)
                if batch.is_due():
                    await self._acknowledge(batch)

    async def batches(self) -> AsyncIterator[_Batch]:
        """Lists of events, at most `limit` in each, acknowledged together when the loop comes round."""
        while True:
            answer = await self._ask("GET", self._next)
            batch = _Batch(_events(answer), self._progress)
            if not batch:
                if not self._follow:
                    return
                continue
            keeper = asyncio.create_task(self._keep(answer["lease"], answer["lease_seconds"]))
            is_whole = False
            try:
                yield batch
                is_whole = True
            finally:
                keeper.cancel()
                if is_whole:
                    for event in batch:
                        batch.done(event)
                await self._acknowledge(batch)
                await self._ask("POST", "release", {"lease": answer["lease"]}, once=True)

    async def _acknowledge(self, batch: _Batch) -> None:
        ids = batch.unacknowledged()
        if ids:
            await self._ask("POST", "ack", {"ids": ids})
            batch.acknowledged(ids)

    async def seek(self, to: Union[str, datetime]) -> dict[str, int]:
        """As `Pull.seek`."""
        return await self._ask("POST", "seek", self._position(to))

    async def refuse(self, event: Any, reason: str = "", delay: float = 5.0) -> None:
        """As `Pull.refuse`."""
        await self._ask("POST", "nack", self._refusal(event, reason, delay))

    async def _keep(self, lease: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            await self._ask("POST", "extend", {"lease": lease}, once=True)

    async def _ask(
        self, method: str, path: str, body: Optional[dict[str, Any]] = None, once: bool = False
    ) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                return _check(await self._client.request(**self._request(method, path, body)))
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                if once:
                    return {}
                await asyncio.sleep(self._pause(error, failures))
                failures += 1


class _Batch(list[Any]):
    """Events of one lease, and which of them are handled."""

    def __init__(self, events: list[Any], progress: Callable[[int], None]) -> None:
        super().__init__(events)
        self._progress = progress
        self._handled: dict[str, bool] = {}
        self._at = time.monotonic()

    def done(self, event: Any) -> None:
        """It is handled, and to be acknowledged."""
        if event.delivery.id not in self._handled:
            self._handled[event.delivery.id] = False
            self._progress(1)

    def is_due(self) -> bool:
        """Not each is acknowledged by itself, and none waits for long: after a crash it would come again."""
        return time.monotonic() - self._at > 1.0

    def unacknowledged(self) -> list[str]:
        return [key for key, is_acknowledged in self._handled.items() if not is_acknowledged]

    def acknowledged(self, ids: list[str]) -> None:
        self._handled.update(dict.fromkeys(ids, True))
        self._at = time.monotonic()


def _bar(wanted: bool) -> Callable[[int], None]:
    """Counts for whoever watches, where tqdm is installed."""
    if wanted:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            log.info("tqdm is not installed; no progress is shown")
        else:
            bar = tqdm(unit=" events", desc="lshookd")

            def show(count: int) -> None:
                bar.update(count)

            return show
    return lambda count: None


pull = Pull
pull_async = AsyncPull
