// A microservice that verifies the access tokens of a token service, with go-oidc. GET /me answers the token's claims.
package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-oidc"
	"gopkg.in/square/go-jose.v2"
)

const (
	leeway        = 30 * time.Second
	maximumLength = 16 * 1024
)

var (
	issuer   = os.Getenv("ISSUER")
	audience = setting("AUDIENCE", issuer)
	refetch  = seconds(setting("REFETCH_SECONDS", "10"))

	keys        = &keySet{url: issuer + "/.well-known/jwks.json"}
	statusLists = &statusListCache{lists: map[string]*statusList{}}

	// go-oidc refuses expired tokens to the second and grants a minute at nbf; by a clock that is 30 s behind, both
	// become 30 s.
	verifier = oidc.NewVerifier(issuer, keys, &oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256},
		Now:                  func() time.Time { return time.Now().Add(-leeway) },
	})
)

// keySet holds the issuer's keys by kid. They are fetched again when their max-age is over, and at most once in
// REFETCH_SECONDS for a kid that isn't among them. (oidc.NewRemoteKeySet fetches for unknown kids only, and so knows a
// revoked key for ever.)
type keySet struct {
	url                 string
	mutex               sync.Mutex
	keys                map[string]*jose.JSONWebKey
	askedAt, freshUntil time.Time
}

func (set *keySet) find(kid string) (*jose.JSONWebKey, error) {
	set.mutex.Lock()
	defer set.mutex.Unlock()
	now := time.Now()
	if !now.Before(set.freshUntil) || (set.keys[kid] == nil && now.Sub(set.askedAt) >= refetch) {
		if err := set.fetch(now); err != nil {
			return nil, err
		}
	}
	if set.keys[kid] == nil {
		return nil, errors.New("an unknown kid")
	}
	return set.keys[kid], nil
}

var maxAge = regexp.MustCompile(`max-age=(\d+)`)

func (set *keySet) fetch(now time.Time) error {
	set.askedAt = now
	body, header, err := get(set.url)
	if err != nil {
		return err
	}
	var published struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &published); err != nil {
		return err
	}
	set.keys = map[string]*jose.JSONWebKey{}
	for _, text := range published.Keys {
		var key jose.JSONWebKey // a key of a kind that go-jose doesn't know is left out
		if json.Unmarshal(text, &key) == nil && (key.Algorithm == oidc.ES256 || key.Algorithm == oidc.RS256) {
			set.keys[key.KeyID] = &key
		}
	}
	set.freshUntil = now.Add(5 * time.Minute)
	if found := maxAge.FindStringSubmatch(header.Get("Cache-Control")); found != nil {
		set.freshUntil = now.Add(seconds(found[1]))
	}
	return nil
}

// VerifySignature is what go-oidc asks a key set for.
func (set *keySet) VerifySignature(_ context.Context, token string) ([]byte, error) {
	return set.verify(token, "at+jwt")
}

// verify gives the payload of a JWT that is of a type and signed with a key of the issuer. The key says which algorithm
// that is.
func (set *keySet) verify(text, typ string) ([]byte, error) {
	// go-jose skips white space and takes any spelling of the last bits; encoding/json takes bytes that are no UTF-8.
	for index, part := range strings.Split(text, ".") {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return nil, err
		}
		if index < 2 && !utf8.Valid(data) {
			return nil, errors.New("not UTF-8")
		}
	}
	jws, err := jose.ParseSigned(text)
	if err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Protected
	if header.ExtraHeaders[jose.HeaderType] != typ {
		return nil, errors.New("another type of token")
	}
	if _, isThere := header.ExtraHeaders["crit"]; isThere {
		return nil, errors.New("an extension that nobody here knows")
	}
	key, err := set.find(header.KeyID)
	if err != nil {
		return nil, err
	}
	if header.Algorithm != key.Algorithm {
		return nil, errors.New("another algorithm than the key's")
	}
	// Go 1.19 takes an RSA signature with the modulus added for the same.
	signature := new(big.Int).SetBytes(jws.Signatures[0].Signature)
	if public, isRSA := key.Key.(*rsa.PublicKey); isRSA && signature.Cmp(public.N) >= 0 {
		return nil, errors.New("a signature that is too large")
	}
	return jws.Verify(key)
}

// statusListCache knows which sessions have ended. A list is fetched again when its ttl is over, which counts from when
// it was signed.
type statusListCache struct {
	mutex sync.Mutex
	lists map[string]*statusList
}

