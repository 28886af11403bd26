"""Many nodes over one PostgreSQL: what one does the others know, whatever becomes of the server or of a node."""

import contextlib
import datetime
import json
import subprocess
import time

import pytest
import requests
import tokens
from mixed_load import Load, is_unavailable, lost_sessions
from oauth import ASSERTION_TYPE, TOKEN, Client, KeyClient, ask, is_accepted
from postgresql import (
    NODE, URL_PASSWORD, USER, Cluster, PgBouncer, PostgreSQL, assert_unavailable, delay, free_port)
from service import (
    BAD_CONFIGURATION, FAILED, PASSWORD, PATIENCE, UNAVAILABLE, USAGE, assert_error, at_once,
    eventually)
from status_lists import me_accepts, reference, says_ended

#: What a statement may take, 10 s, and some more.
BOUND = 12


@pytest.fixture(scope="module")
def postgresql():
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(scope="module")
def pgbouncer(postgresql):
    pooler = PgBouncer(postgresql)
    yield pooler
    pooler.close()


@pytest.fixture
def make_cluster(tmp_path):
    """Makes clusters, and ends their nodes after the test."""
    made = []

    def make(url, **settings):
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        made.append(Cluster(folder, url, **settings))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(make_cluster, postgresql):
    return make_cluster(postgresql.url(postgresql.new_database()))


