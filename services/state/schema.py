"""The tables of the embedded store, as numbered migrations.

``PRAGMA user_version`` tells how many of them a file has been through. One that was released
is never changed; what comes later stands below it.
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE kept (key TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL NOT NULL)",
        "CREATE INDEX kept_until ON kept (until)",
        "CREATE TABLE logs (log TEXT PRIMARY KEY, epoch INTEGER, until REAL, epoch_until REAL)",
        "CREATE TABLE records (log TEXT, number INT, record BLOB, PRIMARY KEY (log, number)) WITHOUT ROWID",
        "CREATE TABLE leases (log TEXT PRIMARY KEY, holder TEXT NOT NULL)",
    ),
    (
        "CREATE TABLE members (grp TEXT, member TEXT, until REAL, PRIMARY KEY (grp, member)) WITHOUT ROWID",
        "CREATE INDEX members_until ON members (until)",
        """CREATE TABLE sums (row TEXT, field TEXT, spent INT, held INT, until REAL,
        PRIMARY KEY (row, field)) WITHOUT ROWID""",
        "CREATE INDEX sums_until ON sums (until)",
        """CREATE TABLE holds (hold TEXT, row TEXT, field TEXT, amount INT,
        PRIMARY KEY (hold, row, field)) WITHOUT ROWID""",
        "CREATE TABLE over (hold TEXT PRIMARY KEY, until REAL) WITHOUT ROWID",
    ),
)
