"""One self-contained HTML page for a comparison, and one for a single run.

The page needs no network and no other file: styles and figures are inside it, and its content policy forbids loading
anything. Figures are inline vector graphics whose colours follow the page, light or dark.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing.canvas import TITLE_ID
from experiments.drawing.palette import GRID, INK, MUTED, PAPER, RegimeStyle, regime_styles
from experiments.plots import FigureFile, figures
from experiments.vocabulary import (
    FAMILIES,
    Kind,
    Money,
    Scale,
    Shown,
    describe,
    number,
    order,
    places_of,
    scale_of,
    show,
)
from experiments.wording import (
    VERDICTS,
    cautions,
    compared,
    describe_difference,
    difference_scale,
    direction,
    headline,
    listing,
    measure_scales,
    p_text,
    placebo_sentence,
    summary_sentence,
    verdict_of,
)

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).with_name("templates")
REPORT = "report.html"
_INCIDENCE: dict[str, tuple[str, Kind]] = {
    "pnl": ("Profit and loss", "money"),
    "liquidated": ("Liquidated lots", "lots"),
    "share": ("Liquidated share of open interest", "fraction"),
    "bankrupt": ("Accounts without equity at the end", "count"),
    "fees": ("Fees paid", "money"),
    "against_off": ("Profit against the twin without liquidations", "money"),
    "claim": ("Claims on the venue", "money"),
    "paid": ("Paid", "money"),
    "owed": ("Owed and not paid", "money"),
}


@dataclass(frozen=True)
class Cell:
    """One number of a table: what is written, its interval, and a mark for a verdict."""

    shown: Shown
    verdict: str = ""
    arrow: str = ""
    word: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table of measures by regime."""

    name: str
    label: str
    unit: str
    cells: list[Cell | None]


@dataclass(frozen=True)
class Table:
    """A table with one column per regime."""

    title: str
    rows: list[Row]


