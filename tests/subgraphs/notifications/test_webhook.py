"""Webhooks, given, when, then; and where they may not lead."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from eventstore.event import Event
from subgraphs.notifications.post import Poster, PostFailed
from subgraphs.notifications.webhook import (
    ATTEMPTS_MAX,
    Webhook,
    WebhookDelivery,
    new_secret,
    signature,
)
from subgraphs.notifications.webhook_events import (
    WebhookCreated,
    WebhookDelivered,
    WebhookDeliveryFailed,
    WebhookDeliveryQueued,
    WebhookDisabled,
)
from subgraphs.shared.errors import InvalidValue, NotFound
from tests.support.given import given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://shop.example/hooks?x=1"
CREATED = WebhookCreated("whk_1", URL, ["order.confirmed"], "usr_1", NOW)
QUEUED = WebhookDeliveryQueued("whd_1", "whk_1", "evt_1", "order.confirmed", "{}")


def create(webhook: Webhook, url: str = URL, *types: str, insecure: bool = False) -> list[Event]:
    wanted = types or ("order.confirmed",)
    return webhook.create(url, wanted, by="usr_1", insecure=insecure, now=NOW)


def test_create() -> None:
    given(Webhook, "whk_1").when(create).then(CREATED)
    given(Webhook, "whk_1", CREATED).when(create).then_nothing()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example/",
        "http://shop.example/",
        "https://",
        "https://user:password@shop.example/",
        "https://:password@shop.example/",
        "https://shop.example:99999/",
        "https://[shop.example/",
        "https://shop.example/a b",
        "https://shop.example/\r\nx: y",
        "https://shop.example/ñ",
        "https://shop.example/" + "x" * 500,
    ],
)
def test_not_every_url_will_do(url: str) -> None:
    refusal = (
        given(Webhook, "whk_1").when(lambda w: create(w, url)).then_raises(InvalidValue, "https")
    )
    assert refusal.path == ["url"]


def test_plain_http_only_where_it_is_allowed() -> None:
    assert create(Webhook("whk_1"), "http://localhost:8000/", insecure=True)


def test_only_what_can_be_told() -> None:
    given(Webhook, "whk_1").when(lambda w: create(w, URL, "user.registered")).then_raises(
        InvalidValue, "order.placed"
    )
    empty = Webhook("whk_1")
    with pytest.raises(InvalidValue):
        empty.create(URL, [], by="usr_1", insecure=False, now=NOW)


def test_disable() -> None:
    disabled = WebhookDisabled("whk_1", "moved")
    given(Webhook, "whk_1", CREATED).when(lambda w: w.disable("moved")).then(disabled)
    given(Webhook, "whk_1", CREATED, disabled).when(lambda w: w.disable("x")).then_nothing()
    given(Webhook, "whk_1").when(lambda w: w.disable("x")).then_raises(NotFound)


def test_a_delivery_is_tried_until_it_is_taken_or_given_up() -> None:
    delivered = WebhookDelivered("whd_1", "whk_1", 204)
    given(WebhookDelivery, "whd_1", QUEUED).when(lambda d: d.deliver(204)).then(delivered)
    given(WebhookDelivery, "whd_1", QUEUED, delivered).when(
        lambda d: d.fail("x", NOW)
    ).then_nothing()
    events: list[Event] = [QUEUED]
    pauses = []
    for _ in range(ATTEMPTS_MAX):
        (failed,) = given(WebhookDelivery, "whd_1", *events).state.fail("status 500", NOW)
        assert isinstance(failed, WebhookDeliveryFailed)
        pauses.append(failed.retry_at and (failed.retry_at - NOW) // timedelta(seconds=1))
        events.append(failed)
    assert pauses == [5, 25, 125, 625, 3125, 15625, 21600, None]
    assert given(WebhookDelivery, "whd_1", *events).state.done
    gone = WebhookDeliveryFailed("whd_1", "whk_1", 1, "status 410", None)
    given(WebhookDelivery, "whd_1", QUEUED).when(
        lambda d: d.fail("status 410", NOW, for_good=True)
    ).then(gone)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    secret = new_secret()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 24
    signed = hmac.new(key, b"whd_1.1700000000.{}", hashlib.sha256).digest()
    assert signature(secret, "whd_1", 1700000000, "{}") == "v1," + base64.b64encode(signed).decode()
    published = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    assert (
        signature(published, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]"])
async def test_nothing_is_posted_into_our_own_network(host: str) -> None:
    with pytest.raises(PostFailed, match="not on the public internet") as caught:
        await Poster().post(f"https://{host}/", b"{}", {})
    assert caught.value.for_good


async def test_a_host_that_is_not_there_is_a_failure_for_now() -> None:
    with pytest.raises(PostFailed) as caught:
        await Poster(private_allowed=True).post("http://127.0.0.1:9/", b"{}", {})
    assert not caught.value.for_good
