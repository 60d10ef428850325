-- How many of RQ's jobs are not finished. A job that a worker has just taken is in no queue and
-- not yet among those being done, but it has its status.
local unfinished = 0
for _, key in ipairs(redis.call('keys', 'rq:job:*')) do
    if redis.call('type', key).ok == 'hash' then
        local status = redis.call('hget', key, 'status')
        if status == 'queued' or status == 'started' then
            unfinished = unfinished + 1
        end
    end
end
return unfinished
