// A microservice that verifies the access tokens of a token service, with jose. GET /me answers the token's claims.
'use strict'

const { isUtf8 } = require('node:buffer')
const http = require('node:http')
const zlib = require('node:zlib')
const { createRemoteJWKSet, jwtVerify } = require('jose')

const { PORT, ISSUER, AUDIENCE = ISSUER, REFETCH_SECONDS = '10' } = process.env
const LEEWAY = 30
const MAXIMUM_LENGTH = 16 * 1024

// What holds for access tokens and status lists alike. jose finds the key by kid and alg, and in no other way.
const checks = { algorithms: ['ES256', 'RS256'], clockTolerance: LEEWAY }

// Fetched again after five minutes, the JWKS's max-age, and at most once in REFETCH_SECONDS for an unknown kid.
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), {
  cacheMaxAge: 300_000,
  cooldownDuration: REFETCH_SECONDS * 1000,
})

const refuse = (reason) => { throw new Error(reason) }

// The claims of a JWT that is signed with a key of the issuer.
async function verified(jwt, options) {
  // Node's decoders skip or replace what they don't know; here there is one spelling.
  jwt.split('.').forEach((part, index) => {
    const data = Buffer.from(part, 'base64url')
    if (data.toString('base64url') !== part) refuse('not base64url')
    if (index < 2 && !isUtf8(data)) refuse('not UTF-8')
  })
  const { payload, protectedHeader } = await jwtVerify(jwt, keys, { ...checks, ...options })
  if (typeof protectedHeader.kid !== 'string') refuse('no kid')
  if ('crit' in protectedHeader) refuse('an extension that nobody here knows')
  if (typeof payload.exp !== 'number') refuse('no exp')
  return payload
}

// Which sessions have ended. A list is fetched again when its ttl is over, which counts from when it was signed.
const statusLists = new Map()
const underWay = new Map()

async function saysEnded({ uri, idx }) {
  if (!uri.startsWith(`${ISSUER}/status-lists/`)) refuse('a status list of somebody else')
  let list = statusLists.get(uri)
  if (!list || Date.now() / 1000 >= list.freshUntil) {
    // However many wait for it, one request is under way.
    if (!underWay.has(uri)) underWay.set(uri, fetchStatusList(uri).finally(() => underWay.delete(uri)))
    list = await underWay.get(uri)
    statusLists.set(uri, list)
  }
  if (!Number.isInteger(idx) || idx < 0 || idx >= list.bits.length * 8) refuse('an index outside of its status list')
  return (list.bits[idx >> 3] >> (idx & 7) & 1) === 1
}

async function fetchStatusList(uri) {
  const response = await fetch(uri, { signal: AbortSignal.timeout(5000) })
  if (!response.ok) refuse(`${uri}: ${response.status}`)
  const { iat, ttl, status_list: list } = await verified(await response.text(), { typ: 'statuslist+jwt', subject: uri })
  if (list.bits !== 1) refuse('another kind of status list')
  const bits = zlib.inflateSync(Buffer.from(list.lst, 'base64url'))
  return { freshUntil: Math.min(iat, Date.now() / 1000) + ttl, bits }
}

// The claims of an access token that is good for this service.
async function verify(token) {
  if (token.length > MAXIMUM_LENGTH) refuse('too long')
  const claims = await verified(token, { typ: 'at+jwt', issuer: ISSUER, audience: AUDIENCE })
  if (!(claims.iat <= Date.now() / 1000 + LEEWAY)) refuse('issued in the future')
  if (await saysEnded(claims.status.status_list)) refuse('its session has ended')
  return claims
}

function answer(response, status, body, challenge) {
  const headers = { 'Content-Type': 'application/json', ...(challenge && { 'WWW-Authenticate': challenge }) }
  response.writeHead(status, headers)
  response.end(JSON.stringify(body))
}

// Node refuses a request whose headers are over 16 KiB; a token of that length is still to be answered.
const server = http.createServer({ maxHeaderSize: 64 * 1024 }, async (request, response) => {
  if (request.method !== 'GET' || request.url !== '/me') return answer(response, 404, { error: 'not_found' })
  const [, token] = /^bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? []
  if (!token) return answer(response, 401, { error: 'invalid_token' }, 'Bearer')
  try {
    answer(response, 200, await verify(token))
  } catch (error) {
    console.error(`refused: ${error.message}`)
    answer(response, 401, { error: 'invalid_token' }, 'Bearer error="invalid_token"')
  }
})
server.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`))
