"""The Lua that makes publishing once-only and settling atomic. Redis runs a script whole or not at all.

Result first, acknowledgement last: should a write in the middle be refused (memory full), the input stays pending and
is delivered again, and the markers keep what did get out from getting out twice.
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
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if #pending == 0 then return 0 end
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
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
"""
