-- So many annotations of one task, in a transaction each, with results that make events of 3 kB.
create procedure backlog(quantity integer)
    language plpgsql
as $$
begin
    for number in 1 .. quantity loop
        perform fixture.rows('task_completion', jsonb_build_object(
            'project_id', 1, 'task_id', 1, 'result', jsonb_build_array(jsonb_build_object('text', repeat('owl ', 250)))
        ));
        commit;
    end loop;
end
$$;
