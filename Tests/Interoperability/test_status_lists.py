"""Status lists, read by a decoder that nobody here wrote the other half of."""

import time

import pytest
import status_lists
import tokens
from endings import END_STRANGERS_TOO, END_THE_OTHER_TOO, OVER_HTTP, WAYS, Ended
from service import BAD_CONFIGURATION, Installation, assert_error, eventually
from status_lists import CachingVerifier, StatusList, me_accepts, reference, says_ended

STATUS_TTL = 1
#: How long a verifier that caches may go on accepting a token whose session was ended.
BAR = STATUS_TTL + 2


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """Its lists may be cached for the shortest time that there is."""
    installation = Installation(tmp_path_factory.mktemp("service"), status_ttl=f"{STATUS_TTL}s", algorithms="ES256")
    yield installation.serve()
    installation.close()


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory):
    """Its lists may be cached for as long as an access token is good."""
    installation = Installation(tmp_path_factory.mktemp("service"), status_ttl="10m", algorithms="ES256")
    for name in ["anna", "bert"]:
        installation.add_user(name)
    yield installation.serve()
    installation.close()


# MARK: The decoder


def test_the_decoder_reads_the_example_of_the_draft():
    """draft-ietf-oauth-status-list, section 4.1."""
    data = status_lists.decoded("eNrbuRgAAhcBXQ")
    bits = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert [status_lists.is_set(data, index) for index in range(len(data) * 8)] == [bit == 1 for bit in bits]


# MARK: The form


def test_an_access_token_names_its_bit(shared_server, user):
    token = shared_server.log_in(user)["access_token"]
    status = tokens.claims(token)["status"]
    assert set(status) == {"status_list"} and set(status["status_list"]) == {"idx", "uri"}
    uri, index = reference(token)
    assert type(index) is int and 0 <= index < status_lists.ENTRIES
    assert uri.startswith(shared_server.url + "/status-lists/")


def test_a_refreshed_token_names_the_same_bit(shared_server, user):
    pair = shared_server.log_in(user)
    again = shared_server.refresh(pair["refresh_token"])
    assert reference(again["access_token"]) == reference(pair["access_token"])


def test_a_list_has_the_claims_of_the_draft(shared_server, user):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    claims = StatusList(shared_server, uri).claims
    assert claims["sub"] == uri
    assert abs(claims["iat"] - time.time()) < 30
    assert claims["exp"] == claims["iat"] + 600
    assert claims["ttl"] == STATUS_TTL and type(claims["ttl"]) is int
    assert set(claims["status_list"]) == {"bits", "lst"}


def test_a_list_has_room_for_all_its_indexes(shared_server, user):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    assert len(StatusList(shared_server, uri).data) * 8 == status_lists.ENTRIES


def test_a_list_is_a_jws_of_its_own_type(shared_server, user):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    current = StatusList(shared_server, uri)
    assert current.response.headers["Content-Type"] == "application/statuslist+jwt"
    assert set(tokens.header(current.text)) == {"alg", "kid", "typ"}


def test_a_list_is_no_access_token(shared_server, user):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    assert not me_accepts(shared_server, StatusList(shared_server, uri).text)


