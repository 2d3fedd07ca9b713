"""A calculator's result as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from margin.calculator import Result

NONE = "none"
_WIDEST = 160  # where there is no terminal to fit into


def print_result(result: Result, console: Console | None = None) -> None:
    """Print a portfolio's requirement, positions, orders, collateral, scenarios and notes.

    Args:
        result: of :func:`margin.calculator.calculate`.
        console: default standard output, as wide as its terminal.
    """
    out = console or Console()
    if not out.is_terminal:
        out.width = max(out.width, _WIDEST)
    basis = ", maintenance at entry value" if result.mm_basis == "entry" else ""
    out.print(f"[bold]{result.regime}[/bold] ({result.layout}{basis}): {result.summary}", highlight=False)
    out.print(_summary(result))
    out.print(_positions(result))
    if result.orders:
        orders = [(o.contract, o.side, amount(o.size), price(o.price), amount(o.reserve)) for o in result.orders]
        out.print(_table("Open orders", ("contract", "side", "size", "price", f"reserve {result.currency}"), orders))
    if result.collateral:
        header = ("currency", "amount", "price", f"value {result.currency}", "haircut", "counted")
        out.print(
            _table(
                "Collateral",
                header,
                [
                    (
                        c.currency,
                        amount(c.amount),
                        price(c.price),
                        amount(c.value),
                        f"{c.haircut:.2%}",
                        amount(c.counted),
                    )
                    for c in result.collateral
                ],
            )
        )
    for title, parts in (("Initial", result.parts), ("Maintenance", result.maintenance_parts)):
        lines = [(name.replace("_", " "), amount(part)) for name, part in parts.items()]
        out.print(_table(f"{title} requirement, part by part", ("part", result.currency), lines))
    if result.underlyings:
        header = ("underlying", "price", "liquidated at or below", "at or above", "bankrupt below", "above")
        out.print(
            _table(
                "Account, as one underlying moves and all else is held",
                header,
                [
                    (name, *(price(p) for p in (u.price, u.liquidation_below, u.liquidation_above, u.bankruptcy_below,
                                                u.bankruptcy_above)))
                    for name, u in result.underlyings.items()
                ],
            )
        )  # fmt: skip
    if result.scenarios:
        worst = max(s.loss * s.weight for s in result.scenarios)
        rows = [
            (s.name, amount(s.loss), f"{s.weight:.4g}", "worst" if s.loss * s.weight == worst > 0 else "")
            for s in result.scenarios
        ]
        out.print(_table("Scenarios", ("scenario", f"loss {result.currency}", "weight", ""), rows))
    for i, note in enumerate(result.notes):
        out.print(f"{'' if i else chr(10)}Note: {note}.", highlight=False)


def _summary(result: Result) -> Group:
    rows = [("equity", amount(result.equity))]
    if result.margin_equity != result.equity:
        rows.append(("equity that counts as margin", amount(result.margin_equity)))
    rows += [
        ("initial requirement", amount(result.initial)),
        ("maintenance requirement", amount(result.maintenance)),
        ("excess over initial", amount(result.excess)),
        ("excess over maintenance", amount(result.maintenance_excess)),
        ("leverage", NONE if result.leverage is None else f"{result.leverage:.4g}"),
    ]
    return _table("Account", ("", result.currency), rows)


def _positions(result: Result) -> Group:
    isolated = result.layout == "isolated"
    header = ["contract", "size", "entry", "mark", "value", "profit"]
    header += ["pocket"] if isolated else []
    header += ["initial", "maintenance", "liquidation price", "bankruptcy price"]
    rows = []
    for p in result.positions:
        row = [p.contract, amount(p.size), price(p.entry), price(p.mark), f"{amount(p.value)} {p.currency}"]
        row += [amount(p.profit)]
        row += [amount(p.margin or 0.0)] if isolated else []
        row += [amount(p.initial), amount(p.maintenance), price(p.liquidation_price), price(p.bankruptcy_price)]
        rows.append(tuple(row))
    title = "Positions" if isolated else "Positions (initial and maintenance of each alone)"
    return _table(title, header, rows)


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Group:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return Group(Text(f"\n{title}", style="bold"), table)


def amount(value: float) -> str:
    """Money or a size: thousands apart, two decimals, more for small numbers."""
    if value == 0.0 or abs(value) < 5e-8:
        return "0"
    if abs(value) >= 1_000:
        return f"{value:,.2f}"
    text = f"{value:.6g}"
    return text if "e" not in text else f"{value:.8f}".rstrip("0")


def price(value: float | None) -> str:
    """A price, or that there is none."""
    return NONE if value is None else f"{value:,.2f}" if value >= 1_000 else f"{value:.6g}"
