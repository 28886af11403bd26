"""What can be done just before a fail-over: how, and how to find out what became of it."""

import dataclasses
import typing

import tokens
from endings import NEW_PASSWORD
from oauth import ASSERTION_TYPE, TOKEN, Client, KeyClient, ask, is_accepted, revoke, token
from service import PASSWORD, eventually
from status_lists import me_accepts, says_ended

#: Each thing that can be done more than once is done so often.
TIMES = 3

#: What becomes of it.
DONE, UNDONE = "kept", "lost"


class Mixed(Exception):
    """Neither kept nor lost: what nodes say differs, or isn't what the documentation says, in words."""


def require(condition, otherwise):
    if not condition:
        raise Mixed(otherwise)


@dataclasses.dataclass
class Deed:
    """Something that is done in the lag."""

    name: str
    #: What docs/operating.md says becomes of it with an asynchronous replica; a synchronous one keeps everything.
    documented: str
    #: What is seen of it where it is lost, or what saves it.
    seen: str
    #: Makes ready what it needs, before the lag; gives what is done in the lag, which gives how to look what became of
    #: it at the nodes: whether it is kept.
    prepare: typing.Callable
    times: int = TIMES


# MARK: Where


@dataclasses.dataclass
class Scene:
    """Where a deed is done."""

    cluster: object
    nodes: list
    number: int

    @property
    def operator(self):
        return self.cluster.operator

    @property
    def node(self):
        return self.nodes[self.number % len(self.nodes)]

    @property
    def other(self):
        return self.nodes[(self.number + 1) % len(self.nodes)]

    def user(self, what):
        return self.cluster.add_user(f"{what}-{self.number}")

    def client(self, what, *arguments, kind=Client):
        return kind(self.operator, f"{what}-{self.number}", "--scope", "read", *arguments)

    def agreed(self, probe, what):
        """What all nodes say."""
        answers = [probe(node) for node in self.nodes]
        require(len(set(answers)) == 1, f"{what}: {answers} at the nodes in turn, the last started after the fail-over")
        return answers[0]

    def is_ended(self, access_token, whose="its access token"):
        """Whether a token is, by `/auth/me` and by its bit, at each node."""
        refused = self.agreed(lambda node: not me_accepts(node, access_token), f"{whose} is refused")
        is_set = self.agreed(lambda node: says_ended(node, access_token), f"the bit of {whose} is set")
        require(refused == is_set, f"{whose} is refused: {refused}, its bit is set: {is_set}")
        return refused


def logs_in(node, name, password=PASSWORD):
    return node.post("/auth/log-in", {"username": name, "password": password}).status_code == 200


def a_log_in(scene):
    name = scene.user("log-in")

    def do():
        pair = scene.node.log_in(name)

        def is_kept():
            require(not scene.is_ended(pair["access_token"]), "its access token is refused")
            if not scene.other.refuses(pair["refresh_token"]):
                return True
            require(logs_in(scene.other, name), "its user can't log in again")
            return False
        return is_kept
    return do


def a_refresh(scene):
    pair = scene.node.log_in(scene.user("refresh"))

    def do():
        ahead = scene.other.refresh(scene.node.refresh(pair["refresh_token"])["refresh_token"])
        return lambda: not scene.node.refuses(ahead["refresh_token"])
    return do


def an_ending(end):
    """Of a session, by what ends it. The nodes remember that it was ended; what else was done may be lost."""

    def prepare(scene):
        name = scene.user(end.__name__)
        pair = scene.node.log_in(name)

        def do():
            end(scene, name, pair)

            def is_kept():
                ended = scene.other.refuses(pair["refresh_token"])
                require(
                    scene.is_ended(pair["access_token"]) == ended,
                    f"its refresh token is {'refused' if ended else 'taken'}, and its access token isn't")
                if end is log_out:
                    return ended
                require(ended, "the session goes on")
                if end is disabled:
                    return not logs_in(scene.other, name)
                is_new = logs_in(scene.other, name, NEW_PASSWORD)
                require(logs_in(scene.other, name) != is_new, "the old password isn't as the new one is")
                return is_new
            return is_kept
        return do
    return prepare


def log_out(scene, name, pair):
    assert scene.node.post("/auth/log-out", token=pair["access_token"]).status_code == 204


def disabled(scene, name, pair):
    scene.operator.run("users", "disable", name)


def password(scene, name, pair):
    scene.operator.run("users", "set-password", name, "--password-stdin", input=NEW_PASSWORD + "\n")


def a_revoked_client(scene):
    client = scene.client("revoked")
    text = token(scene.node, client)

    def do():
        revoke(scene.node, client, text)

        def is_kept():
            ended = scene.is_ended(text, "its token of before")
            require(not scene.is_ended(token(scene.other, client), "its token of now"), "it doesn't go on with another")
            return ended
        return is_kept
    return do


