"""What a receiver has handled, so that it handles nothing twice."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from typing import Protocol, Union


class Store(Protocol):
    """Keeps the keys of deliveries whose handler has succeeded."""

    def has(self, key: str) -> bool:
        """Whether it was handled."""

    def add(self, key: str) -> None:
        """It is handled now."""


class MemoryStore:
    """Forgets with the process, and the oldest of more than `limit`."""

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        with self._lock:
            return key in self._keys

    def add(self, key: str) -> None:
        with self._lock:
            self._keys[key] = None
            while len(self._keys) > self._limit:
                self._keys.popitem(last=False)


class SQLiteStore:
    """In a file, which several processes may share; forgets what is older than `days`, longer than lshookd retries."""

    def __init__(self, path: Union[str, Path], days: float = 30) -> None:
        self._path = str(path)
        self._seconds = days * 86_400
        self._swept = 0.0
        with closing(self._connect()) as database, database:
            database.execute("create table if not exists handled (key text primary key, at real not null)")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60)

    def has(self, key: str) -> bool:
        with closing(self._connect()) as database:
            return database.execute("select 1 from handled where key = ?", (key,)).fetchone() is not None

    def add(self, key: str) -> None:
        now = time.time()
        with closing(self._connect()) as database, database:
            database.execute("insert or ignore into handled (key, at) values (?, ?)", (key, now))
            if now - self._swept > 3600:
                database.execute("delete from handled where at < ?", (now - self._seconds,))
                self._swept = now
