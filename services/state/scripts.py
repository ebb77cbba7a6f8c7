"""What Redis does in one piece, in its own language (Lua).

Each runs as a whole or not at all: without a flag a full server refuses it before its first
line. Those that a full server must not refuse, since live logs would seem abandoned, say
``allow-oom``; they write a few bytes. (The first line is Redis 7's.)

Time is the server's, so that all processes agree on it. It is wall time, and there is no other:
where the server's clock is set forward by more than a lease, live logs can be seized.
"""

import hashlib
from dataclasses import dataclass

from services.state.store import FIRST_EPOCH


@dataclass(frozen=True)
class Script:
    """A script, and the name by which a server that has seen it knows it."""

    text: str

    @property
    def sha(self) -> str:
        """Return Redis's name for it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# values | each one's bytes, ms
PUT = Script("""#!lua
for place, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[2 * place - 1], 'PX', ARGV[2 * place])
end
""")

# value | had one, which, gets one, which, ms
SWAP = Script("""#!lua
local old = ARGV[1] == '1' and ARGV[2]
if redis.call('GET', KEYS[1]) ~= old then return 0 end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
else
  redis.call('DEL', KEYS[1])
end
return 1
""")

# log, epoch, … | epoch, first, ms, count, records…, …
APPEND = Script(f"""#!lua
local at, lasts = 1, {{}}
for k = 1, #KEYS, 2 do
  local epoch, first, ms, count = unpack(ARGV, at, at + 3)
  epoch, first, ms, count = tonumber(epoch), tonumber(first), tonumber(ms), tonumber(count)
  if epoch < tonumber(redis.call('GET', KEYS[k + 1]) or {FIRST_EPOCH}) then
    lasts[#lasts + 1] = -1
  else
    redis.call('SET', KEYS[k + 1], epoch, 'PX', math.max(ms, redis.call('PTTL', KEYS[k + 1])))
    local newest = redis.call('XREVRANGE', KEYS[k], '+', '-', 'COUNT', 1)[1]
    local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0
    if first <= last + 1 then
      for i = last + 2 - first, count do
        last = first + i - 1
        redis.call('XADD', KEYS[k], last .. '-0', '', ARGV[at + 3 + i])
      end
    end
    redis.call('PEXPIRE', KEYS[k], ms)
    lasts[#lasts + 1] = last
  end
  at = at + 4 + count
end
return lasts
""")

# leases, holders | me, ms, logs…
LEASE = Script(f"""#!lua flags=allow-oom
{NOW}
local lost = {{}}
for i = 3, #ARGV do
  local holder = redis.call('HGET', KEYS[2], ARGV[i])
  if holder and holder ~= ARGV[1] then
    lost[#lost + 1] = ARGV[i]
  else
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[i])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
  end
end
return lost
""")

# leases, holders | me, logs…
RELEASE = Script("""#!lua flags=allow-oom
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
""")

# leases, holders | me, logs…
LET_GO = Script("""#!lua flags=allow-oom
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then
    redis.call('ZADD', KEYS[1], 0, ARGV[i])
  end
end
""")

# leases | most
LAPSED = Script(f"""#!lua flags=no-writes
{NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
""")

# leases, holders, epoch | me, ms, log, ms of the epoch
SEIZE = Script(f"""#!lua
{NOW}
local held = redis.call('ZSCORE', KEYS[1], ARGV[3])
if not held or tonumber(held) > now then return false end
local epoch = (redis.call('GET', KEYS[3]) or {FIRST_EPOCH}) + 1
redis.call('SET', KEYS[3], epoch, 'PX', math.max(ARGV[4], redis.call('PTTL', KEYS[3])))
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
return epoch
""")

# inbox | ms, message
SEND = Script(f"""#!lua
{NOW}
redis.call('XADD', KEYS[1], 'MINID', '~', math.max(0, now - ARGV[1]), '*', '', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
""")

# group | member, ms, most (-1: any)
JOIN = Script(f"""#!lua
{NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local most, joins = tonumber(ARGV[3]), 1
if most >= 0 and redis.call('ZCARD', KEYS[1]) >= most and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  joins = 0
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {{joins, redis.call('ZCARD', KEYS[1]), first[2] and first[2] - now or 0}}
""")

# group | skip, most
MEMBERS = Script(f"""#!lua flags=no-writes
{NOW}
local later = '(' .. string.format('%.0f', now)
return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', later, 'LIMIT', ARGV[1], ARGV[2])
""")
