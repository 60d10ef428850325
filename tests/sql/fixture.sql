-- The user and the organization that everything belongs to, and project 1.
select fixture.rows('htx_user', '{"email": "annotator@example.com", "username": "annotator"}');
select fixture.rows('organization', '{"title": "Laboratory", "created_by_id": 1}');
select fixture.rows('project', '{"title": "Birds", "organization_id": 1, "created_by_id": 1, "data_types": {"text": "Text"}}');
