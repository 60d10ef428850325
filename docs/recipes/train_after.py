"""Starts training after every N new annotations.

    lshookd webhook create http://127.0.0.1:8000/ --project 7 --actions ANNOTATION_CREATED,ANNOTATIONS_CREATED
    WEBHOOK_SECRET=whsec_… python3 train_after.py 100 ./train.sh

The ids are kept in annotations.db, so that a restart forgets nothing and counts nothing twice.
"""

import sqlite3
import subprocess
import sys

from webhook import annotations, serve

every, command = int(sys.argv[1]), sys.argv[2:]


def handle(event):
    with sqlite3.connect("annotations.db") as database:
        database.execute("create table if not exists annotation (id integer primary key)")
        database.execute("create table if not exists trained (annotations integer primary key)")
        ids = [(annotation["id"],) for annotation, _ in annotations(event) if not annotation["was_cancelled"]]
        database.executemany("insert or ignore into annotation values (?)", ids)
    with sqlite3.connect("annotations.db") as database:
        count = database.execute("select count(*) from annotation").fetchone()[0]
        trained = database.execute("select coalesce(max(annotations), 0) from trained").fetchone()[0]
        if count // every > trained // every:
            subprocess.run([*command, str(event["project"]["id"]), str(count)], check=True)
            # Noted afterwards: a training that fails or is cut short is started once more.
            database.execute("insert into trained values (?)", (count,))


serve(handle)
