"""Exactly once: the handler's own work and the note that it is done, in one transaction of the consumer's database.

A handler that takes a second argument is given the session; what it writes there is committed together with the key of
the delivery, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker


class SQLAlchemyStore:
    """Keys in a table of the consumer's database, `lshookd_handled` unless it is named otherwise; created if it is not
    there."""

    def __init__(self, sessions: sessionmaker[Session], table: str = "lshookd_handled") -> None:
        import sqlalchemy

        self._sessions = sessions
        metadata = sqlalchemy.MetaData()
        self._table = sqlalchemy.Table(
            table, metadata, sqlalchemy.Column("key", sqlalchemy.String(128), primary_key=True)
        )
        with sessions() as session:
            metadata.create_all(session.connection())
            session.commit()

    @contextmanager
    def transaction(self, key: str) -> Iterator[Optional[Session]]:
        """A session in whose transaction the key is noted already; `None` where it was handled before. Of two that
        come with the same key, the second waits for the first.
        """
        import sqlalchemy
        from sqlalchemy.exc import IntegrityError

        with self._sessions() as session:
            try:
                session.execute(sqlalchemy.insert(self._table).values(key=key))
                session.flush()
            except IntegrityError:
                session.rollback()
                yield None
                return
            yield session
            session.commit()

    def has(self, key: str) -> bool:
        """Whether it was handled."""
        import sqlalchemy

        with self._sessions() as session:
            found = session.execute(sqlalchemy.select(self._table.c.key).where(self._table.c.key == key))
            return found.first() is not None

    def add(self, key: str) -> None:
        """It is handled now."""
        with self.transaction(key):
            pass
