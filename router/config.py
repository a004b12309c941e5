"""What an operator can set, with its unit and its default; read from YAML or built in code.

Every struct is frozen and refuses names it does not know, so a typing error in a file is reported
with its place instead of being ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import yaml

from router.errors import RouterError
from router.yaml_text import load_yaml


class ConfigError(RouterError):
    """A configuration file that cannot be read, or says something the router does not know."""

    code: ClassVar[str] = "INVALID_ROUTER_CONFIG"

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"router configuration {source}: {reason}")


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all groups of settings."""


class Limits(_Settings, frozen=True):
    """Refusals made before work is spent on an operation."""

    body_bytes_max: int = 2_000_000
    operation_characters_max: int = 500_000
    tokens_max: int = 15_000
    """Tokens of an operation's text, comments included."""
    depth_max: int = 60
    aliases_max: int = 500
    root_fields_max: int = 100
    directives_max: int = 500
    fields_max: int = 10_000
    """Fields after all fragments are spread, counted without spreading them."""
    repeats_max: int = 100
    """Times one response key may occur in a selection set, fragments spread."""
    errors_max: int = 20
    """Validation errors reported at once."""
    batch_operations_max: int = 10
    """Operations in one HTTP request; 0 refuses batching."""
    variables_depth_max: int = 64
    header_bytes_max: int = 16_000
    concurrent_requests_max: int = 1_000


class Caches(_Settings, frozen=True):
    """Entries kept; the least recently used goes first."""

    operations_max: int = 2_000
    operations_bytes_max: int = 60_000_000
    """What kept operations take together, estimated."""
    spellings_max: int = 4_000
    """Texts under which kept operations are found without looking at their tokens."""
    spellings_bytes_max: int = 10_000_000
    refusals_max: int = 500
    refusals_bytes_max: int = 5_000_000
    """Kept apart from operations, so that nonsense cannot push them out."""
    tokens_max: int = 10_000
    tokens_seconds_max: float = 60.0
    """How long a verified token is believed without looking at its signature again."""


class Retry(_Settings, frozen=True):
    """Second attempts at queries whose subgraph failed; mutations are never sent twice."""

    attempts_max: int = 3
    backoff_seconds: float = 0.05
    """Before the second attempt; doubles each time, with jitter."""
    backoff_seconds_max: float = 2.0
    budget_ratio: float = 0.2
    """Retries allowed for each request made, so that a failing subgraph is not flooded."""
    budget_burst: float = 10.0


class Breaker(_Settings, frozen=True):
    """When a subgraph is given up for a while."""

    failure_ratio: float = 0.5
    requests_min: int = 20
    """Requests within the window before the ratio means anything."""
    window_seconds: float = 10.0
    open_seconds: float = 2.0


