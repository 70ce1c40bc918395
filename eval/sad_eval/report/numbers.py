"""How figures are written for people: shares in per cent, the rest plainly, always with their interval."""

from __future__ import annotations

from sad_env.safe_text import one_line
from sad_eval.metrics.episode_metrics import SAMPLED, WORDS
from sad_eval.records import Estimate, Results


def is_share(name: str, estimate: Estimate) -> bool:
    """True when a figure is a share of something, and is shown in per cent."""
    return name.endswith("rate") or estimate.unit == "share"


def plain(value: float) -> str:
    """A figure without unit: whole numbers whole, others with three significant digits or two after the point.

    >>> plain(4.0), plain(4.1666), plain(0.01234), plain(12345.678)
    ('4', '4.17', '0.0123', '12,345.68')
    """
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:,.2f}"


def value_text(name: str, estimate: Estimate) -> str:
    """The value of a metric."""
    return f"{100 * estimate.value:.1f} %" if is_share(name, estimate) else plain(estimate.value)


def interval_text(name: str, estimate: Estimate) -> str:
    """The interval of a metric."""
    if is_share(name, estimate):
        return f"{100 * estimate.low:.1f} – {100 * estimate.high:.1f} %"
    return f"{plain(estimate.low)} – {plain(estimate.high)}"


def unit_text(name: str, results: Results) -> str:
    """The unit of a metric of a run; lengths of reasoning name what counted them: words and tokens do not compare."""
    if not name.startswith("reasoning_per_"):
        return results.metrics[name].unit
    if results.tokenizer in ("", WORDS):
        return results.tokenizer
    return "sampled tokens" if results.tokenizer == SAMPLED else f"tokens of {one_line(results.tokenizer, 40)}"