type statusList struct {
	freshUntil time.Time
	bits       []byte
}

func (cache *statusListCache) saysEnded(uri string, index int) (bool, error) {
	if !strings.HasPrefix(uri, issuer+"/status-lists/") {
		return false, errors.New("a status list of somebody else")
	}
	cache.mutex.Lock()
	defer cache.mutex.Unlock()
	list := cache.lists[uri]
	if list == nil || !time.Now().Before(list.freshUntil) {
		fetched, err := fetchStatusList(uri)
		if err != nil {
			return false, err
		}
		list, cache.lists[uri] = fetched, fetched
	}
	if index < 0 || index/8 >= len(list.bits) {
		return false, errors.New("an index outside of its status list")
	}
	return list.bits[index/8]>>(index%8)&1 == 1, nil
}

func fetchStatusList(uri string) (*statusList, error) {
	text, _, err := get(uri)
	if err != nil {
		return nil, err
	}
	payload, err := keys.verify(string(text), "statuslist+jwt")
	if err != nil {
		return nil, err
	}
	var claims struct {
		Sub           string
		Iat, Exp, TTL int64
		StatusList    struct {
			Bits int
			Lst  string
		} `json:"status_list"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	now, signedAt := time.Now(), time.Unix(claims.Iat, 0)
	if claims.Sub != uri || claims.StatusList.Bits != 1 {
		return nil, errors.New("another status list")
	}
	if now.Add(-leeway).After(time.Unix(claims.Exp, 0)) {
		return nil, errors.New("a status list that has expired")
	}
	compressed, err := base64.RawURLEncoding.DecodeString(claims.StatusList.Lst)
	if err != nil {
		return nil, err
	}
	reader, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	bits, err := io.ReadAll(reader)
	if signedAt.After(now) {
		signedAt = now
	}
	return &statusList{signedAt.Add(time.Duration(claims.TTL) * time.Second), bits}, err
}

// verify gives the claims of an access token that is good for this service.
func verify(ctx context.Context, token string) (json.RawMessage, error) {
	if len(token) > maximumLength {
		return nil, errors.New("too long")
	}
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var claims json.RawMessage
	if err := verified.Claims(&claims); err != nil {
		return nil, err
	}
	if err := isAmbiguous(claims); err != nil {
		return nil, err
	}
	var more struct { // what go-oidc doesn't look at, and times, which it takes as texts, too, and reads in 64 bits
		Exp, Nbf, Iat float64
		Status        struct {
			StatusList struct {
				URI string
				Idx *int
			} `json:"status_list"`
		}
	}
	if err := json.Unmarshal(claims, &more); err != nil {
		return nil, err
	}
	if soon := float64(time.Now().Add(leeway).Unix()); more.Iat > soon || more.Nbf > soon {
		return nil, errors.New("not valid yet")
	}
	status := more.Status.StatusList
	if status.Idx == nil {
		return nil, errors.New("no status")
	}
	hasEnded, err := statusLists.saysEnded(status.URI, *status.Idx)
	if err == nil && hasEnded {
		err = errors.New("its session has ended")
	}
	return claims, err
}

// isAmbiguous refuses a claim such as "Exp": to encoding/json, and so to go-oidc, it is the same as "exp".
func isAmbiguous(claims json.RawMessage) error {
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(claims, &byName); err != nil {
		return err
	}
	for _, known := range []string{"iss", "aud", "exp", "nbf", "iat", "status"} {
		for name := range byName {
			if name != known && strings.EqualFold(name, known) {
				return fmt.Errorf("a claim named %q", name)
			}
		}
	}
	return nil
}

func me(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("Content-Type", "application/json")
	scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		refuse(response, "Bearer")
		return
	}
	claims, err := verify(request.Context(), token)
	if err != nil {
		log.Printf("refused: %v", err)
		refuse(response, `Bearer error="invalid_token"`)
		return
	}
	response.Write(claims)
}

func refuse(response http.ResponseWriter, challenge string) {
	response.Header().Set("WWW-Authenticate", challenge)
	response.WriteHeader(http.StatusUnauthorized)
	response.Write([]byte(`{"error": "invalid_token"}`))
}

var client = &http.Client{Timeout: 5 * time.Second}

func get(url string) ([]byte, http.Header, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	return body, response.Header, err
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func seconds(text string) time.Duration {
	number, _ := strconv.ParseFloat(text, 64)
	return time.Duration(number * float64(time.Second))
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/me", me)
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
