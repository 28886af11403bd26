-- Sends each request with the next access token. The arguments are a file with a token on each line, and how many have
-- been sent before; after the last comes the first.

require "wrk_report"

local tokens, sent = {}, 0

function init(arguments)
    for token in io.lines(arguments[1]) do tokens[#tokens + 1] = "Bearer " .. token end
    sent = tonumber(arguments[2])
end

function request()
    local token = tokens[sent % #tokens + 1]
    sent = sent + 1
    return wrk.format(nil, nil, {["Authorization"] = token})
end