@pytest.fixture(scope="module")
def pair_of_nodes(postgresql, tmp_path_factory):
    """Two nodes for all tests that leave nothing behind but users of their own, or keys."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), postgresql.url(postgresql.new_database()))
    cluster.add_user()
    yield cluster.nodes()
    cluster.close()


def log_out(node, pair):
    response = node.post("/auth/log-out", token=pair["access_token"])
    assert response.status_code == 204, response.text


def report(what, seconds):
    """For who looks on, with pytest -rP."""
    print(f"{what}: {seconds * 1000:.0f} ms")


# MARK: One database


def test_a_token_of_one_node_is_good_at_the_other(pair_of_nodes):
    one, other = pair_of_nodes
    for node, elsewhere in [(one, other), (other, one)]:
        pair = node.log_in("anna")
        assert me_accepts(elsewhere, pair["access_token"])
        assert me_accepts(one, elsewhere.refresh(pair["refresh_token"])["access_token"])
    assert one.published_kids() == other.published_kids()


def test_a_log_out_at_one_node_is_known_at_the_other_at_once(pair_of_nodes):
    one, other = pair_of_nodes
    waits = []
    for _ in range(10):
        pair = one.log_in("anna")
        assert me_accepts(other, pair["access_token"])
        log_out(one, pair)
        waits.append(delay(lambda: not me_accepts(other, pair["access_token"])))
        assert other.refuses(pair["refresh_token"])
    eventually(lambda: says_ended(other, pair["access_token"]), within=2)
    report("the longest of 10 log-outs took to the other node", max(waits))


def test_a_token_of_a_list_that_was_just_begun_is_good_at_the_other_node(cluster):
    """Also for those who ask while the other node is looking for the list."""
    one, other = cluster.nodes()
    cluster.add_user()
    token = one.log_in("anna")["access_token"]
    assert all(at_once(*[lambda: me_accepts(other, token)] * 8))


def test_a_session_goes_on_at_either_node(pair_of_nodes):
    pair = pair_of_nodes[0].log_in("anna")
    for count in range(10):
        pair = pair_of_nodes[count % 2].refresh(pair["refresh_token"])
        assert all(me_accepts(node, pair["access_token"]) for node in pair_of_nodes)


def test_refreshes_at_once_at_both_nodes_give_one_successor(pair_of_nodes):
    pair = pair_of_nodes[0].log_in("anna")
    for _ in range(5):
        pairs = at_once(*[lambda node=node: node.refresh(pair["refresh_token"]) for node in pair_of_nodes * 4])
        assert len({each["refresh_token"] for each in pairs}) == 1
        assert all(me_accepts(node, each["access_token"]) for node in pair_of_nodes for each in pairs[:2])
        pair = pairs[0]


def test_a_reuse_at_the_other_node_ends_the_session_at_both(pair_of_nodes):
    one, other = pair_of_nodes
    first = one.log_in("anna")
    last = one.refresh(one.refresh(first["refresh_token"])["refresh_token"])
    assert other.refuses(first["refresh_token"])
    assert one.refuses(last["refresh_token"])
    eventually(lambda: not any(me_accepts(node, last["access_token"]) for node in pair_of_nodes), within=2)


def test_changes_of_one_user_from_everywhere_are_in_nobody_s_way(pair_of_nodes):
    """They lock the same rows: a log-in succeeds, and nothing else fails but by what was ended before."""
    installation = pair_of_nodes[0].installation
    installation.add_user("boris")
    answers = []

    def live(number):
        node = pair_of_nodes[number % 2]
        for _ in range(6):
            pair = node.log_in("boris")
            answers.append(node.post("/auth/refresh", {"refresh_token": pair["refresh_token"]}))
            path = "/auth/log-out-everywhere" if number % 3 == 0 else "/auth/log-out"
            answers.append(node.post(path, token=pair["access_token"]))

    at_once(
        *[lambda number=number: live(number) for number in range(8)],
        lambda: [installation.run("sessions", "revoke", "--user", "boris") for _ in range(3)],
        lambda: [installation.run("users", "set-claims", "boris", "--claim", f"n={number}") for number in range(3)])
    assert {response.status_code for response in answers} <= {200, 204, 401}


def test_a_rotation_and_a_revocation_are_seen_by_both_nodes(cluster):
    nodes = cluster.nodes()
    cluster.add_user()

    def signs_everywhere(kid):
        return all(tokens.kid(node.log_in("anna")["access_token"]) == kid for node in nodes)

    waits = []
    for command in ["rotate", "revoke"]:
        (old,) = [key["kid"] for key in cluster.operator.listed_keys() if key["state"] == "active"]
        pair = nodes[0].log_in("anna")
        arguments = ["--immediately"] if command == "rotate" else ["--reason", "test", "--", old]
        cluster.operator.run("keys", command, *arguments)
        (new,) = [key["kid"] for key in cluster.operator.listed_keys() if key["state"] == "active"]
        assert new != old
        waits.append(delay(lambda: signs_everywhere(new)))
        assert {old in node.published_kids() for node in nodes} == {command == "rotate"}
        assert {me_accepts(node, pair["access_token"]) for node in nodes} == {command == "rotate"}
    report("a rotation was seen by both nodes after", waits[0])
    report("a revocation was seen by both nodes after", waits[1])


def test_two_rotations_at_once_are_well_ordered(cluster):
    cluster.operator.run("keys", "rotate")
    processes = [
        cluster.installation().popen("keys", "rotate", "--format", "json", stdout=subprocess.PIPE) for _ in range(2)]
    announced = set()
    for process in processes:
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        announced |= {key["kid"] for key in json.loads(output) if key["retires_at"] is None}
    reign = sorted(cluster.operator.listed_keys(), key=lambda key: datetime.datetime.fromisoformat(key["activates_at"]))
    assert [key["state"] for key in reign] == ["active", "pending", "pending"]
    assert announced == {key["kid"] for key in reign[1:]}
    assert [key["retires_at"] for key in reign] == [reign[1]["activates_at"], reign[2]["activates_at"], None]
    assert reign[1]["activates_at"] != reign[2]["activates_at"]


def test_first_starts_at_once_make_one_key(cluster):
    """Each finds an empty database: one makes the tables, and one the key."""
    nodes = at_once(*[installation.serve for installation in [cluster.installation() for _ in range(4)]])
    (key,) = cluster.operator.listed_keys()
    assert all(node.published_kids() == {key["kid"]} for node in nodes)


def test_a_client_that_is_added_and_removed_is_so_on_both_nodes(pair_of_nodes):
    client = Client(pair_of_nodes[0].installation, "reports", "--scope", "reports:read")
    assert all(is_accepted(node, client) for node in pair_of_nodes)
    pair_of_nodes[0].installation.run("clients", "remove", client.id)
    eventually(lambda: not any(is_accepted(node, client) for node in pair_of_nodes), within=2)


def test_an_assertion_is_taken_once_by_all_nodes(pair_of_nodes):
    client = KeyClient(pair_of_nodes[0].installation, "jobs", "--scope", "reports:read")
    assertion = {
        "grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client.assertion(pair_of_nodes[0])}
    outcomes = [response.status_code for response in at_once(
        *[lambda node=node: ask(node, TOKEN, **assertion) for node in pair_of_nodes * 4])]
    assert sorted(outcomes) == [200] + [401] * 7


def test_failed_log_ins_of_an_account_are_counted_by_all_nodes(cluster):
    one, other = cluster.nodes(log_in_rate="3/m")
    cluster.add_user()
    wrong = {"username": "anna", "password": "wrong"}
    assert [node.post("/auth/log-in", wrong).status_code for node in [one, other, one]] == [401] * 3
    for node in [other, one]:
        response = node.post("/auth/log-in", wrong)
        assert response.status_code == 429 and int(response.headers["Retry-After"]) >= 1


def test_a_user_who_is_disabled_is_so_at_both_nodes(pair_of_nodes):
    installation = pair_of_nodes[0].installation
    installation.add_user("clara")
    pairs = [node.log_in("clara") for node in pair_of_nodes]
    installation.run("users", "disable", "clara")
    eventually(
        lambda: not any(me_accepts(node, pair["access_token"]) for node in pair_of_nodes for pair in pairs), within=2)
    for node in pair_of_nodes:
        assert all(node.refuses(pair["refresh_token"]) for pair in pairs)
        assert_error(node.post("/auth/log-in", {"username": "clara", "password": PASSWORD}), 401, "invalid_grant")


def test_a_master_secret_that_is_changed_node_by_node_logs_nobody_out(cluster, tmp_path):
    """First every node learns the new line, then every node writes under it; at no time do all have the same file."""
    cluster.add_user()
    old, new = cluster.secret.read_text(), "n" * 64 + "\n"
    pair = cluster.node().log_in("anna")
    secret_files = iter(tmp_path / f"secret-{number}" for number in range(10))
    for lines in [(old + new, old), (new + old, old + new), (new + old, new + old)]:
        files = [next(secret_files) for _ in lines]
        for file, text in zip(files, lines):
            file.touch(mode=0o600)
            file.write_text(text)
        for node in [cluster.node(master_secret_file=str(file)) for file in files] * 2:
            pair = node.refresh(pair["refresh_token"])
            assert me_accepts(node, pair["access_token"])


# MARK: Without a notification


def report_log_outs_by_polling(one, other):
    """Logs out at one node, and waits until the other knows."""
    waits = []
    for _ in range(3):
        pair = one.log_in("anna")
        assert me_accepts(other, pair["access_token"])
        log_out(one, pair)
        waits.append(delay(lambda: not me_accepts(other, pair["access_token"])))
    report("the longest of 3 log-outs took by polling", max(waits))


def test_a_change_is_known_within_two_seconds_though_no_notification_comes(cluster):
    nowhere = f"postgres://{USER}@127.0.0.1:{free_port()}/none"
    one, other = cluster.nodes(database_listen=nowhere)
    cluster.add_user()
    report_log_outs_by_polling(one, other)
    cluster.operator.run("keys", "rotate")
    kids = {key["kid"] for key in cluster.operator.listed_keys()}
    report("a rotation took by polling", delay(lambda: one.published_kids() == other.published_kids() == kids))


# MARK: A server that is away


def is_ready(node):
    return node.get("/health/ready").status_code == 200


def statuses(node, pair, requests=20):
    """What a token that may be used again and again for a while is answered, which several connections do in turn."""
    return [
        node.post("/auth/refresh", {"refresh_token": pair["refresh_token"]}).status_code for _ in range(requests)]


def is_well(node, pair):
    """A node answers everything again."""
    return is_ready(node) and set(statuses(node, pair)) == {200}


def test_without_the_server_the_nodes_verify_on_and_afterwards_nothing_is_lost(cluster, postgresql):
    nodes = cluster.nodes()
    cluster.add_user()
    lives = [nodes[0].log_in("anna") for _ in range(4)]
    ended = [nodes[0].log_in("anna") for _ in range(4)]
    for pair in ended:
        log_out(nodes[1], pair)
    pids = [node.process.pid for node in nodes]
    eventually(lambda: not any(me_accepts(node, pair["access_token"]) for node in nodes for pair in ended), within=2)

    postgresql.stop()
    try:
        took = []
        for node in nodes:
            body = {"username": "anna", "password": "wrong"}
            for path, body in [
                ("/auth/log-in", body), ("/auth/refresh", {"refresh_token": lives[0]["refresh_token"]}),
                ("/auth/log-out", {"refresh_token": lives[0]["refresh_token"]})] * 2:
                began = time.monotonic()
                assert_unavailable(node.post(path, body))
                took.append(time.monotonic() - began)
            # All connections are busy finding out, and others wait for them.
            began = time.monotonic()
            for response in at_once(*[
                    lambda: node.post("/auth/refresh", {"refresh_token": lives[0]["refresh_token"]})] * 40):
                assert_unavailable(response)
            took.append(time.monotonic() - began)
            assert all(me_accepts(node, pair["access_token"]) for pair in lives)
            assert not any(me_accepts(node, pair["access_token"]) for pair in ended)
            assert node.published_kids()
            assert node.get("/health/live").status_code == 200
            assert node.get("/health/ready").status_code == 503
        report("the slowest 503 came after", max(took))
        assert max(took) < 6
    finally:
        postgresql.start()

    report("every request is answered well again after", delay(
        lambda: all(is_well(node, lives[0]) for node in nodes), within=5))
    for node in nodes:
        node.log_in("anna")
        assert [node.process.poll(), node.process.pid in pids] == [None, True]
        assert all(node.refuses(pair["refresh_token"]) for pair in ended)
        assert not any(me_accepts(node, pair["access_token"]) for pair in ended)
        lives = [node.refresh(pair["refresh_token"]) for pair in lives]


# Not strict: now and then all connections happen to come back at the same time.
def test_a_node_that_says_that_it_is_ready_refuses_nothing(cluster, postgresql):
    node = cluster.node()
    cluster.add_user()
    pair = node.log_in("anna")
    assert set(at_once(*[lambda: statuses(node, pair, 1)[0]] * 40)) == {200}
    postgresql.stop()
    try:
        # One now and then, so that each connection finds out at another time.
        for _ in range(25):
            assert statuses(node, pair, 1) == [503]
            time.sleep(0.1)
    finally:
        postgresql.start()
    eventually(lambda: is_ready(node), within=5)
    assert set(statuses(node, pair)) == {200}


def test_where_the_server_has_fewer_connections_to_give_they_have_to_do(cluster, postgresql):
    """A server of which others have taken the rest, or a role with a limit."""
    cluster.add_user()
    name = cluster.settings["database"].rpartition("/")[2]
    postgresql.query("CREATE ROLE few LOGIN")
    postgresql.query("GRANT ALL ON SCHEMA public TO few; GRANT ALL ON ALL TABLES IN SCHEMA public TO few", name)
    node = cluster.node(database=cluster.settings["database"].replace(f"{USER}@", "few@"))
    pair = node.log_in("anna")
    postgresql.query("ALTER ROLE few CONNECTION LIMIT 4")
    postgresql.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'")
    eventually(lambda: is_ready(node), within=5)
    answers = at_once(*[lambda: statuses(node, pair, 5)] * 8)
    assert set(statuses(node, pair)) == {200}
    assert all(set(each) == {200} for each in answers)


def test_a_server_that_says_nothing_keeps_nobody_waiting(cluster, postgresql):
    """Its machine is paused, or its disk: the connections are there."""
    node = cluster.node()
    cluster.add_user()
    pair = node.log_in("anna")
    assert set(at_once(*[lambda: statuses(node, pair, 1)[0]] * 16)) == {200}
    with postgresql.frozen(cluster.settings["database"].rpartition("/")[2]) as pids:
        assert len(pids) > 1
        assert_all_unavailable_in_time(node, pair)
    eventually(lambda: is_well(node, pair), within=5)


def assert_all_unavailable_in_time(node, pair):
    """Those that wait for a connection, and those that have one."""

    def ask():
        began = time.monotonic()
        try:
            body = {"refresh_token": pair["refresh_token"]}
            response = requests.post(node.url + "/auth/refresh", json=body, timeout=BOUND)
        except requests.ReadTimeout:
            return None
        # On a connection that was made anew it may have gone well.
        if response.status_code != 200:
            assert_unavailable(response)
        return time.monotonic() - began

    took = at_once(*[ask] * 16)
    print(f"{took.count(None)} of {len(took)} had no answer within {BOUND} s")
    assert None not in took
    report("16 times 503 came after", max(took))


def test_a_connection_that_the_server_ends_is_replaced_unseen(cluster, postgresql):
    node = cluster.node()
    cluster.add_user()
    pair = node.log_in("anna")
    assert set(at_once(*[lambda: statuses(node, pair, 1)[0]] * 16)) == {200}
    name = cluster.settings["database"].rpartition("/")[2]
    ended = postgresql.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert len(ended) > 1
    assert set(statuses(node, pair)) == {200}


def test_a_node_ends_in_order_while_the_server_is_away(cluster, postgresql):
    node = cluster.node()
    cluster.add_user()
    postgresql.stop()
    try:
        assert_unavailable(node.post("/auth/log-in", {"username": "anna", "password": PASSWORD}))
        began = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - began < 5
    finally:
        postgresql.start()


# MARK: Under load


def assert_only_unavailable(load):
    assert not load.problems, load.problems
    wrong = [failure for failure in load.failures if not is_unavailable(failure)]
    assert not wrong, wrong[:3]


def assert_sessions_go_on(load, nodes):
    assert load.sessions and not lost_sessions(load, nodes)


def tell(load):
    print(
        f"{len(load.answers)} answers, {len(load.sessions)} sessions, {len(load.failures)} times 503, "
        f"{len(load.broken)} connections broken, the slowest answer after {load.longest:.2f} s")


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restart_of_the_server_under_load_loses_nothing(cluster, postgresql, mode):
    nodes = cluster.nodes()
    cluster.add_user()
    with Load(nodes) as load:
        time.sleep(1)
        postgresql.restart(mode)
        began = time.time()
        eventually(lambda: load.answers and load.answers[-1].ended > began, within=5)
        report("the first good answer after the return came after", load.answers[-1].ended - began)
        time.sleep(1)
        if mode == "immediate":
            postgresql.stop(mode)
            time.sleep(1)
            postgresql.start()
            eventually(lambda: all(map(is_ready, nodes)), within=5)
            time.sleep(1)
    tell(load)
    assert_only_unavailable(load)
    assert load.longest < 6
    assert [node.process.poll() for node in nodes] == [None, None]
    assert_sessions_go_on(load, nodes)


def test_a_node_that_is_killed_under_load_takes_no_session_along(cluster):
    nodes = cluster.nodes()
    cluster.add_user()
    with Load(nodes) as load:
        time.sleep(1)
        nodes[1].kill()
        time.sleep(1)
    tell(load)
    assert load.broken and not load.failures
    assert_only_unavailable(load)
    assert_sessions_go_on(load, nodes[:1])


# MARK: PgBouncer


@pytest.mark.parametrize("settings", [{}, {"database_prepared_statements": "off"}], ids=["by-itself", "as-told"])
def test_through_a_pooler_that_knows_no_prepared_statements_everything_works(
        make_cluster, postgresql, pgbouncer, settings):
    database = postgresql.new_database()
    cluster = make_cluster(pgbouncer.url(database), database_listen=postgresql.url(database), **settings)
    nodes = cluster.nodes()
    cluster.add_user()
    client = Client(cluster.operator, "reports", "--scope", "reports:read")
    with Load(nodes, users=["anna"] * 8) as load:
        time.sleep(2)
    tell(load)
    assert not load.failures and not load.problems, [load.failures[:3], load.problems]
    assert_sessions_go_on(load, nodes)

    pair = nodes[0].log_in("anna")
    pairs = at_once(*[lambda node=node: node.refresh(pair["refresh_token"]) for node in nodes * 8])
    assert len({each["refresh_token"] for each in pairs}) == 1
    log_out(nodes[0], pair)
    report("a log-out took to the other node", delay(lambda: not me_accepts(nodes[1], pair["access_token"])))
    assert all(is_accepted(node, client) for node in nodes)
    cluster.operator.run("keys", "rotate", "--immediately")
    assert len(cluster.operator.listed_keys()) == 2
    eventually(lambda: nodes[0].published_kids() == nodes[1].published_kids(), within=2)
    assert not [line for node in nodes for line in node.log.splitlines() if "error" in line.lower()]


def test_through_a_pooler_no_transaction_s_settings_are_left_to_the_next(make_cluster, postgresql, pgbouncer):
    database = postgresql.new_database()
    postgresql.query(f"ALTER DATABASE {database} SET synchronous_commit = off")
    node = make_cluster(pgbouncer.url(database), database_listen=postgresql.url(database)).node()
    node.installation.add_user("anna")
    pair = node.log_in("anna")
    assert set(at_once(*[lambda: statuses(node, pair, 5)] * 8)[0]) == {200}
    shown = subprocess.run(
        [postgresql.programs / "psql", "-X", "-At", "-d", pgbouncer.url(database)], capture_output=True, text=True,
        input="SHOW statement_timeout; SHOW synchronous_commit;\n" * 20, check=True, timeout=PATIENCE)
    assert shown.stdout.split() == ["0", "off"] * 20


def test_through_a_pooler_that_can_t_tell_of_changes_they_are_polled_for(make_cluster, postgresql, pgbouncer):
    """LISTEN goes to a connection that the next one may get."""
    cluster = make_cluster(pgbouncer.url(postgresql.new_database()))
    one, other = nodes = cluster.nodes()
    cluster.add_user()
    report_log_outs_by_polling(one, other)
    assert not [line for node in nodes for line in node.log.splitlines() if "error" in line.lower()]


def test_behind_a_pooler_an_absent_server_keeps_nobody_waiting(make_cluster, postgresql, pgbouncer):
    """The pooler takes the connections nevertheless, and for 2 min keeps what they ask."""
    cluster = make_cluster(pgbouncer.url(postgresql.new_database()))
    node = cluster.node()
    cluster.add_user()
    pair = node.log_in("anna")
    postgresql.stop()
    try:
        assert_all_unavailable_in_time(node, pair)
    finally:
        postgresql.start()
    # The pooler tries the server again after 15 s.
    eventually(lambda: is_well(node, pair), within=20)


# MARK: Commands


def counts(copied):
    return {record["table"]: record["rows"] for record in copied}


def test_a_database_is_copied_from_sqlite_to_postgresql_and_back(make_installation, postgresql):
    """What logged in before goes on, and what was ended stays so."""
    url = postgresql.url(postgresql.new_database())
    installation = make_installation(algorithms="ES256", issuer=NODE["issuer"])
    server = installation.serve()
    installation.add_user("anna")
    client = Client(installation, "reports", "--scope", "reports:read")
    pair, ended = server.log_in("anna"), server.log_in("anna")
    log_out(server, ended)
    copied = []
    for source, target in [("sqlite:token-service.sqlite", url), (url, "sqlite:back.sqlite")]:
        assert server.stop() == 0
        copied.append(counts(installation.json("database", "copy", "--from", source, "--to", target)))
        server = installation.serve(settings={"database": target})
        assert me_accepts(server, pair["access_token"]) and not me_accepts(server, ended["access_token"])
        assert server.refuses(ended["refresh_token"])
        pair = server.refresh(pair["refresh_token"])
        assert is_accepted(server, client)
        assert reference(server.log_in("anna")["access_token"]) != reference(pair["access_token"])
    assert copied[0]["sessions"] == 2 and copied[1]["sessions"] == 3
    assert copied[0]["users"] == copied[1]["users"] == 1


def test_a_database_isn_t_copied_onto_one_that_isn_t_empty(make_installation, postgresql):
    installation = make_installation()
    installation.add_user("anna")
    name = postgresql.new_database()
    copy = ["database", "copy", "--from", "sqlite:token-service.sqlite", "--to", postgresql.url(name, URL_PASSWORD)]
    installation.run(*copy)
    before = postgresql.query("SELECT id, name FROM users", name)
    line = installation.refused(FAILED, *copy)
    assert "empty" in line and URL_PASSWORD not in line
    assert len(before) == 1 and postgresql.query("SELECT id, name FROM users", name) == before


def test_keys_are_migrated_to_the_database_and_back_to_a_folder(make_installation, postgresql):
    url = postgresql.url(postgresql.new_database())
    installation = make_installation(algorithms="ES256", issuer=NODE["issuer"], database=url)
    server = installation.serve()
    installation.run("keys", "rotate")
    installation.add_user("anna")
    pair = server.log_in("anna")
    listed = installation.listed_keys()
    for place, target in [("keys", "database"), ("database", "elsewhere")]:
        assert server.stop() == 0
        installation.run("keys", "migrate", "--keys", place, "--to", target)
        installation.settings["keys"] = target
        assert installation.listed_keys() == listed
        server = installation.serve()
        assert me_accepts(server, pair["access_token"])
        assert tokens.kid(server.log_in("anna")["access_token"]) == tokens.kid(pair["access_token"])
    assert len(list((installation.folder / "elsewhere").glob("*.pem"))) == len(listed) == 2


def test_without_a_master_secret_keys_in_the_database_aren_t_begun(cluster):
    cluster.secret.unlink()
    line = cluster.operator.refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0")
    assert "master-secret-file" in line
    assert not cluster.secret.exists()


def test_another_master_secret_than_the_other_nodes_is_refused(cluster):
    cluster.node()
    cluster.secret.write_text("0" * 64 + "\n")
    line = cluster.installation().refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0")
    assert "master" in line


@pytest.mark.parametrize("command", [["serve", "--listen", "127.0.0.1:0"], ["users", "list"], ["keys", "list"]])
def test_a_server_that_can_t_be_reached_is_told_without_the_password(cluster, command):
    nowhere = f"postgres://{USER}:{URL_PASSWORD}@127.0.0.1:{free_port()}/none?password={URL_PASSWORD}"
    completed = cluster.operator.run(*command, settings={"database": nowhere}, check=False)
    assert URL_PASSWORD not in completed.stderr
    assert "database" in cluster.operator.refused(UNAVAILABLE, *command, settings={"database": nowhere})


def test_a_database_that_isn_t_there_is_told(cluster, postgresql):
    assert "nowhere" in cluster.operator.refused(
        UNAVAILABLE, "users", "list", settings={"database": postgresql.url("nowhere", URL_PASSWORD)})


BAD_URLS = {
    "an unknown option": f"postgres://{USER}:{URL_PASSWORD}@127.0.0.1/db?no=option",
    "half an address": f"postgres://{USER}:{URL_PASSWORD}@[::1/db",
    "another scheme": f"postgre://{USER}:{URL_PASSWORD}@127.0.0.1/db",
    "half an escape": f"postgres://{USER}:{URL_PASSWORD}%zz@127.0.0.1/db",
    # libpq reads USER for the host, and what is before the slash for the port.
    "a slash in the password": f"postgres://{USER}:12/{URL_PASSWORD}@127.0.0.1/db",
    "a word for a port": f"postgres://{USER}:{URL_PASSWORD}@127.0.0.1:port/db",
}


@pytest.mark.parametrize("setting", ["database", "database-listen"])
@pytest.mark.parametrize("what", BAD_URLS)
def test_a_url_that_libpq_doesn_t_take_is_told_without_the_password(cluster, setting, what):
    settings = {setting: BAD_URLS[what]}
    completed = cluster.operator.run("config", "show", settings=settings, check=False)
    assert URL_PASSWORD not in completed.stdout.decode() + completed.stderr
    assert completed.returncode == BAD_CONFIGURATION
    line = cluster.operator.refused(BAD_CONFIGURATION, "serve", "--listen", "127.0.0.1:0", settings=settings)
    assert setting in line and URL_PASSWORD not in line


@pytest.mark.parametrize("what", list(BAD_URLS)[:4])
def test_a_copy_from_what_isn_t_a_url_is_wrong_usage(cluster, what):
    line = cluster.operator.refused(USAGE, "database", "copy", "--from", BAD_URLS[what], "--to", "sqlite:none")
    assert URL_PASSWORD not in line


def test_no_password_of_a_url_is_printed_or_logged(make_cluster, postgresql):
    name = postgresql.new_database()
    url = postgresql.url(name, URL_PASSWORD)
    cluster = make_cluster(url, database_listen=url, log_level="trace")
    node = cluster.node()
    cluster.add_user()
    node.log_in("anna")
    shown = cluster.operator.run("config", "show")
    assert f"{USER}:***@" in shown.stdout.decode()
    postgresql.stop()
    try:
        assert_unavailable(node.post("/auth/log-in", {"username": "anna", "password": "wrong"}))
        failed = cluster.operator.run("users", "list", check=False)
        time.sleep(1.2)
    finally:
        postgresql.start()
    node.log_in("anna")
    everything = node.log + "\n".join(node.output) + shown.stdout.decode() + shown.stderr + failed.stderr
    assert URL_PASSWORD not in everything


# MARK: A replica that takes over


@pytest.fixture
def servers():
    """A primary and its replica."""
    with contextlib.closing(PostgreSQL()) as primary, contextlib.closing(PostgreSQL(primary)) as replica:
        yield primary, replica


def test_a_replica_that_was_behind_takes_over(make_cluster, servers):
    """Who has a token of the lag goes on, who logged in during it does so again, and no place is handed out twice."""
    primary, replica = servers
    name = primary.new_database()
    cluster = make_cluster(f"postgres://{USER}@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{name}")
    one, other = nodes = cluster.nodes()
    cluster.add_user()
    early = [node.log_in("anna") for node in nodes for _ in range(4)]
    ended = one.log_in("anna")
    log_out(one, ended)
    eventually(lambda: replica.has_caught_up_with(primary))

    replica.fall_behind()
    ahead = [nodes[number % 2].refresh(pair["refresh_token"]) for number, pair in enumerate(early)]
    ahead = [other.refresh(pair["refresh_token"]) for pair in ahead]
    cluster.operator.run("keys", "rotate", "--immediately")
    ended_late = early[-1]
    log_out(one, ahead.pop())
    lost = [node.log_in("anna") for node in nodes for _ in range(4)]
    # A node of the lag has a block of places that the replica never heard of.
    third = cluster.node()
    lost += [third.log_in("anna") for _ in range(4)]
    nodes.append(third)
    primary.stop("immediate")
    began = time.monotonic()
    replica.promote()
    eventually(lambda: all(map(is_ready, nodes)), within=10)
    report("ready again after the promotion began after", time.monotonic() - began)

    # A key of the lag is lost, too, and signs until a node has looked.
    eventually(lambda: all(node.published_kids() == {tokens.kid(early[0]["access_token"])} for node in nodes), within=2)

    known = {reference(pair["access_token"]) for pair in early + lost}
    fresh = cluster.node()
    later = [node.log_in("anna") for node in [fresh, *nodes] for _ in range(4)]
    assert len({reference(pair["access_token"]) for pair in later}) == len(later)
    assert not known & {reference(pair["access_token"]) for pair in later}
    assert reference(later[0]["access_token"])[0] not in {uri for uri, _ in known}, "of a new list"
    for pair in later:
        assert all(me_accepts(node, pair["access_token"]) for node in [fresh, *nodes])
    assert {tokens.kid(pair["access_token"]) for pair in later} == {tokens.kid(early[0]["access_token"])}
    for number, pair in enumerate(ahead):
        goes_on = nodes[number % 3].refresh(pair["refresh_token"])
        assert me_accepts(other, goes_on["access_token"])
        one.refresh(goes_on["refresh_token"])
    for pair in lost:
        assert one.refuses(pair["refresh_token"])
    # The replica never heard of one of them; the nodes did.
    for pair in [ended, ended_late]:
        assert one.refuses(pair["refresh_token"]) and not me_accepts(fresh, pair["access_token"])
    assert {record["outcome"] for record in cluster.operator.json("audit", "list") if record["event"] == "refresh"} >= {
        "ahead"}
    # Whom they belonged to nobody knows, so they aren't anybody else's, either.
    later += [node.log_in("anna") for node in nodes]
    assert not known & {reference(pair["access_token"]) for pair in later}


def test_a_list_that_was_begun_in_the_lag_is_given_up(make_cluster, servers):
    """The replica never heard of it; who logs in afterwards is known to every node."""
    primary, replica = servers
    name = primary.new_database()
    cluster = make_cluster(f"postgres://{USER}@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{name}")
    one, other = nodes = cluster.nodes()
    cluster.add_user()
    eventually(lambda: replica.has_caught_up_with(primary))
    replica.fall_behind()
    lost = one.log_in("anna")
    primary.stop("immediate")
    replica.promote()
    eventually(lambda: all(map(is_ready, nodes)), within=10)
    assert one.refuses(lost["refresh_token"])
    pair = one.log_in("anna")
    # The node that had the block may hand out of it until it looks; then the others know the list, too.
    eventually(lambda: all(me_accepts(node, pair["access_token"]) for node in nodes), within=2)
    log_out(other, pair)
    eventually(lambda: not any(me_accepts(node, pair["access_token"]) for node in nodes), within=2)
    eventually(lambda: all(says_ended(node, pair["access_token"]) for node in nodes), within=2)


def test_endings_after_a_fail_over_are_known_though_their_numbers_were_used_before(make_cluster, servers):
    primary, replica = servers
    name = primary.new_database()
    nowhere = f"postgres://{USER}@127.0.0.1:{free_port()}/none"
    cluster = make_cluster(
        f"postgres://{USER}@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{name}", database_listen=nowhere)
    one, other = nodes = cluster.nodes()
    cluster.add_user()
    pairs = [one.log_in("anna") for _ in range(6)]
    lost = one.log_in("anna")
    eventually(lambda: replica.has_caught_up_with(primary))
    replica.fall_behind()
    log_out(one, lost)
    eventually(lambda: not me_accepts(other, lost["access_token"]), within=2)
    primary.stop("immediate")
    replica.promote()
    # Before the other node asks the next time.
    for pair in pairs:
        eventually(lambda: one.post("/auth/log-out", token=pair["access_token"]).status_code == 204)
    eventually(
        lambda: not any(me_accepts(node, pair["access_token"]) for node in nodes for pair in pairs), within=3)
