#!/usr/bin/env python3
"""Draws cost.svg: what a check costs at different sizes.

It reads two files in its directory: cost.json, the output of `rolecall bench --against-echo --mode batch --json`, and
lookup.txt, the output of `cargo bench --bench lookup`. docs/performance.md has the commands."""

import json
import math
from pathlib import Path

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 780, 430
LEFT, RIGHT, TOP, BOTTOM = 70, 205, 64, 58
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .muted { fill: #59636e }
  .background { fill: #ffffff }
  .grid { stroke: #d1d9e0 }
  .line { fill: none; stroke-width: 2.5 }
  .c0 { color: #0969da } .c1 { color: #bc4c00 } .c2 { color: #6e7781 }
  .line { stroke: currentColor } .dot, .of { fill: currentColor }
  .of { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .muted { fill: #9198a1 } .background { fill: #0d1117 } .grid { stroke: #3d444d }
    .c0 { color: #4493f8 } .c1 { color: #f0883e } .c2 { color: #9198a1 }
    .of { fill: currentColor }
  }
"""


def main():
    report = json.loads((FOLDER / "cost.json").read_text())
    costs = {"BatchCheck": {}, "in memory": memory(), "echo": {}}
    for workload in report["workloads"]:
        calls = next(calls for calls in workload["calls"] if calls["mode"] == "batch")
        costs["BatchCheck"][workload["memberships"]] = 1e9 / calls["rolecall"]["checks_per_cpu_second"]
        costs["echo"][workload["memberships"]] = 1e9 / calls["echo"]["checks_per_cpu_second"]
    labels = {
        "BatchCheck": ["BatchCheck, 1,000 rows", f"over {report['transport'].upper()}"],
        "in memory": ["decision in memory", "without gRPC"],
        "echo": ["gRPC echo of the", "same bytes: the floor"],
    }
    (FOLDER / "cost.svg").write_text(svg(costs, labels))


def memory():
    """Returns nanoseconds by memberships. The bench uses the clock: its fastest tenth shows least of other programs."""
    rows = (line.split() for line in (FOLDER / "lookup.txt").read_text().splitlines())
    return {int(row[0]): float(row[2]) for row in rows if row and row[0].isdigit()}


def svg(costs, labels):
    sizes = sorted({size for cost in costs.values() for size in cost})
    highest = max(max(cost.values()) for cost in costs.values())
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000) if highest / step <= 7)
    top = step * math.ceil(highest * 1.05 / step)
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    x = lambda size: LEFT + 24 + (math.log10(size) - low) / (high - low) * (WIDTH - LEFT - RIGHT - 48)
    y = lambda cost: HEIGHT - BOTTOM - cost / top * (HEIGHT - TOP - BOTTOM)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
        "<title>Server CPU time for each check, by the number of memberships</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="background" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        text(LEFT, 26, "What a check costs as the data grows", "title"),
        text(LEFT, 46, "CPU time of the server for each check, in nanoseconds", "muted"),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "memberships, 100 in an org (logarithmic)", "muted", "middle"),
    ]
    for cost in range(0, top + 1, step):
        out.append(f'<path class="grid" d="M{LEFT} {y(cost):.1f}H{WIDTH - RIGHT}"/>')
        out.append(text(LEFT - 8, y(cost) + 4, f"{cost:,} ns" if cost else "0", "muted", "end"))
    out += [text(x(size), HEIGHT - BOTTOM + 22, f"{size:,}", "muted", "middle") for size in sizes]
    for number, (name, cost) in enumerate(costs.items()):
        points = sorted(cost.items())
        line = "L".join(f"{x(size):.1f} {y(value):.1f}" for size, value in points)
        out.append(f'<g class="c{number}"><path class="line" d="M{line}"/>')
        for size, value in points:
            out.append(f'<circle class="dot" cx="{x(size):.1f}" cy="{y(value):.1f}" r="4"/>')
            lowest = value == min(other[size] for other in costs.values() if size in other)
            out.append(text(x(size), y(value) + (20 if lowest else -10), f"{value:.0f}", "", "middle"))
        for row, words in enumerate(labels[name]):
            out.append(text(WIDTH - RIGHT + 4, y(points[-1][1]) + 16 * row - 2, words, "of" if row == 0 else "muted"))
        out.append("</g>")
    return "\n".join(out) + "\n</svg>\n"


def text(x, y, words, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


if __name__ == "__main__":
    main()
