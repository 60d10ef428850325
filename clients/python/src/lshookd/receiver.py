"""A receiver of webhooks: verifies, parses, calls handlers, and answers what makes lshookd do the right thing."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar, Union

from standardwebhooks import Webhook

from lshookd.events import parse
from lshookd.store import MemoryStore, Store
from lshookd.transaction import SQLAlchemyStore

log = logging.getLogger("lshookd")

Handler = TypeVar("Handler", bound=Callable[..., Any])

MOST_BYTES = 512 * 1024 * 1024


class Stop(Exception):
    """Raised by a handler: nobody wants this webhook any more. The delivery is answered by 410 and is dead at once."""


@dataclass(frozen=True)
class Answer:
    """What to answer a request."""

    status: int
    text: str


@dataclass(frozen=True)
class _Registered:
    handler: Callable[..., Any]
    actions: frozenset[str]
    project: Optional[int]
    takes_session: bool

    def wants(self, event: Any) -> bool:
        if self.actions and event.action not in self.actions:
            return False
        return self.project is None or getattr(getattr(event, "project", None), "id", None) == self.project


class Receiver:
    """Calls handlers for the events that lshookd delivers, each event once.

        receiver = Receiver(secret="whsec_…", store=SQLiteStore("handled.db"))

        @receiver.on("ANNOTATION_CREATED", project=7)
        def train(event):
            print(event.annotation.result, event.task.data)

    `secret` is what `lshookd webhook secret ID` shows; several are taken while one is rotated. `None` verifies nothing:
    then whoever can reach the receiver can make events up.

    A request is answered by 2xx when all of its handlers are done, by 401 where its signature is none, and by 500 where
    a handler raised, so that it is delivered again. What was handled is noted after that, and is not handled again when
    it comes once more; an operator's replay is, unless `replays=False`.

    `receiver.asgi` and `receiver.wsgi` are applications for any server or framework.
    """

    def __init__(
        self,
        secret: Union[str, Sequence[str], None],
        *,
        store: Union[Store, SQLAlchemyStore, None] = None,
        replays: bool = True,
    ) -> None:
        secrets = [secret] if isinstance(secret, str) else list(secret or [])
        if secret is not None and not secrets:
            raise ValueError("no secret; `lshookd webhook secret ID` shows it")
        self._verifiers = [Webhook(each) for each in secrets]
        self._store: Union[Store, SQLAlchemyStore] = MemoryStore() if store is None else store
        self._replays = replays
        self._handlers: list[_Registered] = []
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def on(self, *actions: str, project: Optional[int] = None) -> Callable[[Handler], Handler]:
        """Registers a handler for these actions, or for every one; of one project, or of all.

        It is called with the event, and with the session of an `SQLAlchemyStore` if it takes two arguments. It may be a
        coroutine function; others run in a thread.
        """

        def register(handler: Handler) -> Handler:
            parameters = inspect.signature(handler).parameters
            registered = _Registered(handler, frozenset(actions), project, takes_session=len(parameters) > 1)
            if registered.takes_session and not isinstance(self._store, SQLAlchemyStore):
                raise TypeError("a handler that takes a session needs Receiver(store=SQLAlchemyStore(…))")
            self._handlers.append(registered)
            return handler

        return register

    def handle(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Handles one request, in this thread."""
        return self._handle(headers, body, None)

    async def handle_async(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Handles one request; handlers that are coroutine functions run here, others in a thread."""
        return await asyncio.to_thread(self._handle, headers, body, asyncio.get_running_loop())

    def _handle(self, headers: Mapping[str, str], body: bytes, loop: Optional[asyncio.AbstractEventLoop]) -> Answer:
        event = self._open(headers, body)
        if isinstance(event, Answer):
            return event
        key = self._key(event)
        if not self._begin(key):
            return Answer(503, "another request with this event is being handled")
        try:
            return self._call(event, key, loop)
        finally:
            self._end(key)

    def _open(self, headers: Mapping[str, str], body: bytes) -> Any:
        """The event, or what to answer where there is none."""
        lower = {name.lower(): value for name, value in headers.items()}
        if not lower.get("webhook-id"):
            return Answer(400, "no webhook-id: this is no request of lshookd's")
        if self._verifiers and not any(self._is_signed(verifier, lower, body) for verifier in self._verifiers):
            return Answer(401, "the signature is none of this webhook's")
        try:
            return parse(body, lower)
        except ValueError:
            return Answer(400, "the body is no JSON object")

    @staticmethod
    def _is_signed(verifier: Webhook, headers: dict[str, str], body: bytes) -> bool:
        try:
            verifier.verify(body, headers)
        except Exception:  # A signature that is none, or whatever is wrong with headers that anybody may send.
            return False
        return True

    def _key(self, event: Any) -> str:
        key: str = event.delivery.key if self._replays else event.delivery.id
        return key

    def _begin(self, key: str) -> bool:
        with self._lock:
            if key in self._running:
                return False
            self._running.add(key)
            return True

    def _end(self, key: str) -> None:
        with self._lock:
            self._running.discard(key)

    def _call(self, event: Any, key: str, loop: Optional[asyncio.AbstractEventLoop]) -> Answer:
        wanted = [each for each in self._handlers if each.wants(event)]
        try:
            if isinstance(self._store, SQLAlchemyStore):
                with self._store.transaction(key) as session:
                    if session is None:
                        return Answer(200, "handled before")
                    for each in wanted:
                        _finish(each.handler(event, session) if each.takes_session else each.handler(event), loop)
                return Answer(200, "handled")
            if self._store.has(key):
                return Answer(200, "handled before")
            for each in wanted:
                _finish(each.handler(event), loop)
            self._store.add(key)
            return Answer(200, "handled")
        except Exception as error:
            return self._failed(event, error)

    @staticmethod
    def _failed(event: Any, error: Exception) -> Answer:
        if isinstance(error, Stop):
            return Answer(410, "nobody wants this webhook any more")
        log.exception("a handler of %s failed; lshookd will deliver it again", event.action, exc_info=error)
        return Answer(500, "a handler failed; see the log of the receiver")

    @property
    def asgi(self) -> Callable[..., Awaitable[None]]:
        """An ASGI application: for uvicorn, or mounted in FastAPI, Starlette or Django."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                while True:
                    message = await receive()
                    await send({"type": message["type"] + ".complete"})
                    if message["type"] == "lifespan.shutdown":
                        return
            if scope["type"] != "http":
                return
            if scope["method"] != "POST":
                answer = Answer(405, "post events here")
            else:
                pieces, length, more = [], 0, True
                while more and length <= MOST_BYTES:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    pieces.append(message.get("body", b""))
                    length += len(pieces[-1])
                    more = message.get("more_body", False)
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                answer = Answer(413, "too large") if more else await self.handle_async(headers, b"".join(pieces))
            text = answer.text.encode()
            head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
            await send({"type": "http.response.start", "status": answer.status, "headers": head})
            await send({"type": "http.response.body", "body": text})

        return application

    @property
    def wsgi(self) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
        """A WSGI application: for gunicorn, or mounted in Flask or Django."""

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] != "POST":
                answer = Answer(405, "post events here")
            else:
                headers = {
                    name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")
                }
                length = int(environ.get("CONTENT_LENGTH") or 0)
                if length > MOST_BYTES:
                    answer = Answer(413, "too large")
                else:
                    answer = self.handle(headers, environ["wsgi.input"].read(length))
            text = answer.text.encode()
            head = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
            start_response(f"{answer.status} {_REASONS.get(answer.status, 'Error')}", head)
            return [text]

        return application


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 405: "Method Not Allowed", 410: "Gone"}


def _finish(result: Any, loop: Optional[asyncio.AbstractEventLoop]) -> None:
    """Waits for a coroutine where a handler is one: on the caller's loop, if it has one."""
    if not inspect.isawaitable(result):
        return

    async def wait() -> None:
        await result

    if loop is None:
        asyncio.run(wait())
    else:
        asyncio.run_coroutine_threadsafe(wait(), loop).result()
