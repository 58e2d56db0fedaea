-- Takes a due request: pushes its due time forward by the lease and sets a new
-- fence, unless another worker was faster.
-- KEYS: 1 request (hash), 2 due index (zset)
-- ARGV: 1 id, 2 lease in microseconds, 3 fence, 4 the score it was seen with
-- Returns: {'claimed', version, request, fence, until, at}, {'later'} if its time
--          has not come, {'taken'} if its time has moved since it was seen,
--          {'gone'} if it is no longer in the index.
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then
  return { 'gone' }
end
if tonumber(score) ~= tonumber(ARGV[4]) then
  return { 'taken' }
end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
if tonumber(score) > now then
  return { 'later' }
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return { 'gone' }
end
local at = string.format('%.0f', now)
local ends = string.format('%.0f', now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], ends, ARGV[1])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'fence', ARGV[3], 'until', ends, 'at', at)
local r = redis.call('HMGET', KEYS[1], 'version', 'request')
return { 'claimed', r[1], r[2], ARGV[3], ends, at }
