"""Events are typed, and lose nothing."""

import json

import pytest

from lshookd import annotations_of, events, parse
from lshookd.testing import actions, sample, signed


@pytest.mark.parametrize("action", actions())
def test_every_action_has_a_model_that_keeps_all_of_its_event(action):
    event = parse(json.dumps(sample(action)))
    assert type(event).__name__ == "".join(part.capitalize() for part in action.split("_"))
    assert event.action == action
    kept = json.loads(event.model_dump_json(exclude_unset=True))
    given = sample(action)
    for key, value in given.items():
        assert set(kept) == set(given)
        if isinstance(value, dict):
            assert set(kept[key]) == set(value)


def test_there_is_a_model_for_every_action():
    assert len(actions()) >= 34


def test_the_parts_of_an_event_have_types():
    event = parse(json.dumps(sample("ANNOTATION_CREATED")))
    assert isinstance(event, events.AnnotationCreated)
    assert isinstance(event.task, events.Task) and isinstance(event.project.title, str)
    assert event.annotation.id > 0 and event.annotation.created_at.tzinfo is not None
    [(annotation, task)] = annotations_of(event)
    assert annotation is event.annotation and task is event.task


def test_fields_of_later_versions_are_kept():
    event = sample("ANNOTATION_CREATED")
    event["annotation"]["mood"] = "good"
    assert parse(json.dumps(event)).annotation.mood == "good"


def test_what_is_deleted_is_an_id_or_what_it_was():
    event = sample("ANNOTATIONS_DELETED", annotations=[{"id": 7}])
    assert parse(json.dumps(event)).annotations[0].id == 7
    assert annotations_of(parse(json.dumps(event))) == []


@pytest.mark.parametrize(
    "body",
    [{"action": "ANNOTATION_CREATED"}, {"action": "MOON_FULL", "moon": 1}, {"text": "of a template"}, {"action": 7}],
)
def test_whatever_else_a_webhook_sends_is_an_event_of_no_known_shape(body):
    event = parse(json.dumps(body))
    assert isinstance(event, events.OtherEvent)
    assert event.action == (body.get("action") if isinstance(body.get("action"), str) else "")


@pytest.mark.parametrize("body", ["", "[]", "7", "{", b"\xff"])
def test_what_is_no_object_is_an_error(body):
    with pytest.raises(ValueError):
        parse(body)


def test_an_envelope_of_cloudevents_is_opened():
    envelope = {"specversion": "1.0", "id": "x", "data": sample("PROJECT_UPDATED")}
    assert isinstance(parse(json.dumps(envelope)), events.ProjectUpdated)


def test_an_event_that_came_knows_how():
    headers, body = signed(sample("PROJECT_UPDATED"), webhook_id="abc", replay=3)
    event = parse(body, headers)
    assert (event.delivery.id, event.delivery.replay, event.delivery.key) == ("abc", "3", "abc#3")
    with pytest.raises(AttributeError):
        _ = event.project.delivery