def write_report(
    folder: Path,
    result: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    events: Mapping[str, pd.DataFrame] | None = None,
    causes: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write figures and the report of a comparison.

    Args:
        folder: Output folder; gets ``report.html`` and ``figures/``. Its ``manifest.json``, where there is one, gives
            command, versions and commit.
        result: What :func:`experiments.statistics.paired_summary` gives, with ``scenario``, ``reading``, ``seeds``,
            ``regimes``, ``baseline``; and where known ``incidence``, ``scales``, ``results_hash``, ``event_name``,
            ``event_step``, ``shown_seed``, ``dates``, ``money``, ``command``, ``complete``.
        tables: Regime -> rows of ``steps.parquet`` of the one seed shown in figures over time.
        events: Regime -> rows of ``events.parquet`` of that seed.
        causes: Regime -> rows of ``causes.parquet`` of that seed, where causes were recorded.

    Returns:
        Path of the page.
    """
    regimes = list(result["regimes"])
    styles = regime_styles(regimes)
    scales = measure_scales(result)
    drawn = figures(folder / "figures", result, tables, events, causes)
    holds, placebo = placebo_sentence(result)
    names = order(result["measures"])
    settings = result.get("statistics") or {}
    context = {
        "headline": headline(result),
        "cautions": cautions(result),
        "placebo": placebo,
        "placebo_holds": holds,
        "regimes": regimes,
        "baseline": result["baseline"],
        "reading": reading_sentence(result),
        "summaries": [(regime, summary_sentence(regime, result)) for regime in compared(result)],
        "means": _mean_tables(result, [n for n in names if describe(n).family != "event"], scales),
        "at_event": _mean_tables(result, [n for n in names if describe(n).family == "event"], scales),
        "differences": [_difference_table(regime, result, scales) for regime in compared(result)],
        "incidence": incidence_tables(result.get("incidence") or {}, regimes, Money.of(result)),
        "scale_factors": {r: _factor(f) for r, f in (result.get("scales") or {}).items() if r in regimes},
        "parameters": {r: _parameters(p) for r, p in (result.get("parameters") or {}).items() if r in regimes},
        "confidence": f"{100.0 * float(settings.get('confidence', 0.95)):g}",
        "level": f"{100.0 * float(settings.get('level', 0.05)):g}",
        "resamples": number(float(settings.get("resamples", 9999)), 0),
        "definitions": [(describe(n).label, n, describe(n).definition) for n in names],
        "title": f"{result['scenario']}: {listing(regimes)}",
        "kind": "comparison of margin regimes",
    }
    return write_page(folder, "compare.html.j2", context, result, drawn, styles)


def write_run_report(
    folder: Path,
    result: Mapping[str, Any],
    table: pd.DataFrame,
    events: pd.DataFrame | None = None,
    causes: pd.DataFrame | None = None,
) -> Path:
    """Write figures and the report of one run.

    Args:
        folder: Output folder; gets ``report.html`` and ``figures/``.
        result: ``scenario``, ``regime``, ``seed``, ``measures`` {measure: number}, and where known ``incidence``
            {population: {quantity: number}} and the entries that :func:`write_report` knows.
        table: Rows of ``steps.parquet``.
        events: Rows of ``events.parquet``.
        causes: Rows of ``causes.parquet``, where causes were recorded.

    Returns:
        Path of the page.
    """
    regime = str(result.get("regime") or "run")
    money = Money.of(result)
    measures: dict[str, Any] = dict(result["measures"])
    as_means = {name: {regime: {"mean": value, "n": 1}} for name, value in measures.items()}
    view = {**result, "regimes": [regime], "seeds": [result.get("seed", 0)], "regime": regime}
    scales = measure_scales({"measures": as_means, "money": result.get("money")})
    shown = ({} if rows is None else {regime: rows} for rows in (events, causes))
    drawn = figures(folder / "figures", view, {regime: table}, *shown)
    names = order(measures)
    incidence = {regime: result.get("incidence") or {}}
    context = {
        "regimes": [regime],
        "baseline": regime,
        "means": _mean_tables({**view, "measures": as_means}, names, scales),
        "incidence": incidence_tables(incidence, [regime], money),
        "owed": incidence_tables({regime: (result.get("owed") or {}).get("populations") or {}}, [regime], money),
        "definitions": [(describe(n).label, n, describe(n).definition) for n in names],
        "kind": "run",
        "title": f"{result['scenario']} under {regime}, seed {result.get('seed', 0)}",
        "headline": drawn[0].title + "." if drawn else "",
    }
    return write_page(folder, "run.html.j2", context, view, drawn, regime_styles([regime]))


def _factor(factor: Any) -> str:
    """A scale factor, or its mean and range over seeds."""
    if not isinstance(factor, Mapping):
        return number(float(factor), 4)
    mean, low, high = (factor.get(key) for key in ("mean", "smallest", "largest"))
    if low is None or high is None or low == high:
        return number(mean, 4)
    return f"{number(mean, 3)} on average ({number(low, 3)} to {number(high, 3)} over seeds)"


def _parameters(stated: Mapping[str, Any]) -> tuple[str, str]:
    """Rule and parameters of a regime, as one line each."""
    params = stated.get("params") or {}
    return str(stated.get("regime", "")), ", ".join(f"{key} = {_plain(value)}" for key, value in params.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {_plain(v)}" for k, v in value.items()) + "}"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def reading_sentence(result: Mapping[str, Any]) -> str:
    """What question the comparison answers: forked at an event, or whole runs."""
    reading = str(result.get("reading", "whole-run"))
    baseline = result["baseline"]
    if reading.startswith("forked"):
        event = result.get("event_name") or reading.removeprefix("forked at ").strip()
        return (
            f"Forked at {event}: every arm has the same history, open interest and margin ({baseline}) up to the "
            "event, and its own regime from then on. This asks what a regime does in a crisis, not what "
            "it does to leverage beforehand."
        )
    return (
        "Whole run: every arm has its own regime from the start, so regimes may meet the same stress with different "
        "open interest. This asks what a regime does altogether, its effect on leverage beforehand included; it is not "
        "the effect of the regime on a given crisis."
    )


def _mean_tables(result: Mapping[str, Any], names: Iterable[str], scales: Mapping[str, Scale]) -> list[Table]:
    """Means by regime, one table per family of measures."""
    by_family: dict[str, list[Row]] = {}
    for name in names:
        measure, scale = describe(name), scales[name]
        places = max((places_of(e, scale) for e in result["measures"][name].values()), default=0)
        cells: list[Cell | None] = []
        for regime in result["regimes"]:
            estimate = result["measures"][name].get(regime)
            difference = (result.get("differences") or {}).get(regime, {}).get(name)
            cells.append(None if estimate is None else _cell(name, show(estimate, scale, places=places), difference))
        by_family.setdefault(measure.family, []).append(Row(name, measure.label, scale.unit, cells))
    return [Table(FAMILIES[family], by_family[family]) for family in FAMILIES if family in by_family]


def _cell(name: str, shown: Shown, difference: Mapping[str, Any] | None) -> Cell:
    if not difference or describe(name).family == "event":
        return Cell(shown)
    what = verdict_of(difference)
    if what != "different":
        return Cell(shown, what)
    arrow = "▲" if (difference.get("mean") or 0.0) > 0.0 else "▼"
    return Cell(shown, what, arrow, direction(name, difference))


def _difference_table(regime: str, result: Mapping[str, Any], scales: Mapping[str, Scale]) -> dict[str, Any]:
    """Paired differences of one regime, with a sentence for each."""
    baseline, differences = str(result["baseline"]), result["differences"][regime]
    rows, sentences = [], []
    for name in order(n for n in differences if describe(n).family != "event"):
        difference = differences[name]
        scale = difference_scale(name, difference, result)
        what = verdict_of(difference)
        shown = show(difference, scale, difference=True)
        effect, reduction, needed = (difference.get(k) for k in ("effect", "variance_reduction", "required_n"))
        rows.append(
            {
                "label": describe(name).label,
                "name": name,
                "cell": _cell(name, shown, difference),
                "unit": scale.difference_unit,
                "up": difference.get("higher"),
                "down": difference.get("lower"),
                "n": difference.get("n"),
                "p": p_text(difference.get("p")),
                "p_holm": p_text(difference.get("p_holm")),
                "effect": number(effect, 2, signed=True) if effect is not None else "n/a",
                "reduction": number(reduction, 1 if reduction < 100.0 else 0) if reduction is not None else "n/a",
                "needed": "n/a" if needed is None else number(needed, 0) if needed < 10_000 else "> 9,999",
                "verdict": VERDICTS[what] if what != "different" else direction(name, difference),
            }
        )
        sentences.append(describe_difference(name, regime, baseline, difference, scale))
    return {"regime": regime, "rows": rows, "sentences": sentences, "summary": summary_sentence(regime, result)}


def incidence_tables(incidence: Mapping[str, Any], regimes: list[str], money: Money) -> list[Table]:
    """Who pays: one table per quantity, a row per population. Accepts numbers or estimates ``{mean, low, high, n}``."""
    quantities = list(dict.fromkeys(q for by in incidence.values() for values in by.values() for q in values))
    populations = list(dict.fromkeys(p for by in incidence.values() for p in by))
    made = []
    for quantity in quantities:
        title, kind = _INCIDENCE.get(quantity, (quantity.replace("_", " ").capitalize(), "number"))
        found = {(p, r): _estimate(incidence.get(r, {}).get(p, {}).get(quantity)) for p in populations for r in regimes}
        scale = scale_of(kind, [e.get("mean") for e in found.values() if e], money)
        rows = []
        for p in populations:
            row = [found[p, r] for r in regimes]
            places = max((places_of(e, scale) for e in row if e), default=0)
            cells = [Cell(show(e, scale, places=places)) if e else None for e in row]
            rows.append(Row(p, p, scale.unit, cells))
        made.append(Table(title if not scale.unit or title.endswith(scale.unit) else f"{title}, {scale.unit}", rows))
    return made


def _estimate(value: Any) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    return {"mean": float(value), "low": None, "high": None, "n": 1}


def reproduction(folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """Command, seeds, versions, commit and hash, from the result and from the folder's manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    environment = manifest.get("environment") or {}
    versions = dict(result.get("versions") or environment.get("versions") or {})
    if environment.get("python"):
        versions = {"python": environment["python"], **versions}
    return {
        "command": str(result.get("command") or command_line(result)),
        "seeds": seed_ranges(result.get("seeds") or []),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "commit": result.get("commit") or environment.get("commit"),
        "platform": environment.get("platform"),
        "results_hash": result.get("results_hash") or manifest.get("results_hash"),
    }


def command_line(result: Mapping[str, Any]) -> str:
    """The command that makes a result again, from what the result says."""
    if "baseline" not in result:
        return f"marginlab run {result['scenario']} --seed {result.get('seed', 0)}"
    parts = [f"marginlab compare {result['scenario']} --margin {','.join(result['regimes'])}"]
    reading = str(result.get("reading", ""))
    if reading.startswith("forked"):
        parts.append(f"--fork-at {result.get('event_name') or reading.removeprefix('forked at ').strip()}")
    seeds = [int(s) for s in result.get("seeds") or []]
    if seeds:
        first, last = seeds[0], seeds[-1]
        parts.append(f"--seeds {last + 1}" if first == 0 else f"--seeds {first}:{last + 1}")
    return " ".join(parts)


def seed_ranges(seeds: Iterable[Any]) -> str:
    """Write seeds as ranges.

    Examples:
        >>> seed_ranges([0, 1, 2, 7])
        '0-2, 7 (4 seeds)'
    """
    ordered = sorted(int(s) for s in seeds)
    runs: list[list[int]] = []
    for seed in ordered:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"{text} ({len(ordered)} {'seed' if len(ordered) == 1 else 'seeds'})"


def inline_svg(figure: FigureFile, styles: Mapping[str, RegimeStyle]) -> str:
    """A figure's vector file as an element of the page: own identifiers, page colours, alternative text.

    Fixed colours become style variables, so that a figure follows a dark page; identifiers get the figure's name, so
    that several figures can share a page; coordinates are cut to hundredths of a point.
    """
    text = figure.svg.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<\?xml.*?\?>|<!--.*?-->", "", text, flags=re.DOTALL)
    opening, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', opening)
    if box is None:
        raise ValueError(f"{figure.svg} has no viewBox")
    left, top, width, height = (float(x) for x in box.group(1).split())
    start = body.find(f'<g id="{TITLE_ID}">')
    if start >= 0:  # the page sets the title in its own type
        body = body[:start] + body[_group_end(body, start) :]
        top, height = top + figure.title_height, height - figure.title_height
    prefix = f"{figure.name}-"
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'xlink:href="#', f'href="#{prefix}', body)
    body = re.sub(r"url\(#", f"url(#{prefix}", body)
    body = re.sub(r' d="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m.group()), body)
    colors = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"}
    colors |= {style.color: f"--regime-{i}" for i, style in enumerate(dict.fromkeys(styles.values()))}
    for color, variable in colors.items():
        body = body.replace(color, f"var({variable})")
    body = re.sub(r"\n\s*", "\n", body)
    label = f'<title id="{prefix}title">{html.escape(figure.title)}</title>'
    alt = f'<desc id="{prefix}desc">{html.escape(figure.alt)}</desc>'
    return (
        f'<svg role="img" viewBox="{left:g} {top:g} {width:g} {height:g}" aria-labelledby="{prefix}title" '
        f'aria-describedby="{prefix}desc">{label}{alt}{body}'
    )


def _group_end(text: str, start: int) -> int:
    """Where the group that opens at ``start`` ends."""
    depth = 0
    for tag in re.finditer(r"<g[ >]|</g>", text[start:]):
        depth += -1 if tag.group() == "</g>" else 1
        if depth == 0:
            return start + tag.end()
    return len(text)


def write_page(
    folder: Path,
    template: str,
    context: Mapping[str, Any],
    result: Mapping[str, Any],
    drawn: list[FigureFile],
    styles: Mapping[str, RegimeStyle],
) -> Path:
    """Fill a template and write the page.

    Args:
        folder: output folder.
        template: file among the templates.
        context: what the template names.
        result: what is reported, for the template and the section on reproduction.
        drawn: figures.
        styles: style of each series.

    Returns:
        Path of the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    looks = list(dict.fromkeys(styles.values()))
    page = environment.get_template(template).render(
        **context,
        result=result,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        looks=looks,
        swatches={regime: looks.index(style) for regime, style in styles.items()},
        figures=[(figure, Markup(inline_svg(figure, styles))) for figure in drawn],
        reproduce=reproduction(folder, result),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPORT
    path.write_text(page, encoding="utf-8")
    return path
