"""The report of a replay: for people, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from lonja.demo.account import Account, Speed
from lonja.output import console
from lonja.trace import drawn


def report_json(account: Account) -> dict[str, Any]:
    """The report's facts, named; money in cents, times in seconds."""
    return {
        "baskets": account.baskets,
        "offset": account.offset,
        "reconciles": account.reconciles,
        "checks": [
            {"what": c.what, "shop": c.shop, "expected": c.expected, "agrees": c.agrees}
            for c in account.checks
        ],
        "orders_by_status": account.orders_by_status,
        "rejections": account.rejections,
        "refused_lines": account.refused_lines,
        "captured_cents": account.captured_cents,
        "speed": {
            **asdict(account.speed),
            "orders_per_second": account.speed.orders / account.speed.seconds,
            "events_per_second": account.speed.events / account.speed.seconds,
        },
        "trace": asdict(account.trace) if account.trace else None,
        "order_page": account.order_page,
    }


def print_report(account: Account) -> None:
    """Print the report to the terminal."""
    console.print(
        f"\n[bold]Baskets {account.offset + 1} to {account.offset + account.baskets}[/bold] of "
        "The Complete Journey (84.51°; simulated data, for educational use), in time order\n"
    )
    console.print(_checks(account))
    _print_counts("Orders", account.orders_by_status)
    _print_counts("Baskets not confirmed", account.rejections)
    _print_counts("Lines refused by the shop", account.refused_lines)
    if account.trace is not None:
        console.print("\n[bold]One order, and everything its placement led to[/bold]")
        console.print(drawn(account.trace))
    console.print()
    console.print(_speed(account.speed))
    verdict = "[green]reconciles[/green]" if account.reconciles else "[red]DOES NOT RECONCILE[/red]"
    console.print(f"\nThe account {verdict}.")


def _checks(account: Account) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("", "left"), ("the shop says", "right"), ("it should be", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]  # a literal
    table.add_column("")
    for check in account.checks:
        mark = "[green]agrees[/green]" if check.agrees else "[bold red]DIFFERS[/bold red]"
        table.add_row(check.what, _shown(check.shop), _shown(check.expected), mark)
    return table


def _print_counts(title: str, counts: dict[str, int]) -> None:
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
    console.print(f"\n[bold]{title}:[/bold] {listed}")


def _speed(speed: Speed) -> str:
    memory = (
        f"; {speed.peak_memory_bytes / 2**20:,.0f} MiB at most, PostgreSQL included"
        if speed.peak_memory_bytes
        else ""
    )
    return (
        f"[bold]Speed:[/bold] {speed.orders:,} orders and {speed.events:,} events in "
        f"{speed.seconds:.1f} s: {speed.orders / speed.seconds:.1f} orders/s, "
        f"{speed.events / speed.seconds:,.0f} events/s; {speed.requests:,} requests over HTTP, "
        f"half within {speed.request_p50 * 1000:.1f} ms, 99 % within "
        f"{speed.request_p99 * 1000:.0f} ms{memory}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} {count}" for name, count in sorted(value.items())) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
