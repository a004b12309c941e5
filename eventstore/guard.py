"""Who owns a log: a role that nobody signs in as, so that who appends cannot lift what guards it.

Triggers refuse to change events (sql/layout.sql), whoever asks; but the owner of a table may drop
its triggers, or the table. A service signs in with a role of its own, which may add events and
seals and read them, and no more; what else is in the log's schema (where streams stand, keys of
persons, answers to requests, snapshots) it writes as before. Partitions are made by a function that
runs as the owner.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import sql

from eventstore.layout import Layout

_NEVER_CHANGED = ("events", "seals")


def guard(connection: psycopg.Connection[Any], layout: Layout, *, owner: str, service: str) -> None:
    """Make the log's tables where they are missing, or older than this release; give them, and the
    database, to the role `owner`; leave to the role `service` what a service needs. `owner` is made
    unless it exists; `service` exists. Repeating it changes nothing.

    The connection's role must be allowed to: a superuser's is. Raises InsufficientPrivilege of
    psycopg otherwise, and what `Layout.migrate` does.
    """
    names = {
        "schema": sql.Identifier(layout.schema),
        "owner": sql.Identifier(owner),
        "service": sql.Identifier(service),
        "database": sql.Identifier(connection.info.dbname),
    }

    def execute(statement: LiteralString, **more: sql.Composable) -> None:
        connection.execute(sql.SQL(statement).format(**names, **more))

    with connection.transaction():
        layout.migrate(connection)
        found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [owner]).fetchone()
        if found is None:
            execute("CREATE ROLE {owner} NOLOGIN")
        execute("ALTER DATABASE {database} OWNER TO {owner}")
        execute("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {service}")
        execute("GRANT USAGE, CREATE ON SCHEMA public TO {service}")
        execute("ALTER SCHEMA {schema} OWNER TO {owner}")
        execute("GRANT USAGE ON SCHEMA {schema} TO {service}")
        for kind, name in _owned_by_others(connection, layout, owner):
            execute("ALTER {kind} {name} OWNER TO {owner}", kind=sql.SQL(kind), name=sql.SQL(name))
        execute("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {service}")
        execute("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {service}")
        for name in _tables(connection, layout):
            if name not in _NEVER_CHANGED and not name.startswith("events_"):
                execute(
                    "GRANT UPDATE, DELETE ON {schema}.{table} TO {service}",
                    table=sql.Identifier(name),
                )
        execute(
            "ALTER FUNCTION {schema}.partitions_up_to SECURITY DEFINER "
            "SET search_path = pg_catalog, pg_temp"
        )
        # For who backs the log up: partitions that are made later.
        execute(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
            "GRANT SELECT ON TABLES TO {service}"
        )


def _owned_by_others(
    connection: psycopg.Connection[Any], layout: Layout, owner: str
) -> list[tuple[LiteralString, LiteralString]]:
    """Kinds and quoted names of what is in the schema."""
    return connection.execute(
        """
        SELECT 'TABLE', oid::regclass::text FROM pg_class
         WHERE relnamespace = %(schema)s::regnamespace AND relkind IN ('r', 'p', 'v')
           AND relowner <> %(owner)s::regrole
         UNION ALL
        SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc
         WHERE pronamespace = %(schema)s::regnamespace AND proowner <> %(owner)s::regrole
        """,
        {"schema": layout.schema, "owner": f'"{owner}"'},
    ).fetchall()


def _tables(connection: psycopg.Connection[Any], layout: Layout) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')",
        [layout.schema],
    )
    return [name for (name,) in rows]
