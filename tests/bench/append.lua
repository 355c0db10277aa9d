-- wrk's script: each request appends COUNT entries that were never there. wrk [-c, -d] URL -- TOKEN COUNT
local ffi = require("ffi")
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  count = tonumber(arguments[2])
  math.randomseed(os.time() * 64 + number)
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. arguments[1]
  wrk.headers["Content-Type"] = "application/octet-stream"
end

-- Eight random bytes, eight times over: alike to no other entry, as digests are.
local words = ffi.new("uint32_t[2]")

function request()
  local parts = {}
  for i = 1, count do
    words[0] = math.random(0, 4294967295)
    words[1] = math.random(0, 4294967295)
    parts[i] = string.rep(ffi.string(words, 8), 8)
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
