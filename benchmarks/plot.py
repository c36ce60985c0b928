"""Draws throughput and frontier: `python -m benchmarks.plot RESULTS`; runs in the harness's own virtual environment."""

import json
import sys
from pathlib import Path
from statistics import median

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "praktika"
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

COLOURS = {"praktika": "#1b6e5a", "same": "#7fb8a8", "peer": "#c9c9c9", "ceiling": "#d9a441"}
LIMITS_MS = (100, 300, 1_000)
MEANINGS = {
    "praktika": "Praktika",
    "same": "same write module",
    "peer": "built from the usual parts",
    "ceiling": "ceilings",
}


def draw(folder: Path) -> None:
    runs = json.loads((folder / "throughput.json").read_text())
    groups = json.loads((folder / "groups.json").read_text())
    speeds: dict[str, list[int]] = {}
    for run in runs:
        if "failed" not in run and not run["wrong"]:
            speeds.setdefault(run["system"], []).append(run["warm_per_s"])
    names = [name for group in ("same", "peer", "ceiling") for name in ordered(groups[group], speeds)]
    figure, axes = plt.subplots(figsize=(9, 0.36 * len(names) + 1.2))
    for place, name in enumerate(reversed(names)):
        middle, least, most = median(speeds[name]), min(speeds[name]), max(speeds[name])
        group = "praktika" if name == "praktika" else next(g for g in groups if name in groups[g])
        axes.barh(place, middle, color=COLOURS[group], xerr=[[middle - least], [most - middle]], ecolor="#555555")
        axes.text(most, place, f"  {middle:,.0f}", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=9)
    axes.set_xlabel("events per second, warm: median of the rounds, with the least and the most")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.margins(x=0.12)
    axes.legend([Patch(color=COLOURS[group]) for group in MEANINGS], MEANINGS.values(), frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "throughput.svg", metadata={"Date": None})


def draw_frontier(folder: Path) -> None:
    """Of each system the 99th percentile over the load, with the setting by which it holds most within 300 ms."""
    rows = json.loads((folder / "frontier.json").read_text())
    figure, axes = plt.subplots(figsize=(9, 4.2))
    systems = list(dict.fromkeys(row["system"] for row in rows))
    for system, colour in zip(systems, ("#1b6e5a", "#b1541f", "#5b4bb0", "#777777", "#d9a441"), strict=False):
        best, most = "", -1
        for tuning in dict.fromkeys(row["tuning"] for row in rows if row["system"] == system):
            own = [row for row in rows if (row["system"], row["tuning"]) == (system, tuning)]
            holds = max((row["sent_per_s"] for row in own if row["p99_ms"] <= LIMITS_MS[1]), default=0)
            best, most = (tuning, holds) if holds > most else (best, most)
        own = [row for row in rows if (row["system"], row["tuning"]) == (system, best)]
        named = f"{system}{f' ({best})' if best else ''}"
        line = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 2.4 if system == "praktika" else 1.4}
        axes.plot([row["sent_per_s"] for row in own], [row["p99_ms"] for row in own], label=named, **line)
    for limit in LIMITS_MS:
        axes.axhline(limit, color="#bbbbbb", linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_yticks([10, 30, *LIMITS_MS, 3_000], [f"{ms:,} ms" for ms in (10, 30, *LIMITS_MS, 3_000)])
    axes.minorticks_off()
    axes.set_xlabel("events per second")
    axes.set_ylabel("99 of 100 can be read within")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / "frontier.svg", metadata={"Date": None})


def ordered(names: list[str], speeds: dict[str, list[int]]) -> list[str]:
    return sorted((name for name in names if name in speeds), key=lambda name: -median(speeds[name]))


if __name__ == "__main__":
    results = Path(sys.argv[1])
    if (results / "groups.json").exists():
        draw(results)
    if (results / "frontier.json").exists():
        draw_frontier(results)
