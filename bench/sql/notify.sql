-- What the bare program listens to.
create function tell() returns trigger
    language plpgsql
as $$
begin
    perform pg_notify('bare', new.project_id || ' ' || new.id);
    return null;
end
$$;

create trigger tell after insert on task_completion for each row execute function tell();