class Tls(_Settings, frozen=True):
    """Certificates for talking to a subgraph over https."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    verify: bool = True


class SubgraphSubscriptions(_Settings, frozen=True):
    """How streams of one subgraph are opened: graphql-transport-ws over a WebSocket."""

    path: str | None = None
    """Where, if not at the path of its URL."""
    share_identical: bool = True
    """Clients that ask for the same share one stream; who joins gets what comes from then on. Not
    for subgraphs whose streams begin with a first value, or where a cursor says."""


class SubgraphSettings(_Settings, frozen=True):
    """How one subgraph is called. `url` overrides the one in the supergraph."""

    url: str | None = None
    headers: dict[str, str] = {}
    """Sent with every request, after those of the client."""
    timeout_seconds: float = 15.0
    connect_timeout_seconds: float = 3.0
    connections_max: int = 64
    waiting_max: int = 1_000
    """Requests that may wait for a connection."""
    keepalive_seconds: float = 30.0
    response_bytes_max: int = 50_000_000
    share_identical: bool = True
    """Identical queries in flight are sent once."""
    retry: Retry | None = Retry()
    breaker: Breaker | None = Breaker()
    tls: Tls = Tls()
    subscriptions: SubgraphSubscriptions = SubgraphSubscriptions()


class Subscriptions(_Settings, frozen=True):
    """Streams to clients: server-sent events and multipart over HTTP, or a WebSocket."""

    enabled: bool = True
    total_max: int = 10_000
    """Subscriptions of all clients at once."""
    connections_max: int = 10_000
    """WebSockets of all clients at once."""
    per_connection_max: int = 100
    """Operations under way on one WebSocket, queries and mutations among them."""
    init_seconds: float = 10.0
    """How long a client that opened a WebSocket has to send `connection_init`."""
    init_headers: tuple[str, ...] = (
        "authorization",
        "accept-language",
        "traceparent",
        "tracestate",
        "x-correlation-id",
        "x-read-position",
        "x-router-query-plan",
    )
    """What the payload of `connection_init` may say in the place of headers, which browsers cannot
    set there. Name none that a proxy in front of the router vouches for."""
    buffer_events_max: int = 100
    buffer_bytes_max: int = 10_000_000
    """What may wait for one subscriber who does not keep up: more than one event only within it."""
    when_full: Literal["close", "drop_oldest"] = "close"
    """End the subscription of who does not keep up, or leave out events, the oldest first."""
    full_seconds_max: float = 30.0
    """With `close`: how long the stream of one subscriber alone waits for room before it ends, and
    how long a client then has to take the rest. A stream that several share waits for nobody."""
    heartbeat_seconds: float = 10.0
    """A sign of life after so long without an event."""
    not_shared: tuple[str, ...] = ("x-client-ip", "x-client-agent")
    """Besides `headers.not_shared`: what may differ between subscriptions that share a stream."""


class Cors(_Settings, frozen=True):
    """Cross-origin requests of browsers. No origin is allowed unless named; `*` allows all."""

    origins: tuple[str, ...] = ()
    credentials: bool = False
    methods: tuple[str, ...] = ("GET", "POST", "OPTIONS")
    headers: tuple[str, ...] = ()
    """Request headers allowed; empty mirrors what the browser asks for."""
    expose_headers: tuple[str, ...] = ("x-request-id",)
    max_age_seconds: int = 600


class Csrf(_Settings, frozen=True):
    """Refuse requests that a browser sends without asking first ("simple" requests)."""

    enabled: bool = True
    headers: tuple[str, ...] = (
        "x-apollo-operation-name",
        "apollo-require-preflight",
        "graphql-preflight",
    )
    """Any one of these shows that the browser did ask, or that it is not a browser."""


class Jwt(_Settings, frozen=True):
    """Verification of bearer tokens. Keys come from `jwks_url`, `jwks_file` or a callable."""

    jwks_url: str | None = None
    jwks_file: str | None = None
    algorithms: tuple[str, ...] = ("EdDSA", "Ed25519", "ES256", "ES384", "RS256", "PS256")
    issuers: tuple[str, ...] = ()
    """Accepted `iss`; empty accepts any."""
    audiences: tuple[str, ...] = ()
    """Accepted `aud`; empty accepts any."""
    leeway_seconds: int = 5
    require_expiry: bool = True
    token_bytes_max: int = 8_000
    refresh_seconds: float = 300.0
    """Keys are fetched again after this long."""
    refetch_seconds_min: float = 10.0
    """At most one fetch in this time for tokens with an unknown `kid`."""
    fetch_timeout_seconds: float = 5.0


class Actor(_Settings, frozen=True):
    """The signed header that tells subgraphs who is asking; see `router.http.actor_header`."""

    secret: str = ""
    """Shared with the subgraphs, at least 32 bytes; empty sends no header."""
    claims: tuple[str, ...] = ("sub", "sid", "roles", "scope")
    lifetime_seconds: int = 60


class Headers(_Settings, frozen=True):
    """Headers handed on. Hop-by-hop headers and the actor header never are."""

    request: tuple[str, ...] = (
        "x-correlation-id",
        "traceparent",
        "tracestate",
        "x-request-id",
        "x-read-position",
        "accept-language",
    )
    """Of the client's request, to every subgraph."""
    client_ip: str | None = "x-client-ip"
    """Header that carries the client's address to subgraphs; None sends none."""
    client_agent: str | None = "x-client-agent"
    """Header that carries the client's `user-agent` to subgraphs; None sends none."""
    trust_forwarded_for: bool = False
    """Take the client's address from the last entry of `x-forwarded-for`: behind a proxy only."""
    response: tuple[str, ...] = ("set-cookie",)
    """Of subgraphs' answers, to the client: every value is kept, in order."""
    not_shared: tuple[str, ...] = ("x-request-id", "traceparent", "tracestate", "x-correlation-id")
    """Forwarded, yet requests that differ only in them count as identical."""


