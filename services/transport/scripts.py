"""The Lua that makes publishing once-only and settling atomic. Redis runs a script whole or not at all.

Result first, acknowledgement last: should a write in the middle be refused, the input stays pending and is delivered
again, and the markers keep what did get out from getting out twice.

When memory is full, Redis refuses a script whose first write could need more. `PUBLISH` is such a script: no new work
is admitted. The others begin with a write that is always allowed (a deletion of nothing), and then run to the end:
what was admitted can be finished and leaves the queue smaller, and workers are not taken for dead meanwhile.
"""

MARKER_TTL_S = 45 * 24 * 3600
"""How long a publication's key is remembered. Ledger and record know every frame for ever; the marker only has to
outlive a message's time in the queue and the longest outage after which somebody restarts a worker."""

PUBLISH = f"""
-- KEYS: stream, marker; ARGV: key, payload, cap (0 = never trimmed)
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if ARGV[3] == '0' then
  redis.call('XADD', KEYS[1], '*', 'key', ARGV[1], 'payload', ARGV[2])
else
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'key', ARGV[1], 'payload', ARGV[2])
end
redis.call('SET', KEYS[2], 1, 'EX', {MARKER_TTL_S})
return 1
"""

SETTLE = f"""
-- KEYS: input stream, strikes, then stream and marker per output; ARGV: group, entry, then key, payload, cap per output
redis.call('HDEL', KEYS[2], ARGV[2])
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
local i = 3
for k = 3, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[k + 1]) == 0 then
    if ARGV[i + 2] == '0' then
      redis.call('XADD', KEYS[k], '*', 'key', ARGV[i], 'payload', ARGV[i + 1])
    else
      redis.call('XADD', KEYS[k], 'MAXLEN', '~', ARGV[i + 2], '*', 'key', ARGV[i], 'payload', ARGV[i + 1])
    end
    redis.call('SET', KEYS[k + 1], 1, 'EX', {MARKER_TTL_S})
  end
  i = i + 3
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
"""

CLAIM = """
-- KEYS: stream; ARGV: group, new owner, most, how far to look, idle in ms, then the consumers that are gone
-- returns entry, fields and number of deliveries of each entry taken over
local most = tonumber(ARGV[3])
local taken = {}
local function take(found)
  for _, entry in ipairs(found) do
    if #taken >= most then return end
    if entry[2] ~= ARGV[2] then
      local got = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, entry[1])
      if got[1] then taken[#taken + 1] = {got[1][1], got[1][2], entry[4] + 1} end
    end
  end
end
for i = 6, #ARGV do take(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', most, ARGV[i])) end
take(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[5], '-', '+', ARGV[4]))
for i = 6, #ARGV do
  -- forgetting a consumer drops what it holds, so only one that holds nothing is forgotten
  if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[i]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[i])
  end
end
return taken
"""

HAND_OVER = """
-- KEYS: stream; ARGV: group, owner, next owner, idle in ms, then entry and its new count (-1 = as it is) per entry
-- leaves alone what the owner no longer holds; with owner = next owner it renews the lease
local moved = 0
for i = 5, #ARGV, 2 do
  local found = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if found and found[2] == ARGV[2] then
    local count = ARGV[i + 1]
    if count == '-1' then count = found[4] end
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[i], 'IDLE', ARGV[4], 'RETRYCOUNT', count, 'JUSTID')
    moved = moved + 1
  end
end
return moved
"""

STRIKE = """
-- KEYS: strikes; ARGV: entry
redis.call('HDEL', KEYS[1], '')
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
"""

PUT_BACK = f"""
-- KEYS: dead letters, the letter's marker, stream, marker; ARGV: letter, key, payload
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1], 'COUNT', 1) == 0 then return 0 end
redis.call('XADD', KEYS[3], '*', 'key', ARGV[2], 'payload', ARGV[3])
redis.call('SET', KEYS[4], 1, 'EX', {MARKER_TTL_S})
redis.call('DEL', KEYS[2])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
"""

BEAT = """
-- KEYS: heartbeat, names of those that beat; ARGV: name, time to live in ms, then field and value of the status
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
return 1
"""
