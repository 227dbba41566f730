-- One batch of views and the positions it was read up to: all of it or nothing.
--
-- KEYS  meta, positions, population, recent triggers, reputation days, gone; then each change's own, in order
-- ARGV  generation, milliseconds, level ('1' or '0'), number of positions; for each position: field, expected, next;
--       limits: recent triggers, triggers a customer, seconds they are kept, days of reputation; how the key of such a
--       day begins; then the changes:
--         P partition offset stage/lifecycle json   a profile's view          key: profile
--         D needle                                  a tombstone               keys: profile, the customer's triggers
--                                                   (the needle tells the customer's triggers among all)
--         T milliseconds json                       a trigger                 keys: profile, the customer's triggers
--         R day score platform json                 reputation                key: that day's
--         X day platform                            a tombstone               key: that day's
--
-- Returns {'lost'} if this Redis was not built by this generation (it is empty, say), {'moved'} if its positions are not
-- the expected ones (an older snapshot, or another writer), else {'written', views older than what is there}.

local meta, positions, population, recent, days, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now_ms = tonumber(ARGV[2])
local key, at = 7, 5

if redis.call('HGET', meta, 'generation') ~= ARGV[1] then
  return { 'lost' }
end
local places = tonumber(ARGV[4])
for _ = 1, places do
  if (redis.call('HGET', positions, ARGV[at]) or '') ~= ARGV[at + 1] then
    return { 'moved' }
  end
  at = at + 3
end
local recent_max, customer_max, customer_seconds, days_max, day_prefix =
  tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4]
at = at + 5

local older, has_triggers, has_days, has_gone = 0, false, false, false

-- The view that is there, and the cell of the population it is counted in.
local function before(profile)
  local json = redis.call('GET', profile)
  if not json then
    return nil
  end
  local ok, view = pcall(cjson.decode, json)
  if not (ok and type(view) == 'table' and view.offset and view.stage and view.lifecycle) then
    return nil -- not a view of ours: written over
  end
  return view, view.stage .. '/' .. view.lifecycle
end

local function move(from, to)
  if from == to then
    return
  end
  if from and redis.call('HINCRBY', population, from, -1) <= 0 then
    redis.call('HDEL', population, from)
  end
  if to then
    redis.call('HINCRBY', population, to, 1)
  end
end

-- Out of the list of all triggers too. Whoever has none of their own is in it no more than there.
local function forget_triggers(triggers, needle)
  if redis.call('EXISTS', triggers) == 0 then
    return
  end
  for _, document in ipairs(redis.call('ZRANGE', recent, 0, -1)) do
    if string.find(document, needle, 1, true) then
      redis.call('ZREM', recent, document)
    end
  end
end

while at <= #ARGV do
  local change = ARGV[at]
  if change == 'P' then
    local view, cell = before(KEYS[key])
    if view and view.partition == tonumber(ARGV[at + 1]) and view.offset > tonumber(ARGV[at + 2]) then
      older = older + 1
    else
      redis.call('SET', KEYS[key], ARGV[at + 4])
      move(cell, ARGV[at + 3])
      if not cell then
        redis.call('ZREM', gone, KEYS[key])
      end
    end
    key, at = key + 1, at + 5
  elseif change == 'D' then
    local profile, triggers = KEYS[key], KEYS[key + 1]
    local _, cell = before(profile)
    forget_triggers(triggers, ARGV[at + 1])
    redis.call('UNLINK', profile, triggers)
    move(cell, nil)
    redis.call('ZADD', gone, now_ms, profile)
    has_gone = true
    key, at = key + 2, at + 2
  elseif change == 'T' then
    local profile, triggers = KEYS[key], KEYS[key + 1]
    local sent_ms = tonumber(ARGV[at + 1])
    local left = customer_seconds - math.floor((now_ms - sent_ms) / 1000)
    if left > 0 and not redis.call('ZSCORE', gone, profile) then
      redis.call('ZADD', recent, sent_ms, ARGV[at + 2])
      redis.call('ZADD', triggers, sent_ms, ARGV[at + 2])
      redis.call('ZREMRANGEBYRANK', triggers, 0, -customer_max - 1)
      if redis.call('TTL', triggers) < left then
        redis.call('EXPIRE', triggers, left)
      end
      has_triggers = true
    end
    key, at = key + 2, at + 3
  elseif change == 'R' then
    redis.call('HSET', KEYS[key], ARGV[at + 3], ARGV[at + 4])
    redis.call('ZADD', days, ARGV[at + 2], ARGV[at + 1])
    has_days = true
    key, at = key + 1, at + 5
  else
    redis.call('HDEL', KEYS[key], ARGV[at + 2])
    if redis.call('EXISTS', KEYS[key]) == 0 then
      redis.call('ZREM', days, ARGV[at + 1])
    end
    key, at = key + 1, at + 3
  end
end
if has_triggers then
  redis.call('ZREMRANGEBYRANK', recent, 0, -recent_max - 1)
end
if has_gone then
  redis.call('ZREMRANGEBYSCORE', gone, '-inf', now_ms - customer_seconds * 1000)
end
if has_days then
  for _, day in ipairs(redis.call('ZRANGE', days, 0, -days_max - 1)) do
    redis.call('UNLINK', day_prefix .. day)
    redis.call('ZREM', days, day)
  end
end

-- Last: a call that fails half way leaves the positions, and what it did write may be written again.
for from = 5, 2 + 3 * places, 3 do
  if ARGV[from + 2] ~= '' then
    redis.call('HSET', positions, ARGV[from], ARGV[from + 2])
  end
end
redis.call('HSET', meta, 'written_at_ms', ARGV[2])
if ARGV[3] == '1' then
  redis.call('HSET', meta, 'level_at_ms', ARGV[2])
end
return { 'written', older }