class Logs(_Settings, frozen=True):
    """What is written about requests; failures of the router itself always are."""

    requests: bool = False
    """Every request, not only failed and slow ones."""
    slow_seconds: float = 2.0
    json: bool = True
    level: str = "info"


class RouterConfig(_Settings, frozen=True):
    """All settings of a router."""

    path: str = "/graphql"
    introspection: bool = True
    graphiql: bool = True
    expose_query_plan: bool = True
    """Answer `x-router-query-plan: true` (or `dry-run`) with the plan in `extensions`."""
    mask_internal_errors: bool = True
    mask_subgraph_errors: bool = False
    """Hide messages and extensions of subgraph errors from clients, but for their code."""
    deadline_seconds: float = 30.0
    """For a whole operation: what is not there by then is null, with an error."""
    shutdown_seconds: float = 10.0
    """How long requests under way may go on after a signal to stop."""
    planning_threads: int = 1
    strict_mutations: bool = False
    """Each root field of a mutation waits for all that hangs on the one before, in every subgraph.
    Without, neighbours of one subgraph share a request if what hangs on them asks others."""
    limits: Limits = Limits()
    subscriptions: Subscriptions = Subscriptions()
    caches: Caches = Caches()
    cors: Cors = Cors()
    csrf: Csrf = Csrf()
    jwt: Jwt | None = None
    actor: Actor = Actor()
    headers: Headers = Headers()
    logs: Logs = Logs()
    all_subgraphs: SubgraphSettings = SubgraphSettings()
    subgraphs: dict[str, SubgraphSettings] = {}
    """By subgraph name; a subgraph named here takes nothing from `all_subgraphs`."""
    override_labels: dict[str, float] = {}
    """Progressive `@override` labels, in percent of requests; `percent(x)` needs no entry."""

    def subgraph(self, name: str) -> SubgraphSettings:
        """The settings of one subgraph."""
        return self.subgraphs.get(name, self.all_subgraphs)


def config_from(values: Any, *, source: str = "given") -> RouterConfig:
    """Build the configuration from plain values (what YAML or JSON reads to).

    A subgraph's entry is laid over `all_subgraphs`. Raises ConfigError with the place of the fault.
    """
    if values is None:
        return RouterConfig()
    if not isinstance(values, dict):
        raise ConfigError(source, f"expected a mapping of settings, found {type(values).__name__}")
    values = dict(values)
    shared, named = values.get("all_subgraphs"), values.get("subgraphs")
    if isinstance(shared, dict) and isinstance(named, dict):
        values["subgraphs"] = {
            name: {**shared, **own} if isinstance(own, dict) else own for name, own in named.items()
        }
    try:
        return msgspec.convert(values, RouterConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(source, str(error)) from error


def load_config(path: str | Path, environment: Mapping[str, str] = os.environ) -> RouterConfig:
    """Read a YAML file, in whose texts `${env.NAME}` and `${env.NAME:-default}` are filled in.

    Raises ConfigError if it cannot be read or understood, or names a variable that is not set.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not YAML: {error}") from error
    return config_from(_filled_in(values, environment, str(path)), source=str(path))


_VARIABLE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def _filled_in(value: Any, environment: Mapping[str, str], source: str) -> Any:
    """The value with the environment's variables in its texts; what they hold is not YAML."""

    def found(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name in environment:
            return environment[name]
        if default is None:
            raise ConfigError(source, f"the environment variable {name} is not set")
        return str(default)

    match value:
        case str():
            return _VARIABLE.sub(found, value)
        case dict():
            return {key: _filled_in(item, environment, source) for key, item in value.items()}
        case list():
            return [_filled_in(item, environment, source) for item in value]
        case _:
            return value
