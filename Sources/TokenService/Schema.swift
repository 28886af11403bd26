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
            ])
    ]
}
