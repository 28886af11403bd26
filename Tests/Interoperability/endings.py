"""Every way to end a session, by what the one who ends it does."""

import dataclasses

import tokens
from service import PASSWORD

NEW_PASSWORD = "another battery staple"


@dataclasses.dataclass
class Ended:
    """A user whose session is to be ended, and what a way needs for it."""

    server: object
    name: str
    #: The first pair of the session, and the one of now, two refreshes later.
    first: dict
    pair: dict
    #: Another session of the same user, from which some ways are done.
    other: dict

    @classmethod
    def log_in(cls, server, name):
        first = server.log_in(name)
        pair = server.refresh(server.refresh(first["refresh_token"])["refresh_token"])
        return cls(server, name, first, pair, server.log_in(name))

    @property
    def access_token(self):
        return self.pair["access_token"]

    @property
    def sid(self):
        return tokens.claims(self.access_token)["sid"]

    @property
    def cookies(self):
        """The header that a browser would send."""
        is_secure = tokens.claims(self.access_token)["iss"].startswith("https:")
        host, secure = ["__Host-", "__Secure-"] if is_secure else ["", ""]
        tokens_sent = f"{host}access_token={self.access_token}; {secure}refresh_token={self.pair['refresh_token']}"
        return {"Cookie": tokens_sent}


def _answer(response, status):
    assert response.status_code == status, response.text


def _post(path, status=204, **options):
    return lambda ended: _answer(
        ended.server.post(path, **{name: value(ended) for name, value in options.items()}), status)


def _command(*arguments, **options):
    return lambda ended: ended.server.installation.run(
        *[argument(ended) if callable(argument) else argument for argument in arguments], **options)


def _delete_from(pair):
    return lambda ended: _answer(
        ended.server.request("DELETE", f"/auth/sessions/{ended.sid}", token=pair(ended)["access_token"]), 204)


OVER_HTTP = {
    "a log-out by the access token": _post("/auth/log-out", token=lambda ended: ended.access_token),
    "a log-out by the refresh token": _post(
        "/auth/log-out", body=lambda ended: {"refresh_token": ended.pair["refresh_token"]}),
    "a log-out by the first refresh token": _post(
        "/auth/log-out", body=lambda ended: {"refresh_token": ended.first["refresh_token"]}),
    "a log-out by the cookies": _post("/auth/log-out", headers=lambda ended: ended.cookies),
    "a log-out everywhere": _post("/auth/log-out-everywhere", token=lambda ended: ended.other["access_token"]),
    "a password change": _post(
        "/auth/password", token=lambda ended: ended.other["access_token"],
        body=lambda ended: {"current": PASSWORD, "new": NEW_PASSWORD}),
    "an ending from another session": _delete_from(lambda ended: ended.other),
    "an ending from itself": _delete_from(lambda ended: ended.pair),
    "a reuse of a refresh token": _post(
        "/auth/refresh", status=401, body=lambda ended: {"refresh_token": ended.first["refresh_token"]}),
}

BY_COMMAND = {
    "sessions revoke ID": _command("sessions", "revoke", "--", lambda ended: ended.sid),
    "sessions revoke --user": _command("sessions", "revoke", "--user", lambda ended: ended.name),
    "sessions revoke --all": _command("sessions", "revoke", "--all"),
    "users disable": _command("users", "disable", lambda ended: ended.name),
    "users remove": _command("users", "remove", lambda ended: ended.name),
    "users set-password": _command(
        "users", "set-password", lambda ended: ended.name, "--password-stdin", input=NEW_PASSWORD),
}

WAYS = OVER_HTTP | BY_COMMAND

#: What also ends the other session of the user.
END_THE_OTHER_TOO = {
    "a log-out everywhere", "sessions revoke --user", "sessions revoke --all", "users disable", "users remove",
    "users set-password",
}
END_STRANGERS_TOO = {"sessions revoke --all"}
