"""Rules for the line, side by side on the same people in virtual time: see bench/policy and docs/performance.md."""
import json
import subprocess

from ground import BIN, TREE
from report import Result

TRACES = {"voice": "voice + coding", "agents": "agents", "independent": "independent", "azure": "Azure", "azure_quiet": "Azure, quiet"}
CHARTER, OURS, PARKED, BOUND = "charter", "affinity+cap2", "affinity+cap2+cache+park", "resident"
PEERS = {"swap_one": "one consumer at a time, swapped when idle (llama-swap)",
         "swap_sets": "every set that fits, swapped when idle (llama-swap's matrix)",
         "lru": "whoever fits, least recently used leave (large-model-proxy)"}
RULES = {CHARTER: "the charter: in order, one at a time, load under the lock", **PEERS,
         "fifo": "mgpu, `fifo`",
         "affinity+noahead": "mgpu, `affinity`, nothing loads ahead",
         "affinity": "mgpu, `affinity`",
         OURS: "mgpu, `affinity`, capacity 2",
         "affinity+cap2+cache": "the same, weights in the page cache (load x 0.4)",
         PARKED: "the same, and parked in host memory (load x 0.15)",
         BOUND: "bound: everything always resident, one at a time"}
BUSY = ["voice", "agents", "azure"]  # where reloads dominate


def run(*words):
    told = subprocess.run([BIN / "mgpu-bench-policy", "--json", *words], check=True, capture_output=True, text=True)
    return json.loads(told.stdout)


def seconds(ms):
    return f"{ms / 1000:.{1 if ms >= 10_000 else 2}f}"


def cell(figures):
    lost, wait = figures["lost"], figures["wait"]
    refused = f", {figures['refused']} refused" if figures["refused"] else ""
    return f"**{seconds(lost['mean_ms'])}** ({seconds(wait['p50_ms'])} / {seconds(wait['p95_ms'])} / " \
           f"{seconds(wait['p99_ms'])} / {seconds(wait['worst_ms'])}; {figures['loads']} loads{refused})"


def verdict(met):
    return "met" if met else "**not met**"


def goals(all_figures, windows, ours):
    """Each goal as [what, measured, met?] for one way to run ours."""
    def lost(trace, rule):
        return all_figures[trace][rule]["lost"]["mean_ms"]

    def times(rule, traces):
        return {trace: lost(trace, CHARTER) / max(1, lost(trace, rule)) for trace in traces}

    def listed(factors):
        return ", ".join(f"{TRACES[trace]} {factor:.1f}x" for trace, factor in factors.items())

    fewer, parked, never = times(ours, BUSY), times(PARKED, BUSY), times(ours, TRACES)
    beaten = {trace: lost(trace, ours) / min(lost(trace, peer) for peer in PEERS) for trace in TRACES}
    near = {trace: windows[trace]["lost_s"][ours] / windows[trace]["best_s"] for trace in windows}
    late = max(all_figures[trace][ours]["late_ms"] for trace in TRACES)
    return [[f"`{ours}`: at least 6x below the charter where reloads dominate", listed(fewer), verdict(min(fewer.values()) >= 6)],
            ["and never worse", listed(never), verdict(min(never.values()) >= 1)],
            [f"`{PARKED}`: at least 10x below the charter", listed(parked), verdict(min(parked.values()) >= 10)],
            ["below each peer's rule on every trace (share of the best peer's)", listed(beaten), verdict(max(beaten.values()) < 1)],
            ["within 1.5x of the best order found by search", listed(near), verdict(max(near.values()) <= 1.5)],
            ["no overtaking after its bound", f"latest {seconds(late)} s after it", verdict(late == 0)]]


def table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def measure():
    all_figures = run("--variant", ",".join(RULES))
    windows = run("--best", "--variant", f"affinity,{OURS}", "--trace", ",".join(TRACES))
    (TREE / "build/policy.json").write_text(json.dumps({"figures": all_figures, "windows": windows}, indent=1))
    rows = [[text, *(cell(all_figures[trace][rule]) for trace in TRACES)] for rule, text in RULES.items()]
    unfair = [[RULES[rule], *(f"{all_figures[trace][rule]['unfairness']:.1f}, {seconds(all_figures[trace][rule]['overtaken_ms'])} s"
                              for trace in TRACES)] for rule in RULES]
    limit = ", ".join(f"{TRACES[trace]} {all_figures[trace][CHARTER]['lost']['mean_ms'] / all_figures[trace][BOUND]['lost']['mean_ms']:.1f}x"
                      for trace in TRACES)
    more = "\n\n".join([
        "Unfairness (the worst user's slowdown against the mean of all), and the longest time for which one job was overtaken:",
        table(["rule", *TRACES.values()], unfair),
        table(["goal", "measured", ""], [row for ours in ("affinity", OURS) for row in goals(all_figures, windows, ours)]
              + [["for comparison: below the charter if nothing were ever loaded", limit, ""]])])
    return Result(["rule", *TRACES.values()], rows,
                  note="Virtual time, so the machine does not matter; households: five seeds each.", more=more)