def a_removed_client(scene):
    client = scene.client("removed")
    text = token(scene.node, client)

    def do():
        scene.operator.run("clients", "remove", client.id)

        def is_kept():
            require(scene.is_ended(text), "its tokens of before are good")
            return not scene.agreed(lambda node: is_accepted(node, client), "it gets tokens")
        return is_kept
    return do


def a_new_user(scene):
    def do():
        name = scene.user("new")
        return lambda: scene.agreed(lambda node: logs_in(node, name), "logs in")
    return do


def a_new_client(scene):
    def do():
        client = scene.client("new")
        assert is_accepted(scene.node, client)
        return lambda: scene.agreed(lambda node: is_accepted(node, client), "gets a token")
    return do


def a_used_assertion(scene):
    client = scene.client("assertion", kind=KeyClient)
    assertion = client.assertion(scene.node)

    def is_taken(node):
        return ask(
            node, TOKEN, grant_type="client_credentials", client_assertion_type=ASSERTION_TYPE,
            client_assertion=assertion).status_code == 200

    def do():
        assert is_taken(scene.node)

        def is_kept():
            taken = is_taken(scene.other)
            require(not scene.agreed(is_taken, "it is taken"), "it can be used more than once more")
            return not taken
        return is_kept
    return do


def announced(rotated):
    """The kid that a rotation made, from what it prints."""
    (kid,) = [key["kid"] for key in rotated if key["retires_at"] is None]
    return kid


def a_pending_key(scene):
    def do():
        kid = announced(scene.operator.json("keys", "rotate", "--algorithm", "RS256"))
        eventually(lambda: kid in scene.node.published_kids())
        return lambda: scene.agreed(lambda node: kid in node.published_kids(), "it is published")
    return do


def an_immediate_rotation(scene):
    name = scene.user("immediate")
    before = tokens.kid(scene.node.log_in(name)["access_token"])

    def do():
        kid = announced(scene.operator.json("keys", "rotate", "--immediately", "--algorithm", "ES256"))
        text = eventually(lambda: (
            text := scene.node.log_in(name)["access_token"]) and tokens.kid(text) == kid and text)

        def is_kept():
            kept = scene.agreed(lambda node: me_accepts(node, text), "its token is accepted")
            signing = scene.agreed(lambda node: tokens.kid(node.log_in(name)["access_token"]), "signs with")
            require(signing == (kid if kept else before), "it isn't the right key that signs")
            published = scene.agreed(lambda node: kid in node.published_kids(), "it is published")
            require(published == kept, "the JWKS isn't as the token is")
            return kept
        return is_kept
    return do


def a_revoked_key(scene):
    # RS256 signs this one's tokens, so that it is in no other deed's way.
    client = scene.client("key", "--algorithm", "RS256")
    text = token(scene.node, client)

    def do():
        scene.operator.run("keys", "revoke", "--reason", "a trial", "--", tokens.kid(text))
        eventually(lambda: not me_accepts(scene.node, text))

        def is_kept():
            kept = scene.agreed(lambda node: not me_accepts(node, text), "its token is refused")
            published = scene.agreed(lambda node: tokens.kid(text) in node.published_kids(), "it is published")
            require(published != kept, "the JWKS isn't as the token is")
            fresh = token(scene.other, client)
            require((tokens.kid(fresh) == tokens.kid(text)) != kept, "it isn't the right key that signs")
            return kept
        return is_kept
    return do


#: The rows of the table in docs/operating.md, in its order.
DEEDS = [
    Deed("a log-in", UNDONE, "access token good until it expires, then its user logs in again", a_log_in),
    Deed("a refresh", DONE, "nothing: accepted as ahead of its row, and audited", a_refresh),
    Deed("an ended session", DONE, "nothing: the nodes remember it, and end it again", an_ending(log_out)),
    Deed("a disabled user", UNDONE, "logs in again; the sessions of before stay ended", an_ending(disabled)),
    Deed("another password", UNDONE, "the old one is right; the sessions of before stay ended", an_ending(password)),
    Deed("a client's revoked token", DONE, "nothing: the nodes remember it, and end it again", a_revoked_client),
    Deed("a removed client", UNDONE, "gets tokens again; those of before stay ended", a_removed_client),
    Deed("a new user", UNDONE, "gone", a_new_user),
    Deed("a new client", UNDONE, "gone", a_new_client),
    Deed("a used jti", UNDONE, "can be used once more", a_used_assertion),
    Deed("keys rotate", UNDONE, "the pending key is gone from the JWKS", a_pending_key, times=1),
    Deed("keys rotate --immediately", UNDONE, "the new key's tokens are refused, the one before signs",
         an_immediate_rotation, times=1),
    Deed("keys revoke", DONE, "nothing: the nodes remember it, and revoke it again", a_revoked_key, times=1),
]
