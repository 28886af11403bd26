-- Sends one request again and again. The arguments are its method, its body and, as NAME:VALUE, its headers.

require "wrk_report"

function init(arguments)
    wrk.method = arguments[1]
    if arguments[2] ~= "" then wrk.body = arguments[2] end
    for number = 3, #arguments do
        local name, value = string.match(arguments[number], "^([^:]+):(.*)$")
        wrk.headers[name] = value
    end
end
