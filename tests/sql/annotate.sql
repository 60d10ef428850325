-- Annotates the first task so many times, in a transaction each.
create procedure fixture.annotate(quantity bigint)
    language plpgsql
as $$
begin
    for number in 1 .. quantity loop
        perform fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}');
        commit;
    end loop;
end
$$;
