-- Refreshes sessions in turn. Each refresh token that is answered goes to the end of the queue, so that every request
-- takes its session a step ahead. The argument is a file with a refresh token on each line: more than there are
-- connections.

require "wrk_report"

local queue, first, last = {}, 1, 0

local function append(token)
    last = last + 1
    queue[last] = token
end

function init(arguments)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    for token in io.lines(arguments[1]) do append(token) end
end

function request()
    local token = queue[first] or error("every refresh token is under way")
    queue[first] = nil
    first = first + 1
    return wrk.format(nil, nil, nil, '{"refresh_token":"' .. token .. '"}')
end

-- Those without a token are counted as errors by wrk.
function response(status, headers, body)
    local token = string.match(body, '"refresh_token":"([^"]+)"')
    if token then append(token) end
end
