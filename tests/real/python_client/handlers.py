"""Counts annotations in a database of its own, in the transaction that notes that it has done so."""

import os

import sqlalchemy
from sqlalchemy.orm import sessionmaker

from lshookd import Receiver, SQLAlchemyStore

engine = sqlalchemy.create_engine("sqlite:///" + os.environ["WORK"])
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("create table if not exists work (annotation integer, title text)"))
receiver = Receiver(os.environ["WEBHOOK_SECRET"], store=SQLAlchemyStore(sessionmaker(engine)))


@receiver.on("ANNOTATION_CREATED", project=int(os.environ["PROJECT"]))
def count(event, session):
    row = {"annotation": event.annotation.id, "title": event.project.title}
    session.execute(sqlalchemy.text("insert into work (annotation, title) values (:annotation, :title)"), row)
