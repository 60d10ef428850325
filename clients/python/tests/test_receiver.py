"""A receiver answers what makes lshookd do the right thing, and calls a handler once for each event."""

import asyncio
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from sqlalchemy.orm import sessionmaker

from lshookd import MemoryStore, Receiver, SQLAlchemyStore, SQLiteStore, Stop
from lshookd.testing import SECRET, deliver, sample, signed

EVENT = sample("ANNOTATION_CREATED")
PROJECT = EVENT["project"]["id"]


@pytest.fixture
def handled():
    return []


@pytest.fixture
def receiver(handled):
    receiver = Receiver(secret=SECRET)
    receiver.on("ANNOTATION_CREATED")(handled.append)
    return receiver


def test_a_signed_event_is_handled(receiver, handled):
    assert deliver(receiver, EVENT).status == 200
    assert handled[0].annotation.id == EVENT["annotation"]["id"]


def test_what_nobody_handles_is_taken(receiver, handled):
    assert deliver(receiver, sample("PROJECT_UPDATED")).status == 200
    assert handled == []


def test_a_handler_of_one_project_hears_of_no_other(handled):
    receiver = Receiver(secret=SECRET)
    receiver.on(project=PROJECT)(handled.append)
    receiver.on("ANNOTATION_CREATED", project=PROJECT + 1)(handled.append)
    deliver(receiver, EVENT)
    deliver(receiver, sample("USER_CREATED"))
    assert len(handled) == 1


def test_what_is_not_signed_by_the_webhooks_secret_is_refused(receiver, handled):
    headers, body = signed(EVENT)
    other = "whsec_" + "A" * 32
    old = datetime.now(timezone.utc) - timedelta(minutes=10)
    for wrong in [
        (headers, body + b" "),
        ({**headers, "webhook-id": "other"}, body),
        ({**headers, "webhook-signature": "v1,AAAA"}, body),
        ({**headers, "webhook-timestamp": "soon"}, body),
        ({name: value for name, value in headers.items() if name != "webhook-signature"}, body),
        signed(EVENT, other),
        signed(EVENT, timestamp=old),
    ]:
        assert receiver.handle(*wrong).status == 401
    assert receiver.handle({}, body).status == 400
    assert handled == []


def test_while_a_secret_is_rotated_both_are_taken(handled):
    new = "whsec_" + "B" * 32
    receiver = Receiver(secret=[new, SECRET])
    receiver.on()(handled.append)
    assert deliver(receiver, EVENT, new).status == deliver(receiver, EVENT, SECRET).status == 200
    assert len(handled) == 2


def test_an_event_that_comes_once_more_is_not_handled_again(receiver, handled):
    assert [deliver(receiver, EVENT, webhook_id="one").status for _ in range(3)] == [200, 200, 200]
    assert len(handled) == 1


def test_an_operators_replay_is_handled_unless_told_otherwise(receiver, handled):
    for replay in (None, 1, 1, 2):
        deliver(receiver, EVENT, webhook_id="one", replay=replay)
    assert len(handled) == 3
    deaf = Receiver(secret=SECRET, replays=False)
    deaf.on()(handled.append)
    for replay in (None, 1):
        deliver(deaf, EVENT, webhook_id="one", replay=replay)
    assert len(handled) == 4


def test_a_handler_that_fails_gets_the_event_again(handled):
    receiver = Receiver(secret=SECRET)

    @receiver.on()
    def fail_once(event):
        handled.append(event)
        if len(handled) == 1:
            raise RuntimeError("no disk left")

    assert [deliver(receiver, EVENT, webhook_id="one").status for _ in range(3)] == [500, 200, 200]
    assert len(handled) == 2


def test_a_handler_may_stop_the_webhook():
    receiver = Receiver(secret=SECRET)

    @receiver.on()
    def stop(event):
        raise Stop

    assert deliver(receiver, EVENT).status == 410


def test_an_event_that_is_being_handled_is_not_handled_beside_that():
    receiver = Receiver(secret=SECRET)
    begun, go_on = threading.Event(), threading.Event()

    @receiver.on()
    def wait(event):
        begun.set()
        go_on.wait(10)

    thread = threading.Thread(target=deliver, args=(receiver, EVENT), kwargs={"webhook_id": "one"})
    thread.start()
    begun.wait(10)
    assert deliver(receiver, EVENT, webhook_id="one").status == 503
    go_on.set()
    thread.join()
    assert deliver(receiver, EVENT, webhook_id="one").status == 200


def test_what_was_handled_is_known_after_a_restart(tmp_path, handled):
    for _ in range(2):
        receiver = Receiver(secret=SECRET, store=SQLiteStore(tmp_path / "handled.db"))
        receiver.on()(handled.append)
        assert deliver(receiver, EVENT, webhook_id="one").status == 200
    assert len(handled) == 1


def test_memory_is_bounded():
    store = MemoryStore(limit=2)
    for key in "abc":
        store.add(key)
    assert [store.has(key) for key in "abc"] == [False, True, True]


def post(transport, **options):
    headers, body = signed(EVENT, **options)
    if isinstance(transport, httpx.WSGITransport):
        with httpx.Client(transport=transport, base_url="http://receiver") as client:
            return client.post("/hooks/", content=body, headers=headers), client.get("/hooks/")

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            return await client.post("/hooks/", content=body, headers=headers), await client.get("/hooks/")

    return asyncio.run(ask())


def in_fastapi(receiver):
    from fastapi import FastAPI

    application = FastAPI()
    application.mount("/hooks", receiver.asgi)
    return httpx.ASGITransport(application)


