"""The payments service, put together.

Settings, all optional:
    provider                    a PaymentProvider, or "fake": the one that runs here
    seed                        what the fake's declines follow from, with the order (7)
    decline_rate                the share of orders it declines (0.0)
    lose_answers                the share of requests whose first answer it loses (0.0)
    delay_seconds               how long it takes for each request (0.0)
    action_seconds              how long customers may take to prove who they are (600)
    ask_seconds                 first pause before an unknown outcome is asked for (1.0)
    timer_poll_seconds          how often timers are looked at (0.5)

Feeds it listens to: orders, users.
"""

from __future__ import annotations

from eventstore import Streams
from eventstore.audit.as_of import History
from projections import ReadModels, TimerRunner, Timers
from subgraphs.payments import copies, live
from subgraphs.payments.copies import PaymentsOfOrders
from subgraphs.payments.domain.payment import Payment
from subgraphs.payments.driving import DrivePolicy, Driver
from subgraphs.payments.events import EVENTS
from subgraphs.payments.handlers import PaymentHandlers
from subgraphs.payments.mutations import SCHEMA
from subgraphs.payments.provider import FakeProvider, Fate, Faults, PaymentProvider
from subgraphs.payments.reactions import (
    PaymentRequests,
    PaymentTimers,
    ProviderCalls,
)
from subgraphs.payments.read_models import PROJECTIONS
from subgraphs.payments.reads import PaymentReads
from subgraphs.payments.schema import PaymentsResources
from subgraphs.shared.commands import Commands
from subgraphs.shared.forgetting import Forgetting
from subgraphs.shared.service import Service, ServiceContext


class PaymentsService(Service[PaymentsResources]):
    """The service, with its provider: connected before it, disconnected after it."""

    provider: PaymentProvider

    async def start(self) -> None:
        """Connect to the provider, then as every service."""
        await self.provider.start()
        try:
            await super().start()
        except BaseException:
            await self.provider.stop()
            raise

    async def stop(self) -> None:
        """As every service, then disconnect."""
        try:
            await super().stop()
        finally:
            await self.provider.stop()


def build(context: ServiceContext) -> PaymentsService:
    """Build the service; nothing is opened before it starts."""
    settings, clock = context.settings, context.clock
    store = context.event_store(EVENTS)
    streams, reads = Streams(store), ReadModels(context.conninfo, name=context.name)
    provider = chosen_provider(context)
    policy = DrivePolicy(
        action_seconds=float(settings.get("action_seconds", 600.0)),
        ask_seconds=float(settings.get("ask_seconds", 1.0)),
    )
    driver = Driver(store, streams, provider, Timers(), clock=clock, policy=policy)
    commands = Commands(store, streams, name=context.name, secret=context.internal_secret)
    service = PaymentsService(
        context,
        store=store,
        reads=reads,
        schema=SCHEMA,
        resources=PaymentsResources(
            PaymentHandlers(commands, streams), PaymentReads(reads), provider
        ),
        projections=PROJECTIONS,
        topics=live.topics,
        histories={"pay": History(Payment)},
        reactors=[
            PaymentRequests(streams, PaymentsOfOrders(reads), clock, provider.name),
            ProviderCalls(driver, clock),
            Forgetting(store, clock),
        ],
        background=[
            TimerRunner(
                store,
                PaymentTimers(streams, driver, clock).fire,
                clock=clock,
                poll_seconds=float(settings.get("timer_poll_seconds", 0.5)),
            )
        ],
        tables=copies.TABLES,
    )
    service.provider = provider
    return service


def chosen_provider(context: ServiceContext) -> PaymentProvider:
    """The provider of the settings. Raises ValueError for a name that no provider has."""
    settings = context.settings
    chosen = settings.get("provider", "fake")
    if not isinstance(chosen, str):
        provider: PaymentProvider = chosen
        return provider
    if chosen != "fake":
        raise ValueError(f"payment provider {chosen!r} is not known: the one there is, is 'fake'")
    return FakeProvider(
        context.conninfo,
        fate=Fate(
            seed=int(settings.get("seed", 7)),
            decline_rate=float(settings.get("decline_rate", 0.0)),
        ),
        faults=Faults(
            lose_answers=float(settings.get("lose_answers", 0.0)),
            delay_seconds=float(settings.get("delay_seconds", 0.0)),
        ),
    )
