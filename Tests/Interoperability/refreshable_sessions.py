"""Many sessions in a database that the service uses, and their refresh tokens: what a load of refreshes needs."""

import random

import tokens
from refresh_tokens import RefreshTokens


class RefreshableSessions:
    """Sessions as `ManySessions` stores them, and what became of them since."""

    def __init__(self, many, master_secret):
        self.many = many
        self.tokens = RefreshTokens(master_secret)

    def rows(self, sql):
        """What the database answers."""
        raise NotImplementedError

    def compare_tokens(self, server, user):
        """Checks that tokens are made here as the service makes them."""
        token = server.log_in(user)["refresh_token"]
        for _ in range(2):
            successor = self.tokens.successor(token)
            token = server.refresh(token)["refresh_token"]
            assert token == successor

    def generations(self):
        """The sum over all sessions: how often they were refreshed, but for a constant."""
        ((total,),) = self.rows("SELECT SUM(generation) FROM sessions")
        return int(total)

    def refresh_tokens(self, count):
        """The current refresh tokens of so many sessions, chosen at random."""
        advanced = dict(self.rows("SELECT id, generation FROM sessions WHERE generation > 1"))
        chosen = random.sample(range(self.many.sessions), min(count, self.many.sessions))
        return [
            self.tokens.text(session, int(advanced.get(tokens.encode(session), 1)), self.many.seed(number))
            for number in chosen for session in [self.many.session_id(number)]]


class SQLiteSessions(RefreshableSessions):
    """Those of an installation over SQLite that was never started, and isn't running afterwards."""

    def __init__(self, installation, user, many):
        """Adds the user, too, whose log-in shows how tokens are made."""
        server = installation.serve()
        super().__init__(many, installation.master_secret.read_text())
        self.installation = installation
        installation.add_user(user)
        self.compare_tokens(server, user)
        assert server.stop() == 0, server.log
        many.store_in_sqlite(installation.folder / "token-service.sqlite")

    def rows(self, sql):
        return self.installation.query(sql)
