"""The requests of the demo: what the shop's clients send, word for word."""

from __future__ import annotations

SIGN_IN = """
mutation SignIn($email: String!, $password: String!) {
  signIn(email: $email, password: $password) {
    accessToken expiresAt user { id } userErrors { code message }
  }
}
"""

REGISTER = """
mutation Register($input: RegisterUserInput!) {
  registerUser(input: $input) { user { id } userErrors { code message } }
}
"""

CREATE_WAREHOUSE = """
mutation CreateWarehouse($input: CreateWarehouseInput!) {
  createWarehouse(input: $input) { warehouse { id } userErrors { code message } }
}
"""

CREATE_PRODUCTS = """
mutation CreateProducts($input: CreateProductsInput!) {
  createProducts(input: $input) { receipt { position } userErrors { code message path } }
}
"""

CHANGE_PRICES = """
mutation ChangePrices($changes: [PriceChangeInput!]!, $key: ID!) {
  changePrices(changes: $changes, idempotencyKey: $key) {
    receipt { position } userErrors { code message path }
  }
}
"""

RECEIVE_STOCK = """
mutation ReceiveStock($input: ReceiveStockBatchInput!) {
  receiveStockBatch(input: $input) { userErrors { code message path } }
}
"""

CREATE_CART = """
mutation CreateCart($currency: CurrencyCode!, $key: ID!) {
  createCart(currency: $currency, idempotencyKey: $key) {
    cart { id } userErrors { code message }
  }
}
"""

FILL_CART = """
mutation FillCart($cart: ID!, $lines: [CartLineInput!]!) {
  setCartLines(cartId: $cart, lines: $lines) {
    cart { version total { amount } lines { id } } userErrors { code message path }
  }
}
"""

PLACE_ORDER = """
mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input) { order { id number total { amount } } userErrors { code message } }
}
"""

ORDERS_PAGE = """
query Orders($after: String) {
  orders(first: 100, after: $after) {
    edges { node {
      id number status total { amount } rejection { reason }
      payments { state captured { amount } authorized { amount } }
      shipments { state }
      notifications { template state }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

ORDER_TOTALS = """
query OrderTotals {
  orderTotals {
    byStatus { status count total { amount } }
    refusedLines { reason count }
  }
}
"""

STOCK_PAGE = """
query Stock($after: String) {
  stockItems(first: 100, after: $after) {
    edges { node { sku onHand reserved allocated totals { received sold } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

ORDER_PAGE = """
query OrderPage($id: ID!) {
  order(id: $id) {
    id number status placedAt total { amount currency }
    lines {
      quantity unitPrice { amount } titleAtPurchase
      variant { sku product { title } availability { state available } }
    }
    paymentStatus amountDue { amount }
    fulfillmentStatus shipments { state trackingNumber }
    customer { email displayName }
  }
}
"""

TRACE = """
query Trace($correlation: ID!, $after: String) {
  correlation(id: $correlation, first: 100, after: $after) {
    edges { node {
      id service streamId type causationId recordedAt actor { kind }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

HISTORY = """
query History($id: ID!) {
  node(id: $id) { ... on Order { history(first: 1) { edges { node { correlationId } } } } }
}
"""
