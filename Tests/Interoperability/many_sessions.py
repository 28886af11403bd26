"""Databases with many live sessions, whose refresh tokens can be made without a log-in."""

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import time

import tokens

LIST_SIZE = 131_072
SECOND = 1_000_000
DAY = 86_400 * SECOND

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class ManySessions:
    """Sessions that users began one after another in the last 20 days, at a steady rate, and the status lists that they
    fill. Ids and seeds look random, and follow from a number."""

    def __init__(self, sessions, users=1):
        self.sessions = sessions
        self.users = users
        self.lists = [self._name("list", number) for number in range((sessions + LIST_SIZE - 1) // LIST_SIZE)]

    @staticmethod
    def _bytes(kind, number):
        return hashlib.sha256(f"{kind} {number}".encode()).digest()[:16]

    def _name(self, kind, number):
        return tokens.encode(self._bytes(kind, number))

    def session_id(self, number):
        return self._bytes("session", number)

    def seed(self, number):
        return self._bytes("seed", number)

    def _tables(self):
        """Each table with its columns and rows, in the order in which they can be stored."""
        now = int(time.time()) * SECOND
        users = [self._name("user", number) for number in range(self.users)]

        def session(number):
            created_at = now - 20 * DAY * (self.sessions - number) // self.sessions
            return (
                self._name("session", number), users[number % self.users], 1,
                hashlib.sha256(self.seed(number)).digest(), "", created_at, now, created_at + 30 * DAY, "192.0.2.1",
                BROWSER, self.lists[number // LIST_SIZE], number % LIST_SIZE, now + 900 * SECOND)

        yield (
            "users", ["id", "name", "password_hash", "credential_version", "claims", "scopes", "created_at"],
            ((user, f"user-{number}", "", 1, '{"plan":"gold"}', "", now) for number, user in enumerate(users)))
        yield (
            "status_lists", ["id", "size", "used", "leased", "created_at", "leased_at"],
            ((each, LIST_SIZE, b"", LIST_SIZE, now, now) for each in self.lists))
        yield (
            "sessions",
            [
                "id", "user_id", "generation", "seed_hash", "scopes", "created_at", "advanced_at", "expires_at",
                "address", "user_agent", "status_list", "status_index", "tokens_until",
            ],
            map(session, range(self.sessions)))

    def store_in_sqlite(self, path):
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA synchronous = OFF")
            for table, columns, rows in self._tables():
                database.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)
            database.commit()

    def store_in_postgresql(self, server, database):
        """Stores them, and leaves the database as its own housekeeping would in time."""

        def text(value):
            return rf"\\x{value.hex()}" if isinstance(value, bytes) else str(value)

        # Every session's user is there: nothing has to look for each.
        options = os.environ | {"PGOPTIONS": "-c session_replication_role=replica"}
        with subprocess.Popen(
            [server.programs / "psql", "-X", "-q", "-d", server.url(database), "-v", "ON_ERROR_STOP=1"], env=options,
            stdin=subprocess.PIPE, text=True,
        ) as psql:
            for table, columns, rows in self._tables():
                psql.stdin.write(f"COPY {table} ({', '.join(columns)}) FROM STDIN;\n")
                psql.stdin.writelines("\t".join(map(text, row)) + "\n" for row in rows)
                psql.stdin.write("\\.\n")
            psql.stdin.write("VACUUM ANALYZE;\nCHECKPOINT;\n")
        assert psql.returncode == 0
