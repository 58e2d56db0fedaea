-- Reads one request together with the clock and the end of the audit chain, so
-- that a later swap compares against one moment.
-- KEYS: 1 request (hash), 2 chain head (hash)
-- Returns: version ('' if there is no such request), request, fence, until, at,
--          seconds, microseconds, count, hash
local r = redis.call('HMGET', KEYS[1], 'version', 'request', 'fence', 'until', 'at')
local t = redis.call('TIME')
local h = redis.call('HMGET', KEYS[2], 'count', 'hash')
return { r[1] or '', r[2] or '', r[3] or '', r[4] or '0', r[5] or '0', t[1], t[2], h[1] or '0', h[2] or '' }
