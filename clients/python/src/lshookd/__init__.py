"""Label Studio's events as lshookd delivers them: received by webhooks, or pulled."""

from lshookd import events
from lshookd.events import Event, annotations_of, parse
from lshookd.pulling import AsyncPull, Pull, PullError, pull, pull_async
from lshookd.receiver import Answer, Receiver, Stop
from lshookd.store import MemoryStore, SQLiteStore, Store
from lshookd.transaction import SQLAlchemyStore

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AsyncPull",
    "Event",
    "MemoryStore",
    "Pull",
    "PullError",
    "Receiver",
    "SQLAlchemyStore",
    "SQLiteStore",
    "Stop",
    "Store",
    "annotations_of",
    "events",
    "parse",
    "pull",
    "pull_async",
]
