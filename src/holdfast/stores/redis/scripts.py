"""What has to happen in one step happens in the server, in Lua; each script's KEYS are an object and its details."""

from __future__ import annotations

#: What every script begins with: the version of the object that is there, and a refusal of other types.
# Details are those of the value only while they have its length: other programs write values without them. The
# version of such a value is its digest, which costs the server a pass over it.
_PRELUDE = """
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'string' and kind ~= 'none' then return {'type', kind} end
local function details()
  local found = redis.call('HMGET', KEYS[2], 'etag', 'size', 'modified', 'attributes')
  if found[1] and tonumber(found[2]) == redis.call('STRLEN', KEYS[1]) then return found end
  return false
end
local function version()
  local found = details()
  return found and found[1] or 'sha1-' .. redis.sha1hex(redis.call('GET', KEYS[1]))
end
"""

#: ARGV: the condition (any, absent or match), its ETag, the value, the new ETag, the time, the attributes.
PUT = (
    _PRELUDE
    + """
if ARGV[1] == 'absent' and kind == 'string' then return {'exists'} end
if ARGV[1] == 'match' then
  if kind == 'none' then return {'conflict', ''} end
  local found = version()
  if found ~= ARGV[2] then return {'conflict', found} end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'etag', ARGV[4], 'size', #ARGV[3], 'modified', ARGV[5], 'attributes', ARGV[6])
return {'done'}
"""
)

#: ARGV: the ETag that it must have, or nothing.
REMOVE = (
    _PRELUDE
    + """
if kind == 'none' then redis.call('DEL', KEYS[2]) return {'missing'} end
if ARGV[1] ~= '' then
  local found = version()
  if found ~= ARGV[1] then return {'conflict', found} end
end
redis.call('DEL', KEYS[1], KEYS[2])
return {'done'}
"""
)

#: ARGV: the first byte and the last to return (as GETRANGE counts), the ETag that it must have or nothing, and up to
#: what size all of it is returned. A value without details always comes whole: only its digest could tell of a change.
READ = (
    _PRELUDE
    + """
if kind == 'none' then return {'missing'} end
local size = redis.call('STRLEN', KEYS[1])
local found = details()
local etag = version()
if ARGV[3] ~= '' and etag ~= ARGV[3] then return {'conflict', etag} end
local data = false
if not found or size <= tonumber(ARGV[4]) then
  data = ARGV[2] == '' and '' or redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2])
end
if not found then found = {etag, size, '', ''} end
return {'done', etag, size, found[3], found[4], data}
"""
)
