-- What wrk saw, as one line of JSON: its own table has neither p95 nor the distribution.
done = function(summary, latency, requests)
  local parts = {}
  for _, percentile in ipairs({ 50, 75, 90, 95, 99, 99.9 }) do
    parts[#parts + 1] = string.format('"%s":%.0f', percentile, latency:percentile(percentile))
  end
  local errors = summary.errors
  io.write(string.format(
    '\nQUORATE {"requests":%d,"us":%d,"bad":%d,"max":%.0f,"latency":{%s}}\n',
    summary.requests,
    summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency.max,
    table.concat(parts, ",")
  ))
end

-- A body that stands after the URL is posted.
init = function(args)
  if args[1] == nil then return end
  wrk.method = "POST"
  wrk.body = args[1]
  wrk.headers["content-type"] = "application/json"
end