def test_the_issuer_is_the_base_of_a_list_s_uri(make_installation):
    installation = make_installation(issuer="https://id.example/tenant", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    uri, _ = reference(server.log_in("anna")["access_token"])
    assert uri.startswith("https://id.example/tenant/status-lists/")
    name = uri.removeprefix("https://id.example/tenant/status-lists/")
    status_lists.verified(server.get(f"/status-lists/{name}").text, uri, server.jwks())


@pytest.mark.parametrize("id", ["", "none", "0", "-1", "..", "%00", "A" * 22, "x" * 5000, "a/b", "{uri}.json"])
def test_a_list_that_isn_t_there_is_404(shared_server, user, id):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    response = shared_server.get("/status-lists/" + id.replace("{uri}", uri.rsplit("/", 1)[1]))
    assert_error(response, 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nobody_writes_a_list_over_http(shared_server, user, method):
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    response = shared_server.request(method, status_lists.path(uri))
    assert_error(response, 405, "invalid_request")
    assert {"GET", "HEAD"} <= set(response.headers["Allow"].split(", ")) <= {"GET", "HEAD", "OPTIONS"}


def test_the_metadata_says_where_lists_are_or_nothing_untrue(shared_server):
    """RFC 8414 metadata of the draft: an aggregation endpoint, where one is named, has to answer."""
    metadata = shared_server.get("/.well-known/oauth-authorization-server").json()
    if aggregation := metadata.get("status_list_aggregation_endpoint"):
        assert shared_server.get(status_lists.path(aggregation)).status_code == 200


# MARK: Caching


def slow_list(server):
    uri, _ = reference(server.log_in("anna")["access_token"])
    return status_lists.path(uri)


def test_a_list_says_how_it_may_be_cached(slow_server):
    headers = slow_server.get(slow_list(slow_server)).headers
    assert headers["ETag"].startswith('"') and headers["ETag"].endswith('"') and len(headers["ETag"]) > 2
    directives = [each.strip() for each in headers["Cache-Control"].split(",")]
    (max_age,) = [int(each.removeprefix("max-age=")) for each in directives if each.startswith("max-age=")]
    assert "public" in directives and 0 < max_age <= 600


def test_a_shared_cache_keeps_a_list_no_longer_than_its_ttl(shared_server, user):
    """What is left of it when it is handed out, and not the whole `ttl` again."""
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    deadline = time.monotonic() + 2 * STATUS_TTL
    while time.monotonic() < deadline:
        current = StatusList(shared_server, uri)
        max_age = int(current.response.headers["Cache-Control"].rsplit("max-age=", 1)[1].split(",")[0])
        assert 0 <= max_age <= STATUS_TTL
        assert time.time() + max_age <= current.claims["iat"] + STATUS_TTL + 1
        time.sleep(0.2)


def test_any_origin_may_read_a_list(slow_server):
    path = slow_list(slow_server)
    for headers in [{}, {"Origin": "https://anywhere.example"}]:
        assert slow_server.get(path, headers=headers).headers["Access-Control-Allow-Origin"] == "*"


def test_a_list_that_hasn_t_changed_is_304(slow_server):
    path = slow_list(slow_server)
    tag = slow_server.get(path).headers["ETag"]
    for condition in [tag, f'"another", {tag}', f"W/{tag}", "*"]:
        response = slow_server.get(path, headers={"If-None-Match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == tag
        assert "max-age=" in response.headers["Cache-Control"]


def test_a_list_that_has_changed_is_sent_whole(slow_server):
    pair = slow_server.log_in("anna")
    uri, index = reference(pair["access_token"])
    tag = StatusList(slow_server, uri).response.headers["ETag"]
    assert slow_server.post("/auth/log-out", token=pair["access_token"]).status_code == 204

    def changed():
        response = slow_server.get(status_lists.path(uri), headers={"If-None-Match": tag})
        return response if response.status_code == 200 else None

    response = eventually(changed, within=2)
    assert response.headers["ETag"] != tag
    assert status_lists.is_set(
        status_lists.decoded(tokens.claims(response.text)["status_list"]["lst"]), index)


def test_head_says_what_get_would(slow_server):
    path = slow_list(slow_server)
    whole, head = slow_server.get(path), slow_server.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ["ETag", "Content-Type", "Content-Length"]:
        assert head.headers[name] == whole.headers[name]


def test_a_list_isn_t_made_anew_for_a_request(slow_server):
    path = slow_list(slow_server)
    answers = [slow_server.get(path) for _ in range(20)]
    assert len({(answer.headers["ETag"], answer.content) for answer in answers}) == 1


def test_a_log_in_doesn_t_change_a_list(slow_server):
    path = slow_list(slow_server)
    before = slow_server.get(path)
    for name in ["anna", "bert"] * 3:
        slow_server.log_in(name)
    assert slow_server.get(path).content == before.content


def test_an_old_list_is_made_anew(shared_server, user):
    """A verifier that comes when its copy is too old gets one that it may keep for a while."""
    uri, _ = reference(shared_server.log_in(user)["access_token"])
    first = StatusList(shared_server, uri)
    time.sleep(2 * STATUS_TTL)
    second = StatusList(shared_server, uri)
    assert second.claims["iat"] > first.claims["iat"]
    assert second.claims["iat"] + STATUS_TTL >= time.time() - 1


# MARK: Settings


@pytest.mark.parametrize("value", ["0", "0s", "-1s", "61m", "1d", "ten", "10"])
def test_a_status_ttl_that_is_none_stops_the_start(installation, value):
    settings = {"listen": "127.0.0.1:0", "access-token-lifetime": "1h", "status-ttl": value}
    assert "status-ttl" in installation.refused(BAD_CONFIGURATION, "serve", settings=settings)


def test_a_list_isn_t_kept_for_longer_than_a_token_is_good(installation):
    settings = {"listen": "127.0.0.1:0", "access-token-lifetime": "2m", "status-ttl": "121s"}
    line = installation.refused(BAD_CONFIGURATION, "serve", settings=settings)
    assert "status-ttl" in line and "access-token-lifetime" in line


# MARK: The bit


def test_the_bit_of_a_living_session_isn_t_set(shared_server, user):
    pair = shared_server.log_in(user)
    assert not says_ended(shared_server, pair["access_token"])
    shared_server.refresh(pair["refresh_token"])
    assert not says_ended(shared_server, pair["access_token"])


class Outcome:
    """What one ending did, as it is seen from outside."""

    def __init__(self, server, way):
        self.way = way
        name, stranger = (f"{who}-of-way-{list(WAYS).index(way)}" for who in ["user", "stranger"])
        for each in [name, stranger]:
            server.installation.add_user(each)
        strange = server.log_in(stranger)
        ended = Ended.log_in(server, name)
        old, new = ended.first["access_token"], ended.access_token
        verifier = CachingVerifier(server)
        self.was_good = not verifier.refuses(new) and me_accepts(server, new) and me_accepts(server, old)

        WAYS[way](ended)
        began = time.monotonic()
        #: Seconds until the token of now is refused; longer than the bar where it isn't.
        self.me_after = self._seconds(began, lambda: not me_accepts(server, new))
        self.verifier_after = self._seconds(began, lambda: verifier.refuses(new))
        self.me_refuses_the_old_one = not me_accepts(server, old)
        self.verifier_refuses_the_old_one = verifier.refuses(old)
        #: Which of the other two sessions are over.
        self.other_is_over, self.stranger_is_over = (
            {says_ended(server, pair["access_token"]), not me_accepts(server, pair["access_token"])}
            for pair in [ended.other, strange])

    @staticmethod
    def _seconds(began, is_refused):
        asked = time.monotonic()
        while not is_refused() and asked - began <= BAR:
            time.sleep(0.05)
            asked = time.monotonic()
        return asked - began


@pytest.fixture(scope="module", params=WAYS)
def outcome(request, shared_server):
    return Outcome(shared_server, request.param)


def test_a_token_is_good_until_its_session_ends(outcome):
    assert outcome.was_good


def test_a_verifier_that_caches_refuses_the_token_in_time(outcome):
    assert outcome.verifier_after <= BAR


def test_the_server_refuses_the_token_within_2_s_whoever_ended_it(outcome):
    assert outcome.me_after <= 2


def test_a_token_from_before_a_refresh_is_refused_as_well(outcome):
    assert outcome.me_refuses_the_old_one and outcome.verifier_refuses_the_old_one


def test_the_other_sessions_go_on_unless_it_ends_them_too(outcome):
    assert outcome.other_is_over == {outcome.way in END_THE_OTHER_TOO}
    assert outcome.stranger_is_over == {outcome.way in END_STRANGERS_TOO}


@pytest.mark.parametrize("way", OVER_HTTP)
def test_the_next_request_after_the_answer_is_refused(shared_server, user, way):
    ended = Ended.log_in(shared_server, user)
    OVER_HTTP[way](ended)
    assert not me_accepts(shared_server, ended.access_token)


def test_a_session_that_is_ended_again_stays_ended(shared_server, user):
    ended = Ended.log_in(shared_server, user)
    for way in ["a log-out by the access token", "sessions revoke --user", "users disable"]:
        WAYS[way](ended)
    eventually(lambda: says_ended(shared_server, ended.access_token), within=BAR)
    assert shared_server.post("/auth/log-out", {"refresh_token": ended.pair["refresh_token"]}).status_code == 204
    assert says_ended(shared_server, ended.access_token)


def test_a_session_ended_by_a_command_without_a_server_is_ended_in_the_next(make_installation):
    installation = make_installation(issuer="https://id.example", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    tokens_of = {command: server.log_in("anna")["access_token"] for command in ["first", "second"]}
    assert server.stop() == 0
    installation.run("sessions", "revoke", "--", tokens.claims(tokens_of["first"])["sid"])
    server = installation.serve()
    assert says_ended(server, tokens_of["first"]) and not me_accepts(server, tokens_of["first"])
    assert not says_ended(server, tokens_of["second"]) and me_accepts(server, tokens_of["second"])


# MARK: Indexes


def test_indexes_tell_nothing(shared_server, new_user):
    """Thirty log-ins in a row have thirty bits, in no order, and far apart."""
    name = new_user()
    references = [reference(shared_server.log_in(name)["access_token"]) for _ in range(30)]
    assert len(set(references)) == 30
    indexes = [index for _, index in references]
    assert indexes not in [sorted(indexes), sorted(indexes, reverse=True)]
    steps = {after - before for before, after in zip(indexes, indexes[1:])}
    assert len(steps) > 20


def test_a_restart_gives_nobody_the_bit_of_another(make_installation):
    """Also where the block of indexes at hand was lost with the process."""
    installation = make_installation(issuer="https://id.example", algorithms="ES256")
    installation.add_user("anna")
    references = []
    for _ in range(4):
        server = installation.serve()
        references += [reference(server.log_in("anna")["access_token"]) for _ in range(5)]
        server.kill()
    assert len(set(references)) == len(references)


def test_two_servers_give_nobody_the_bit_of_another(make_installation):
    installation = make_installation(issuer="https://id.example", algorithms="ES256")
    first, second = installation.serve(), installation.serve()
    installation.add_user("anna")
    references = [reference(server.log_in("anna")["access_token"]) for _ in range(15) for server in [first, second]]
    assert len(set(references)) == 30


def test_a_server_refuses_within_2_s_what_another_ended(make_installation):
    installation = make_installation(issuer="https://id.example", algorithms="ES256")
    first, second = installation.serve(), installation.serve()
    installation.add_user("anna")
    token = first.log_in("anna")["access_token"]
    assert me_accepts(second, token)
    assert first.post("/auth/log-out", token=token).status_code == 204
    eventually(lambda: not me_accepts(second, token), within=2)
    eventually(lambda: says_ended(second, token), within=2)


# MARK: Keys and restarts


def test_a_list_is_signed_again_when_its_key_is_revoked(make_installation):
    installation = make_installation(status_ttl="10m", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    uri, index = reference(pair["access_token"])
    before = StatusList(server, uri)
    kid = tokens.kid(before.text)
    installation.run("keys", "revoke", "--reason", "test", "--", kid)
    eventually(lambda: kid not in server.published_kids(), within=3)

    def signed_again():
        text = server.get(status_lists.path(uri)).text
        return tokens.kid(text) != kid

    eventually(signed_again, within=2)
    after = StatusList(server, uri)
    assert after.response.headers["ETag"] != before.response.headers["ETag"]
    assert not after.says_ended(index)


def test_a_list_follows_a_rotation(make_installation):
    """Whoever fetches the JWKS and a list finds the list's key in it, before, at and after a rotation."""
    installation = make_installation(status_ttl="1s", algorithms="ES256,RS256")
    server = installation.serve()
    installation.add_user("anna")
    pair = server.log_in("anna")
    uri, _ = reference(pair["access_token"])
    before = tokens.kid(StatusList(server, uri).text)
    installation.run("keys", "rotate", "--immediately")
    eventually(lambda: tokens.kid(StatusList(server, uri).text) != before, within=10)
    assert not says_ended(server, pair["access_token"])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_bit_stays_set_after_a_restart(make_installation, end):
    installation = make_installation(issuer="https://id.example", algorithms="ES256")
    server = installation.serve()
    installation.add_user("anna")
    ended, living = (server.log_in("anna")["access_token"] for _ in range(2))
    assert server.post("/auth/log-out", token=ended).status_code == 204
    getattr(server, end)()
    server = installation.serve()
    assert says_ended(server, ended)
    assert not says_ended(server, living)
