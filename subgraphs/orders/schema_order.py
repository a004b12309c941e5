"""Orders in the schema. Only their customer and staff see one: to others it is null."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import msgspec
import strawberry

from eventstore.audit.as_of import Time
from subgraphs.orders.cart_handlers import ACTS_FOR_OTHERS, SEES_OTHERS
from subgraphs.orders.order_handlers import RESUMES
from subgraphs.orders.parts import Shortage
from subgraphs.orders.placement_states import Rejection
from subgraphs.orders.reads import NEWEST
from subgraphs.orders.schema_cart import Cart, visible_cart
from subgraphs.orders.schema_common import DeliveryAddress, DestinationType, Info, ProductVariant
from subgraphs.orders.views import LineView, OrderView, Row
from subgraphs.shared.graphql import CountedConnection, MoneyType, Node, field
from subgraphs.shared.ids import is_id
from subgraphs.shared.paging import read_page
from subgraphs.shared.reading import asked


@strawberry.enum
class OrderStatus(Enum):
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    COMPLETED = "COMPLETED"


@strawberry.enum(description="How far the placement process has come.")
class PlacementStep(Enum):
    RESERVING_STOCK = "RESERVING_STOCK"
    AUTHORIZING_PAYMENT = "AUTHORIZING_PAYMENT"
    AWAITING_CUSTOMER = "AWAITING_CUSTOMER"
    CONFIRMING = "CONFIRMING"
    FULFILLING = "FULFILLING"
    COMPENSATING = "COMPENSATING"
    DONE = "DONE"
    NEEDS_OPERATOR = "NEEDS_OPERATOR"


strawberry.enum(
    Rejection, name="RejectionReason", description="Why the shop could not take an order."
)


@strawberry.federation.type(description="A line the shop did not have enough of.")
class LineShortage:
    order_line_id: strawberry.ID
    variant: ProductVariant | None = strawberry.federation.field(provides=["sku"])
    requested: int
    available: int

    @classmethod
    def of(cls, shortage: Shortage) -> LineShortage:
        return cls(
            order_line_id=strawberry.ID(shortage.line_id),
            variant=ProductVariant(id=strawberry.ID(shortage.variant_id), sku=shortage.sku),
            requested=shortage.requested,
            available=shortage.available,
        )


@strawberry.type
class OrderRejection:
    reason: Rejection
    decline_code: str | None
    shortages: list[LineShortage]


@strawberry.type
class Discount:
    code: str | None
    label: str
    amount: MoneyType


@strawberry.type(description="A plain value: nothing in it is of today.")
class OrderSnapshot:
    version: int
    at: datetime
    state: str = strawberry.field(description="The order's state as JSON text.")
    without_versions: list[int] = strawberry.field(
        description="Of those up to `version`: recorded before its event, but happened later."
    )


@strawberry.federation.type(shareable=True)
class FieldChange:
    path: str
    before: str | None
    after: str | None
    event_id: strawberry.ID


@strawberry.federation.type(keys=["id"], description="What was agreed: it does not change.")
class OrderLine:
    id: strawberry.ID
    variant: ProductVariant | None = strawberry.federation.field(provides=["sku"])
    title_at_purchase: str
    unit_price: MoneyType
    quantity: int
    quantity_fulfilled: int
    discount: MoneyType
    total: MoneyType

    @classmethod
    def of(cls, line: LineView) -> OrderLine:
        return cls(
            id=strawberry.ID(line.id),
            variant=ProductVariant(id=strawberry.ID(line.variant_id), sku=line.sku),
            title_at_purchase=line.title,
            unit_price=MoneyType.minor(line.unit_price_minor, line.currency),
            quantity=line.quantity,
            quantity_fulfilled=line.quantity_fulfilled,
            discount=MoneyType.minor(line.discount_minor, line.currency),
            total=MoneyType.minor(line.total_minor, line.currency),
        )

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> OrderLine | None:
        if not is_id(str(id), "lin"):
            return None
        found = await info.context.loader(info.context.resources.reads.lines).load(str(id))
        if found is None or not info.context.caller.may_see(found[1], *SEES_OTHERS):
            return None
        return cls.of(found[0])


@strawberry.federation.type(keys=["id"])
class Order(Node):
    version: int
    number: str
    status: OrderStatus
    placement: PlacementStep
    placed_at: datetime
    view: strawberry.Private[OrderView]

    @classmethod
    def of(cls, view: OrderView) -> Order:
        return cls(
            id=strawberry.ID(view.id),
            version=view.version,
            number=view.number,
            status=OrderStatus(view.status),
            placement=PlacementStep(view.placement),
            placed_at=view.placed_at,
            view=view,
        )

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Order | None:
        return await visible_order(info, str(id))

    @strawberry.field
    def customer(self) -> User | None:
        return User(id=strawberry.ID(self.view.customer_id))

    @strawberry.field
    async def lines(self, info: Info) -> list[OrderLine]:
        lines = self.view.lines
        if lines is None:
            loader = info.context.loader(info.context.resources.reads.lines_of)
            lines = await loader.load(self.view.id) or []
        return [OrderLine.of(line) for line in lines]

    @field("Those granted on lines are taken off the lines' totals already.")
    def discounts(self) -> list[Discount]:
        return [
            Discount(
                code=discount.code,
                label=discount.label,
                amount=self._money(discount.amount_minor),
            )
            for discount in self.view.discounts
        ]

    @field("Before discounts.")
    def subtotal(self) -> MoneyType:
        return self._money(self.view.subtotal_minor)

    @field("What comes on top of the prices, which include tax.")
    def tax(self) -> MoneyType:
        return self._money(self.view.tax_minor)

    @strawberry.field
    def shipping_total(self) -> MoneyType:
        return self._money(self.view.shipping_minor)

    @field("Subtotal less discounts, plus tax and shipping.")
    def total(self) -> MoneyType:
        return self._money(self.view.total_minor)

    @strawberry.field
    def destination(self) -> DestinationType | None:
        return DestinationType.of(self.view.destination)

    @strawberry.field
    def address(self) -> DeliveryAddress | None:
        return DeliveryAddress.of(self.view.destination)

    @strawberry.field
    async def cart(self, info: Info) -> Cart | None:
        return await visible_cart(info, self.view.cart_id)

    @field("Why it was cancelled, or is to be.")
    def cancel_reason(self) -> str | None:
        return None if self.view.status == "REJECTED" else self.view.reason

    @field("Why the shop could not take it; null unless it is rejected.")
    def rejection(self) -> OrderRejection | None:
        if self.view.status != "REJECTED" or self.view.reason is None:
            return None
        return OrderRejection(
            reason=Rejection(self.view.reason),
            decline_code=self.view.decline_code,
            shortages=[LineShortage.of(shortage) for shortage in self.view.shortages],
        )

    @field("For operators: why the placement needs one.")
    def operator_reason(self, info: Info) -> str | None:
        seen = info.context.caller.has(*SEES_OTHERS) and self.view.placement == "NEEDS_OPERATOR"
        return self.view.operator_reason if seen else None

    @field("Mutations that the caller may send for this order now.")
    def allowed_actions(self, info: Info) -> list[str]:
        view, caller = self.view, info.context.caller
        actions = []
        open_yet = view.status in ("PENDING", "CONFIRMED") and not view.shipped
        if open_yet and caller.may_see(view.customer_id, *ACTS_FOR_OTHERS):
            actions.append("requestCancellation")
        if view.placement == "NEEDS_OPERATOR" and caller.has(*RESUMES):
            actions.append("resumePlacement")
        return actions

    @field(
        "The order as it was at a version, or at a time: as far as it was recorded by then, or "
        "`by: OCCURRED` by what is known now. Null before it was placed."
    )
    async def as_of(
        self,
        info: Info,
        version: int | None = None,
        at: datetime | None = None,
        by: Time = Time.RECORDED,
    ) -> OrderSnapshot | None:
        asked(info, of=self.view.id)
        history = info.context.resources.history
        snapshot = await history.as_of(self.view.id, version=version, at=at, by=by)
        if snapshot is None:
            return None
        info.context.reading.saw(snapshot.state.encode(), events=snapshot.version)
        return OrderSnapshot(
            version=snapshot.version,
            at=snapshot.at,
            state=snapshot.state,
            without_versions=list(snapshot.without),
        )

    @field("What differs between two versions, with the events that made it so.")
    async def diff(self, info: Info, from_version: int, to_version: int) -> list[FieldChange]:
        asked(info, of=self.view.id)
        found = await info.context.resources.history.diff(self.view.id, from_version, to_version)
        info.context.reading.saw(
            msgspec.json.encode([(change.before, change.after) for change in found]),
            events=len({change.event_id for change in found}),
        )
        return [
            FieldChange(
                path=change.path,
                before=change.before,
                after=change.after,
                event_id=strawberry.ID(str(change.event_id)),
            )
            for change in found
        ]

    def _money(self, minor: int) -> MoneyType:
        return MoneyType.minor(minor, self.view.currency)


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> User:  # noqa: A002
        return cls(id=id)

    @field("Newest first. Only they and staff see any.")
    async def orders(
        self, info: Info, first: int, after: str | None = None
    ) -> CountedConnection[Order] | None:
        page = read_page(first, after, NEWEST)
        if not _sees(info, str(self.id)):
            return CountedConnection.of([], page, NEWEST, _order)
        reads = info.context.resources.reads

        async def pages(customers: Sequence[str]) -> dict[str, list[Row]]:
            return await reads.pages_of_customers(customers, page)

        loader = info.context.loader(pages, variant=(first, after))
        rows = await loader.load(str(self.id)) or []
        return CountedConnection.of(rows, page, NEWEST, _order)

    @field("The newest cart that is still open. Only they and staff see it.")
    async def active_cart(self, info: Info) -> Cart | None:
        if not _sees(info, str(self.id)):
            return None
        loader = info.context.loader(info.context.resources.reads.active_carts)
        view = await loader.load(str(self.id))
        return None if view is None else Cart.of(view)


def _sees(info: Info, user_id: str) -> bool:
    return is_id(user_id, "usr") and info.context.caller.may_see(user_id, *SEES_OTHERS)


async def visible_order(info: Info, order_id: str) -> Order | None:
    """The order, if there is one and the caller may see it."""
    if not is_id(order_id, "ord"):
        return None
    view = await info.context.loader(info.context.resources.reads.orders).load(order_id)
    if view is None or not info.context.caller.may_see(view.customer_id, *SEES_OTHERS):
        return None
    return Order.of(view)


def _order(row: Row) -> Order:
    return Order.of(OrderView.of_row(row))
