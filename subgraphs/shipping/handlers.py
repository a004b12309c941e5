"""What staff do with shipments and rates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from eventstore import Actor, Appended, Idempotency, IdempotencyKeyReused, Metadata, Streams
from eventstore.store import EventStore
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue, KeyReused, NotFound, VersionChanged
from subgraphs.shared.graphql import RequestContext
from subgraphs.shared.ids import check_id, derived_id
from subgraphs.shipping.domain import (
    RateRow,
    RateTable,
    Shipment,
    TrackingStatus,
    rates_of,
)
from subgraphs.shipping.events import ParcelLine
from subgraphs.shipping.planning import Planning

Context = RequestContext[Any]

SHIPS = (Role.STAFF, Role.ADMIN)
"""Roles that may plan, send, track and cancel shipments, and set rates."""

TEXT_CHARACTERS_MAX = 200
LINES_MAX = 500


class _Outcome(msgspec.Struct, frozen=True):
    """What is kept with the idempotency key: enough to answer a repeat."""

    command_id: str
    shipment_id: str


class ShippingHandlers:
    """The commands. Each checks its caller and gives a receipt."""

    def __init__(
        self, store: EventStore, streams: Streams, commands: Commands, planning: Planning
    ) -> None:
        self._store, self._streams = store, streams
        self._commands, self._planning = commands, planning

    async def create(
        self,
        context: Context,
        order_id: str,
        lines: Sequence[ParcelLine],
        *,
        warehouse_id: str | None,
        key: str,
    ) -> Done[Shipment]:
        """Plan a shipment of some lines of an order.

        Raises NothingToShip, ExceedsOrder (as Refusals), KeyReused.
        """
        user_id = context.caller.require_role("create shipments", *SHIPS)
        check_id(order_id, "ord", path=["input", "orderId"])
        if not 0 < len(lines) <= LINES_MAX:
            raise InvalidValue(
                f"{len(lines)} lines: give 1 to {LINES_MAX}", path=["input", "lines"]
            )
        body = [order_id, list(lines), warehouse_id]
        idempotency = self._commands.idempotency(context, key, "createShipment", body)
        if (seen := await self._seen(idempotency)) is not None:
            return seen
        metadata = context.metadata()
        shipment_id = derived_id("shp", order_id, user_id, key)
        try:
            appended = await self._planning.plan(
                order_id=order_id,
                shipment_id=shipment_id,
                lines=lines,
                warehouse_id=warehouse_id,
                metadata=metadata,
                idempotency=idempotency,
                outcome=_outcome(metadata, shipment_id),
            )
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        return await self._done(appended, metadata, shipment_id)

    async def cancel(
        self,
        context: Context,
        shipment_id: str,
        reason: str,
        *,
        expected_version: int | None,
        key: str,
    ) -> Done[Shipment]:
        """Cancel a shipment whose goods are still here; its lines can be planned anew.

        Raises NotFound, ShipmentNotIn, VersionChanged, KeyReused.
        """
        context.caller.require_role("cancel shipments", *SHIPS)
        why = _text("reason", reason)
        body = [shipment_id, why, expected_version]
        idempotency = self._commands.idempotency(context, key, "cancelShipment", body)
        if (seen := await self._seen(idempotency)) is not None:
            return seen
        shipment = await self._existing(shipment_id, expected_version)
        metadata = context.metadata()
        try:
            appended = await self._planning.withdraw(
                shipment,
                why,
                metadata=metadata,
                idempotency=idempotency,
                outcome=_outcome(metadata, shipment_id),
            )
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        return await self._done(appended, metadata, shipment_id)

    async def mark_shipped(
        self,
        context: Context,
        shipment_id: str,
        carrier: str,
        tracking_number: str,
        *,
        expected_version: int | None,
        key: str,
    ) -> Done[Shipment]:
        """Say that goods have left. Raises NotFound, ShipmentNotIn, VersionChanged, KeyReused."""
        context.caller.require_role("mark shipments as shipped", *SHIPS)
        check_id(shipment_id, "shp", path=["shipmentId"])
        by, number = _text("carrier", carrier), _text("trackingNumber", tracking_number)
        return await self._commands.run(
            context,
            Shipment,
            shipment_id,
            lambda shipment: _found(shipment).dispatch(by, number),
            operation="markShipped",
            expected_version=expected_version,
            idempotency_key=key,
            body=[shipment_id, by, number, expected_version],
        )

    async def track(
        self,
        context: Context,
        shipment_id: str,
        status: TrackingStatus,
        *,
        at: datetime | None,
        location: str | None,
        expected_version: int | None,
    ) -> Done[Shipment]:
        """Write down what a carrier says. Raises NotFound, ShipmentNotIn, VersionChanged."""
        context.caller.require_role("track shipments", *SHIPS)
        check_id(shipment_id, "shp", path=["shipmentId"])
        when = at or context.clock()
        if when.tzinfo is None:
            raise InvalidValue("give the time with its zone", path=["at"])
        where = None if location is None else _text("location", location)
        return await self._commands.run(
            context,
            Shipment,
            shipment_id,
            lambda shipment: _found(shipment).track(status, when, where),
            operation="trackShipment",
            expected_version=expected_version,
        )

    async def set_rate(
        self, context: Context, row: RateRow, *, reason: str, key: str
    ) -> Done[RateTable]:
        """Set a row of the rate table. Raises InvalidRate, UnknownCurrency, KeyReused."""
        context.caller.require_role("set shipping rates", *SHIPS)
        why = _text("reason", reason)
        return await self._commands.run(
            context,
            RateTable,
            rates_of(row.option_id),
            lambda table: table.set(row),
            operation="setShippingRate",
            idempotency_key=key,
            body=[row, why],
            reason=why,
        )

    async def seed_rates(self, rows: Sequence[RateRow], now: datetime) -> None:
        """Set the first rates of options that have none: what staff set later stays."""
        by_option: dict[str, list[RateRow]] = {}
        for row in rows:
            by_option.setdefault(row.option_id, []).append(row)
        for option_id, wanted in by_option.items():
            command = derived_id("cmd", "seed rates", option_id)
            await self._streams.execute(
                RateTable,
                rates_of(option_id),
                lambda table, wanted=wanted: (  # type: ignore[misc]
                    [] if table.rows else [event for row in wanted for event in table.set(row)]
                ),
                metadata=Metadata(
                    actor=Actor("service", "shipping"),
                    command_id=command,
                    correlation_id=command,
                    reason="the rates a shop starts with",
                    occurred_at=now,
                ),
            )

    async def _existing(self, shipment_id: str, expected_version: int | None) -> Shipment:
        check_id(shipment_id, "shp", path=["shipmentId"])
        shipment, version = await self._streams.load(Shipment, shipment_id)
        _found(shipment)
        if expected_version is not None and expected_version != version:
            raise VersionChanged(shipment_id, expected_version, version)
        return shipment

    async def _seen(self, idempotency: Idempotency | None) -> Done[Shipment] | None:
        if idempotency is None:
            return None
        try:
            appended = await self._store.replayed(idempotency)
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        return None if appended is None else await self._repeated(appended)

    async def _repeated(self, appended: Appended) -> Done[Shipment]:
        outcome = msgspec.json.decode(appended.outcome, type=_Outcome)
        shipment, _ = await self._streams.load(Shipment, outcome.shipment_id)
        receipt = self._commands.receipt(appended, outcome.shipment_id, outcome.command_id)
        return Done(outcome.shipment_id, shipment, receipt)

    async def _done(
        self, appended: Appended | None, metadata: Metadata, shipment_id: str
    ) -> Done[Shipment]:
        assert appended is not None, "an append with an idempotency key is always made"
        if appended.replayed:
            return await self._repeated(appended)
        shipment, _ = await self._streams.load(Shipment, shipment_id)
        receipt = self._commands.receipt(appended, shipment_id, metadata.command_id)
        return Done(shipment_id, shipment, receipt)


def _found(shipment: Shipment) -> Shipment:
    if not shipment.exists:
        raise NotFound("shipment", shipment.id, path=["shipmentId"])
    return shipment


def _text(name: str, value: str) -> str:
    stripped = value.strip()
    if not 0 < len(stripped) <= TEXT_CHARACTERS_MAX:
        raise InvalidValue(f"{name} has 1 to {TEXT_CHARACTERS_MAX} characters", path=[name])
    return stripped


def _outcome(metadata: Metadata, shipment_id: str) -> bytes:
    return msgspec.json.encode(_Outcome(metadata.command_id, shipment_id))