def in_starlette(receiver):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return httpx.ASGITransport(Starlette(routes=[Mount("/hooks", receiver.asgi)]))


def in_flask(receiver):
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    application = Flask("birds")
    application.wsgi_app = DispatcherMiddleware(application.wsgi_app, {"/hooks": receiver.wsgi})
    return httpx.WSGITransport(application)


def in_django(receiver):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    @csrf_exempt
    def view(request):
        if request.method != "POST":
            return HttpResponse(status=405)
        answer = receiver.handle(request.headers, request.body)
        return HttpResponse(answer.text, status=answer.status)

    if not settings.configured:
        settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
        django.setup()
    urls = type(sys)("urls")
    urls.urlpatterns = [path("hooks/", view)]
    sys.modules["urls"] = urls
    return httpx.WSGITransport(get_wsgi_application())


@pytest.mark.parametrize("mounted", [in_fastapi, in_starlette, in_flask, in_django])
def test_it_is_an_application_for_every_framework(receiver, handled, mounted):
    posted, gotten = post(mounted(receiver))
    assert (posted.status_code, gotten.status_code) == (200, 405)
    assert len(handled) == 1


def test_handlers_may_be_coroutines(handled):
    receiver = Receiver(secret=SECRET)

    @receiver.on()
    async def later(event):
        await asyncio.sleep(0)
        handled.append(event)

    assert deliver(receiver, EVENT).status == 200
    for _ in range(2):
        posted, _ = post(in_starlette(receiver), webhook_id="one")
        assert posted.status_code == 200
    assert len(handled) == 2


def test_a_file_of_handlers_is_served_by_one_command(tmp_path):
    (tmp_path / "handlers.py").write_text(
        "from lshookd import Receiver\n"
        f"receiver = Receiver(secret={SECRET!r})\n"
        "@receiver.on('ANNOTATION_CREATED')\n"
        "def show(event):\n"
        "    print('handled', event.annotation.id, flush=True)\n"
    )
    command = [sys.executable, "-m", "lshookd", "receive", str(tmp_path / "handlers.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            url = served.stdout.readline().split()[-1]
            with httpx.Client(trust_env=False) as client:
                for _ in range(2):
                    headers, body = signed(EVENT)
                    assert client.post(url, content=body, headers=headers).status_code == 200
                    assert served.stdout.readline().split() == ["handled", str(EVENT["annotation"]["id"])]
                assert client.post(url, content=b"{}").status_code == 400
        finally:
            served.kill()


POINTS = ["before the handler", "in the handler", "before the commit", "after the commit", "nowhere"]

PROGRAM = """
import os, signal, sys
import sqlalchemy
from sqlalchemy.orm import sessionmaker
from lshookd import Receiver, SQLAlchemyStore
from lshookd.testing import SECRET, deliver, sample

url, point = sys.argv[1:]
die = lambda here: os.kill(os.getpid(), signal.SIGKILL) if here == point else None
engine = sqlalchemy.create_engine(url)
sessions = sessionmaker(engine)
receiver = Receiver(secret=SECRET, store=SQLAlchemyStore(sessions))

@receiver.on()
def count(event, session):
    die("before the handler")
    session.execute(sqlalchemy.text("insert into work (annotation) values (:id)"), {"id": event.annotation.id})
    die("in the handler")
    session.flush()
    die("before the commit")

answer = deliver(receiver, sample("ANNOTATION_CREATED"), webhook_id="one")
die("after the commit")
sys.exit(0 if answer.status == 200 else 1)
"""


def test_work_and_note_are_one_transaction_wherever_the_receiver_is_killed(tmp_path):
    url = f"sqlite:///{tmp_path / 'work.db'}"
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table work (annotation integer)"))
    program = Path(tmp_path / "program.py")
    program.write_text(PROGRAM)
    for point in POINTS:
        died = subprocess.run([sys.executable, str(program), url, point], check=False)
        assert died.returncode == (0 if point == "nowhere" else -9), point
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from work")).scalar() == 1


def test_a_handler_that_fails_leaves_nothing_behind(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'work.db'}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table work (annotation integer)"))
    receiver = Receiver(secret=SECRET, store=SQLAlchemyStore(sessionmaker(engine)))
    failures = [RuntimeError("once")]

    @receiver.on()
    def count(event, session):
        session.execute(sqlalchemy.text("insert into work (annotation) values (1)"))
        if failures:
            raise failures.pop()

    assert [deliver(receiver, EVENT, webhook_id="one").status for _ in range(3)] == [500, 200, 200]
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select count(*) from work")).scalar() == 1


def test_a_handler_that_wants_a_session_needs_a_store_that_has_one():
    with pytest.raises(TypeError):
        Receiver(secret=SECRET).on()(lambda event, session: None)


def test_the_fixture_delivers_a_sample(lshookd_deliver, receiver, handled):
    assert (
        lshookd_deliver(receiver, "ANNOTATION_CREATED", project={"id": 5, "title": "Owls", "task_number": 1}).status
        == 200
    )
    assert handled[0].project.title == "Owls"


def test_parts_of_events_become_types_of_label_studios_sdk(receiver, handled):
    import label_studio_sdk

    from lshookd.sdk import to_sdk

    deliver(receiver, EVENT)
    annotation = to_sdk(handled[0].annotation)
    assert isinstance(annotation, label_studio_sdk.Annotation) and annotation.id == EVENT["annotation"]["id"]
    assert to_sdk(handled[0].task).data == EVENT["task"]["data"]
    assert isinstance(to_sdk(handled[0].project), label_studio_sdk.Project)
    with pytest.raises(TypeError):
        to_sdk(handled[0])
