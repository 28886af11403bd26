-- A mixture of all that is asked of a service, by chance. The arguments are a file, the client's name and secret in
-- base64, the path of a status list, how long a connection waits between an answer and its next request (milliseconds),
-- how many users there are, and their password. Each line of the file is an access token whose session goes on; it is
-- read again every few seconds.
--
-- A session is logged in, refreshed as often as it comes to it, and logged out; about so many are alive at once:
local ALIVE = 300

require "wrk_report"

local sessions, first, last = {}, 1, 0
local me, credentials, jwks, list = {}, nil, nil, nil
local tag, users, password, pause = nil, 1, "", 0
local file, read_at = nil, 0
local json = {["Content-Type"] = "application/json"}

local function append(token)
    last = last + 1
    sessions[last] = token
end

local function take()
    if first > last then return nil end
    local token = sessions[first]
    sessions[first] = nil
    first = first + 1
    return token
end

local function post(path, body) return wrk.format("POST", path, json, body) end

local function log_in()
    local name = "user-" .. math.random(0, users - 1)
    return post("/auth/log-in", '{"username":"' .. name .. '","password":"' .. password .. '"}')
end

local function with_session(path)
    local token = take()
    return token and post(path, '{"refresh_token":"' .. token .. '"}') or log_in()
end

local function read_tokens()
    me, read_at = {}, os.time()
    for token in io.lines(file) do
        me[#me + 1] = wrk.format("GET", "/auth/me", {["Authorization"] = "Bearer " .. token})
    end
end

function init(arguments)
    file, pause, users, password = arguments[1], tonumber(arguments[4]), tonumber(arguments[5]), arguments[6]
    read_tokens()
    credentials = wrk.format(
        "POST", "/oauth2/token",
        {["Authorization"] = "Basic " .. arguments[2], ["Content-Type"] = "application/x-www-form-urlencoded"},
        "grant_type=client_credentials")
    jwks = wrk.format("GET", "/.well-known/jwks.json")
    list = wrk.format("GET", arguments[3])
    math.randomseed(os.time())
end

function request()
    local chance = math.random(100)
    if chance <= 3 then return last - first < ALIVE and log_in() or with_session("/auth/log-out") end
    if chance <= 33 then return with_session("/auth/refresh") end
    if chance <= 53 then return credentials end
    if chance <= 65 then return jwks end
    if chance <= 80 and tag then return wrk.format("GET", "/.well-known/jwks.json", {["If-None-Match"] = tag}) end
    if os.time() > read_at + 5 then read_tokens() end
    if chance <= 95 then return me[math.random(#me)] end
    return list
end

-- The pause in whole milliseconds, which is right on average.
function delay()
    return math.floor(pause + math.random())
end

function response(status, headers, body)
    local token = string.match(body, '"refresh_token":"([^"]+)"')
    if token then
        append(token)
    elseif headers["ETag"] and string.sub(body, 1, 8) == '{"keys":' then
        tag = headers["ETag"]
    end
end
