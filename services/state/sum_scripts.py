r"""Sums in Redis: what is asked of them in one piece, and how it is written down.

A row is one hash: ``s:<field>`` is spent, ``h:<field>`` held. A hold is a hash of amounts by
``<row>\n<field>``, and stands in a sorted set by the time at which it lapses. Numbers are written
out by ``%.0f``: Lua's own way would make 1e+15 of them.
"""

from collections.abc import Callable, Sequence

from services.state.scripts import NOW, Script
from services.state.sums import OVER_S, Hold, Kept, Settlement

HOLDS = "gloss:holds"
ROW = "gloss:row:"
MOST_LAPSED = 500  # in one script: a server does nothing else meanwhile

COMMON = f"""
{NOW}
local function whole(x) return string.format('%.0f', x) end
local function grow(row, name, by, ms)
  local key = '{ROW}' .. row
  redis.call('HINCRBY', key, name, whole(by))
  redis.call('PEXPIRE', key, whole(math.max(ms, redis.call('PTTL', key))))
end
local function free(name, spend)
  local key = 'gloss:hold:' .. name
  local held = redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    local row, field = string.match(held[i], '^([^\\n]*)\\n(.*)$')
    if row and redis.call('EXISTS', '{ROW}' .. row) == 1 then
      if spend then redis.call('HINCRBY', '{ROW}' .. row, 's:' .. field, held[i + 1]) end
      if redis.call('HINCRBY', '{ROW}' .. row, 'h:' .. field, '-' .. held[i + 1]) <= 0 then
        redis.call('HDEL', '{ROW}' .. row, 'h:' .. field)
      end
    end
  end
  if #held == 0 then return redis.call('EXISTS', 'gloss:over:' .. name) - 1 end
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[1], name)
  redis.call('SET', 'gloss:over:' .. name, '', 'PX', {int(OVER_S * 1000)})
  return 1
end
local function lapse()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, {MOST_LAPSED})) do
    free(name, true)
  end
end
"""

# holds | name, ms, least, most, count, (row, field, ms, fixed, step, bound)…, …
RESERVE = Script(f"""#!lua
{COMMON}
local at, answers = 1, {{}}
while at <= #ARGV do
  local name, ms, least, most, count = unpack(ARGV, at, at + 4)
  local n, refused = tonumber(most), redis.call('EXISTS', 'gloss:over:' .. name) == 1 and {{0, 0, 0}}
  for i = 0, count - 1 do
    local row, field, _, fixed, step, bound = unpack(ARGV, at + 5 + 6 * i, at + 10 + 6 * i)
    if bound ~= '' and not refused then
      local key = '{ROW}' .. row
      local spent = tonumber(redis.call('HGET', key, 's:' .. field) or 0)
      local held = tonumber(redis.call('HGET', key, 'h:' .. field) or 0)
      local room = math.max(0, bound - spent - held)
      if step ~= '0' then n = math.min(n, math.floor((room - fixed) / step)) end
      if n < tonumber(least) or (step == '0' and tonumber(fixed) > room) then
        refused = {{i, spent, held}}
      end
    end
  end
  if not refused then
    local key = 'gloss:hold:' .. name
    redis.call('HSET', key, '', 0)
    for i = 0, count - 1 do
      local row, field, lives, fixed, step = unpack(ARGV, at + 5 + 6 * i, at + 9 + 6 * i)
      local more = math.max(0, fixed + n * step)
      if more > 0 then
        redis.call('HINCRBY', key, row .. '\\n' .. field, whole(more))
        grow(row, 'h:' .. field, more, lives)
      end
    end
    redis.call('ZADD', KEYS[1], 'GT', whole(now + ms), name)
  end
  answers[#answers + 1] = refused or n
  at = at + 5 + 6 * count
end
return answers
""")

# holds | name, all of it, count, (row, field, ms, amount)…, …
SETTLE = Script(f"""#!lua flags=allow-oom
{COMMON}
lapse()
local at, answers = 1, {{}}
while at <= #ARGV do
  local name, all, count = unpack(ARGV, at, at + 2)
  local there = free(name, all == '1')
  for i = 0, count - 1 do
    local row, field, lives, more = unpack(ARGV, at + 3 + 4 * i, at + 6 + 4 * i)
    if there == 1 then grow(row, 's:' .. field, more, lives) end
  end
  answers[#answers + 1] = there
  at = at + 3 + 4 * count
end
return answers
""")

# holds | rows…
SUMS = Script(f"""#!lua flags=allow-oom
{COMMON}
lapse()
local found = {{}}
for i = 1, #ARGV do found[i] = redis.call('HGETALL', '{ROW}' .. ARGV[i]) end
return found
""")

Word = bytes | str | int


def reserve_words(holds: Sequence[Hold], ms: Callable[[float], int]) -> list[Word]:
    """Return what the script is told of these holds."""
    words: list[Word] = []
    for hold in holds:
        words += hold.name, ms(hold.lasts_s), hold.least, hold.most, len(hold.sums)
        for one in hold.sums:
            bound = "" if one.most is None else one.most
            words += one.row, one.field, ms(one.ttl_s), one.fixed, one.step, bound
    return words


def settle_words(settlements: Sequence[Settlement], ms: Callable[[float], int]) -> list[Word]:
    """Return what the script is told of these ends."""
    words: list[Word] = []
    for one in settlements:
        used = one.used or ()
        words += one.hold, int(one.used is None), len(used)
        for each in used:
            words += each.row, each.field, ms(each.ttl_s), each.amount
    return words


def row(found: Sequence[bytes]) -> dict[str, Kept]:
    """Return a row's sums by their fields."""
    amounts = {name.decode(): int(found[at + 1]) for at, name in enumerate(found) if not at % 2}
    fields = {name[2:] for name in amounts}
    return {name: Kept(amounts.get(f"s:{name}", 0), amounts.get(f"h:{name}", 0)) for name in fields}
