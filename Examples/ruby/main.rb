# A microservice that verifies the access tokens of a token service, with ruby-jwt. GET /me answers the token's claims.

require 'base64'
require 'json'
require 'jwt'
require 'net/http'
require 'webrick'
require 'zlib'

ISSUER = ENV.fetch('ISSUER')
AUDIENCE = ENV.fetch('AUDIENCE', ISSUER)
REFETCH_SECONDS = ENV.fetch('REFETCH_SECONDS', '10').to_f
ALGORITHMS = %w[ES256 RS256].freeze
LEEWAY = 30
MAXIMUM_LENGTH = 16 * 1024

# Why a token is refused: for the log, the client isn't told.
class Refused < StandardError; end

def refuse(reason) = raise(Refused, reason)

# The bytes of base64url text. Ruby's decoders take several spellings; here there is one.
def decoded(text)
  data = Base64.urlsafe_decode64(text)
  Base64.urlsafe_encode64(data, padding: false) == text ? data : refuse('not base64url')
end

# The JSON object of a text. Ruby's parser passes over comments and over bytes that are no UTF-8.
def parsed(data)
  text = data.force_encoding('UTF-8')
  refuse('not UTF-8') unless text.valid_encoding?
  refuse('a comment') if text.gsub(/"(?:\\.|[^"\\])*"/, '').include?('/')
  JSON.parse(text)
end

def get(url)
  uri = URI(url)
  options = { use_ssl: uri.scheme == 'https', open_timeout: 5, read_timeout: 5 }
  response = Net::HTTP.start(uri.host, uri.port, **options) { |http| http.get(uri.request_uri) }
  response.is_a?(Net::HTTPOK) ? response : refuse("#{url}: #{response.code}")
end

# The issuer's keys by kid. They are fetched again when their max-age is over, and at most once in REFETCH_SECONDS for a
# kid that isn't among them, however many such tokens come.
class Keys
  Key = Struct.new(:key, :algorithm)

  def initialize
    @keys = {}
    @asked_at = @fresh_until = -Float::INFINITY
    @mutex = Mutex.new
  end

  def find(kid)
    @mutex.synchronize do
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      fetch(now) if now >= @fresh_until || (!@keys.key?(kid) && now >= @asked_at + REFETCH_SECONDS)
      @keys[kid] || refuse('an unknown kid')
    end
  end

  private

  def fetch(now)
    @asked_at = now
    response = get("#{ISSUER}/.well-known/jwks.json")
    published = JSON.parse(response.body)['keys'].select { |jwk| ALGORITHMS.include?(jwk['alg']) }
    @keys = published.to_h { |jwk| [jwk['kid'], Key.new(JWT::JWK.import(jwk).keypair, jwk['alg'])] }
    @fresh_until = now + (response['Cache-Control'].to_s[/max-age=(\d+)/, 1] || 300).to_i
  end
end

# Which sessions have ended. A list is fetched again when its ttl is over, which counts from when it was signed.
class StatusLists
  def initialize
    @lists = {}
    @mutex = Mutex.new
  end

  def says_ended?(uri, index)
    refuse('a status list of somebody else') unless uri.start_with?("#{ISSUER}/status-lists/")
    bits = @mutex.synchronize do
      fresh_until, = @lists[uri]
      @lists[uri] = fetch(uri) if fresh_until.nil? || Time.now.to_f >= fresh_until
      @lists[uri].last
    end
    refuse('an index outside of its status list') unless (0...bits.bytesize * 8).cover?(index)
    bits.getbyte(index / 8)[index % 8] == 1
  end

  private

  def fetch(uri)
    claims = verified(get(uri).body, 'statuslist+jwt', required_claims: %w[sub iat exp])
    list = claims['status_list']
    refuse('another status list') unless claims['sub'] == uri && list['bits'] == 1
    bits = Zlib::Inflate.inflate(decoded(list['lst']))
    [[claims['iat'], Time.now.to_f].min + claims['ttl'], bits]
  end
end

KEYS = Keys.new
STATUS_LISTS = StatusLists.new

# The claims of a JWT that is of a type and signed with a key of the issuer. The key says which algorithm.
def verified(text, typ, **checks)
  header, payload, signature, *rest = text.split('.', -1).map { |part| decoded(part) }
  refuse('not three parts') unless rest.empty?
  header = parsed(header)
  parsed(payload)
  refuse('another type of token') unless header['typ'] == typ
  refuse('an extension that nobody here knows') if header.key?('crit')
  key = KEYS.find(header['kid'])
  refuse("another algorithm than the key's") unless header['alg'] == key.algorithm
  # ruby-jwt takes whatever follows r for s, with zeros before it.
  refuse('no ES256 signature') if key.algorithm == 'ES256' && signature.bytesize != 64
  claims, = JWT.decode(text, key.key, true, algorithm: key.algorithm, leeway: LEEWAY, **checks)
  # ruby-jwt takes texts for times, and no clock may be behind the issuer's at iat.
  refuse('a time that is no number') unless %w[iat exp].all? { |name| claims[name].is_a?(Numeric) }
  refuse('issued in the future') if claims['iat'] > Time.now.to_i + LEEWAY
  claims
end

# The claims of an access token that is good for this service.
def verify(token)
  refuse('too long') if token.bytesize > MAXIMUM_LENGTH
  claims = verified(token, 'at+jwt', iss: ISSUER, verify_iss: true, aud: AUDIENCE, verify_aud: true,
                                     required_claims: %w[iss aud sub iat exp])
  status = claims['status']['status_list']
  refuse('its session has ended') if STATUS_LISTS.says_ended?(status['uri'], status['idx'])
  claims
end

def answer(response, status, body, challenge = nil)
  response.status = status
  response['Content-Type'] = 'application/json'
  response['WWW-Authenticate'] = challenge if challenge
  response.body = JSON.generate(body)
end

server = WEBrick::HTTPServer.new(
  BindAddress: '127.0.0.1', Port: ENV.fetch('PORT').to_i, AccessLog: [],
  Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN)
)
server.mount_proc('/me') do |request, response|
  token = request['Authorization'].to_s[/\Abearer (.+)\z/i, 1]
  next answer(response, 401, { error: 'invalid_token' }, 'Bearer') unless token

  answer(response, 200, verify(token))
rescue StandardError => e # a token that can't be verified is refused, whatever the reason
  server.logger.warn("refused: #{e.message}")
  answer(response, 401, { error: 'invalid_token' }, 'Bearer error="invalid_token"')
end
%w[INT TERM].each { |name| trap(name) { server.shutdown } }
$stdout.sync = true
puts "listening on http://127.0.0.1:#{server.config[:Port]}"
server.start
