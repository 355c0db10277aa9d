-- wrk's script: each request appends COUNT entries that were never there. wrk [-c, -d] URL -- TOKEN COUNT
local ffi = require("ffi")
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  count = tonumber(arguments[2])
  next_entry = 0
  -- Unlike in any other run: eight bytes of the clock and of this thread, then a number.
  math.randomseed(os.time() * 64 + number)
  local head = {}
  for i = 1, 8 do head[i] = string.char(math.random(0, 255)) end
  tail = string.rep(table.concat(head), 7)
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. arguments[1]
  wrk.headers["Content-Type"] = "application/octet-stream"
end

local value = ffi.new("uint64_t[1]")

function request()
  local parts = {}
  for i = 1, count do
    value[0] = next_entry
    next_entry = next_entry + 1
    parts[2 * i - 1] = ffi.string(value, 8)
    parts[2 * i] = tail
  end
  return wrk.format(nil, nil, nil, table.concat(parts))
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
