-- SPDX-License-Identifier: Apache-2.0
-- Prints what wrk counted as one JSON object, so that bench/run.py need not read its prose.
-- It has no response() function: parsing every head would make wrk the thing that is measured.
-- Status and body are checked by the byte count, which only the one right response adds up to.
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '\nwrk-json {"requests": %d, "bytes": %d, "duration_us": %d, "connect": %d, ' ..
        '"read": %d, "write": %d, "status": %d, "timeout": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.bytes, summary.duration, e.connect, e.read, e.write,
        e.status, e.timeout, latency:percentile(50), latency:percentile(99)))
end
