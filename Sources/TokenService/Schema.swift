internal import KeyService
public import Storage

/// The history of the service's tables.
public enum Schema {
    public static let migrations = [
        Migration(
            version: 1, name: "users and sessions",
            statements: [
                """
                CREATE TABLE users (
                    id TEXT PRIMARY KEY,
                    name TEXT NOT NULL UNIQUE,
                    password_hash TEXT NOT NULL,
                    credential_version BIGINT NOT NULL,
                    claims TEXT NOT NULL,
                    scopes TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    disabled_at BIGINT
                )
                """,
                """
                CREATE TABLE sessions (
                    id TEXT PRIMARY KEY,
                    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                    generation BIGINT NOT NULL,
                    seed_hash BYTEA NOT NULL,
                    scopes TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    advanced_at BIGINT NOT NULL,
                    expires_at BIGINT NOT NULL,
                    ended_at BIGINT,
                    end_reason TEXT,
                    address TEXT,
                    user_agent TEXT
                )
                """,
                "CREATE INDEX sessions_by_user ON sessions (user_id)",
                "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
            ]),
        Migration(
            version: 2, name: "status lists, audit and failed log-ins",
            statements: [
                """
                CREATE TABLE status_lists (
                    id TEXT PRIMARY KEY,
                    size BIGINT NOT NULL,
                    used BYTEA NOT NULL,
                    leased BIGINT NOT NULL,
                    created_at BIGINT NOT NULL,
                    leased_at BIGINT NOT NULL
                )
                """,
                """
                CREATE TABLE status_bits (
                    list_id TEXT NOT NULL,
                    list_index BIGINT NOT NULL,
                    change BIGINT NOT NULL,
                    tokens_until BIGINT NOT NULL,
                    PRIMARY KEY (list_id, list_index)
                )
                """,
                "CREATE INDEX status_bits_by_change ON status_bits (change)",
                "CREATE INDEX status_bits_by_expiry ON status_bits (tokens_until)",
                // One row: how often bits were set. Who sets some locks it until the transaction ends: numbers are in that order.
                "CREATE TABLE status_changes (id BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
                "INSERT INTO status_changes (id, number) VALUES (1, 0)",
                "ALTER TABLE sessions ADD COLUMN status_list TEXT NOT NULL DEFAULT ''",
                "ALTER TABLE sessions ADD COLUMN status_index BIGINT NOT NULL DEFAULT 0",
                "ALTER TABLE sessions ADD COLUMN tokens_until BIGINT NOT NULL DEFAULT 0",
                "CREATE INDEX sessions_by_list ON sessions (status_list)",
                "CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL",
                // Sessions from before get a list of their own; their ids are in random order already.
                """
                INSERT INTO status_lists (id, size, used, leased, created_at, leased_at)
                SELECT 'AAAAAAAAAAAAAAAAAAAAAA', size, '', size, 0, 0
                FROM (SELECT (COUNT(*) / 8 + 1) * 8 AS size FROM sessions) AS counted
                WHERE EXISTS (SELECT 1 FROM sessions)
                """,
                """
                UPDATE sessions SET
                    status_list = 'AAAAAAAAAAAAAAAAAAAAAA', status_index = numbered.place,
                    tokens_until = advanced_at + 3900000000
                FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM sessions) AS numbered
                WHERE numbered.id = sessions.id
                """,
                """
                CREATE TABLE audit (
                    id TEXT PRIMARY KEY,
                    time BIGINT NOT NULL,
                    event TEXT NOT NULL,
                    actor TEXT,
                    subject TEXT,
                    session TEXT,
                    address TEXT,
                    outcome TEXT NOT NULL
                )
                """,
                "CREATE INDEX audit_by_time ON audit (time)",
                "CREATE INDEX audit_by_refresh ON audit (session) WHERE event = 'refresh'",
                """
                CREATE TABLE log_in_failures (
                    id TEXT PRIMARY KEY,
                    recovers_at BIGINT NOT NULL
                )
                """,
                "CREATE INDEX log_in_failures_by_time ON log_in_failures (recovers_at)",
            ]),
        Migration(
            version: 3, name: "clients",
            statements: [
                """
                CREATE TABLE clients (
                    id TEXT PRIMARY KEY,
                    name TEXT NOT NULL UNIQUE,
                    authentication TEXT NOT NULL,
                    credential BYTEA NOT NULL,
                    previous_credential BYTEA,
                    scopes TEXT NOT NULL,
                    audiences TEXT NOT NULL,
                    algorithm TEXT,
                    token_lifetime BIGINT,
                    permissions TEXT NOT NULL,
                    status_list TEXT,
                    status_index BIGINT,
                    created_at BIGINT NOT NULL,
                    rotated_at BIGINT
                )
                """,
                "CREATE INDEX clients_by_list ON clients (status_list)",
                """
                CREATE TABLE client_assertions (
                    id TEXT PRIMARY KEY,
                    expires_at BIGINT NOT NULL
                )
                """,
                "CREATE INDEX client_assertions_by_expiry ON client_assertions (expires_at)",
            ]),
        Migration(
            version: 4, name: "keys",
            statements: DatabaseKeyStore.tables + [
                // The history of the server's that places were leased in last.
                "ALTER TABLE status_changes ADD COLUMN timeline TEXT"
            ]),
        Migration(
            version: 5, name: "known keys",
            statements: KnownKeys.tables + [
                // As far as the audit log goes back.
                """
                INSERT INTO known_keys (id, created_at, revoked_at)
                SELECT subject, MIN(time), MIN(CASE WHEN event = 'key_revoked' THEN time END) FROM audit
                WHERE event IN ('key_made', 'key_rotated', 'key_imported', 'key_revoked') AND subject IS NOT NULL
                GROUP BY subject
                """
            ]),
    ]
}
