-- The compare-and-swap: the only script that changes a request.
-- KEYS: 1 request (hash), 2 due index (zset), 3 audit lines (list), 4 chain head (hash)
-- ARGV: 1 version expected (0: must not exist), 2 token of this attempt, 3 request,
--       4 fence, 5 lease until, 6 lease at (microseconds), 7 id,
--       8 wake time in microseconds ('' : not in the index),
--       9 count and 10 hash of the chain expected, 11 count and 12 hash after,
--       13 when it may be forgotten in milliseconds ('' : never), 14.. audit lines
-- Returns: 'ok', or 'conflict' with nothing changed.
local have = redis.call('HMGET', KEYS[1], 'version', 'op')
local ops = have[2] or '' -- tokens of the last 8 swaps: others may have come between
if string.find(ops, ARGV[2], 1, true) then
  return 'ok' -- this very attempt was applied before and its answer was lost
end
if (have[1] or '0') ~= ARGV[1] then
  return 'conflict'
end
if #ARGV > 13 then
  local head = redis.call('HMGET', KEYS[4], 'count', 'hash')
  if (head[1] or '0') ~= ARGV[9] or (head[2] or '') ~= ARGV[10] then
    return 'conflict'
  end
  for i = 14, #ARGV do
    redis.call('RPUSH', KEYS[3], ARGV[i])
  end
  redis.call('HSET', KEYS[4], 'count', ARGV[11], 'hash', ARGV[12])
end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', tonumber(ARGV[1]) + 1),
  'op', string.sub(ARGV[2] .. ' ' .. ops, 1, 8 * (#ARGV[2] + 1)), 'request', ARGV[3],
  'fence', ARGV[4], 'until', ARGV[5], 'at', ARGV[6])
if ARGV[13] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIREAT', KEYS[1], ARGV[13])
end
if ARGV[8] == '' then
  redis.call('ZREM', KEYS[2], ARGV[7])
else
  redis.call('ZADD', KEYS[2], ARGV[8], ARGV[7])
end
return 'ok'
