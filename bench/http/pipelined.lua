-- SPDX-License-Identifier: Apache-2.0
-- Sixteen requests in one write.
local batch

function init(args)
    local one = wrk.format()
    batch = string.rep(one, 16)
end

function request()
    return batch
end

dofile("done.lua")
