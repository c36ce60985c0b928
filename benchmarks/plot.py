"""Draws the throughput table: `python -m benchmarks.plot RESULTS`; runs in the harness's own virtual environment."""

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


def ordered(names: list[str], speeds: dict[str, list[int]]) -> list[str]:
    return sorted((name for name in names if name in speeds), key=lambda name: -median(speeds[name]))


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
