"""Rules for the line compared on the same traces in virtual time: see bench/policy and docs/performance.md."""
import json
import subprocess

from bench_environment import BIN, TREE
from report import Result

TRACES = {"voice": "voice + coding", "agents": "agents", "independent": "independent", "azure": "Azure",
          "azure_quiet": "Azure, quiet"}
CHARTER, OUR_RULE, PARKED, BOUND = "charter", "affinity+cap2", "affinity+cap2+cache+park", "resident"
PEERS = {"swap_one": "one consumer at a time, swapped when idle (llama-swap)",
         "swap_sets": "every set that fits, swapped when idle (llama-swap's matrix)",
         "lru": "all that fit, least recently used evicted (large-model-proxy)"}
RULES = {CHARTER: "the charter: in order, one at a time, load under the lock", **PEERS,
         "fifo": "mgpu, `fifo`",
         "affinity+noahead": "mgpu, `affinity`, nothing loads ahead",
         "affinity": "mgpu, `affinity`",
         OUR_RULE: "mgpu, `affinity`, capacity 2",
         "affinity+cap2+cache": "the same, weights in the page cache (load x 0.4)",
         PARKED: "the same, and parked in host memory (load x 0.15)",
         BOUND: "bound: everything always resident, one at a time"}
BUSY = ["voice", "agents", "azure"]  # where reloads dominate


def run_bench_policy(*words):
    result = subprocess.run([BIN / "mgpu-bench-policy", "--json", *words], check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def format_seconds(ms):
    return f"{ms / 1000:.{1 if ms >= 10_000 else 2}f}"


def format_cell(figures):
    lost, wait = figures["lost"], figures["wait"]
    refused = f", {figures['refused']} refused" if figures["refused"] else ""
    return f"**{format_seconds(lost['mean_ms'])}** ({format_seconds(wait['p50_ms'])} / {format_seconds(wait['p95_ms'])} / " \
           f"{format_seconds(wait['p99_ms'])} / {format_seconds(wait['worst_ms'])}; {figures['loads']} loads{refused})"


def format_verdict(is_met):
    return "met" if is_met else "**not met**"


def goal_rows(all_figures, windows, our_rule):
    """The goals for one of our rules: rows of [goal, measured, verdict]."""
    def mean_lost_ms(trace, rule):
        return all_figures[trace][rule]["lost"]["mean_ms"]

    def speedups(rule, traces):
        return {trace: mean_lost_ms(trace, CHARTER) / max(1, mean_lost_ms(trace, rule)) for trace in traces}

    def format_factors(factors):
        return ", ".join(f"{TRACES[trace]} {factor:.1f}x" for trace, factor in factors.items())

    busy, parked, all_traces = speedups(our_rule, BUSY), speedups(PARKED, BUSY), speedups(our_rule, TRACES)
    best_peers = {trace: min(mean_lost_ms(trace, peer_rule) for peer_rule in PEERS) for trace in TRACES}
    against_peers = {trace: mean_lost_ms(trace, our_rule) / best_peers[trace] for trace in TRACES}
    against_best = {trace: windows[trace]["lost_s"][our_rule] / windows[trace]["best_s"] for trace in windows}
    latest = max(all_figures[trace][our_rule]["late_ms"] for trace in TRACES)
    return [[f"`{our_rule}`: at least 6x below the charter where reloads dominate", format_factors(busy),
             format_verdict(min(busy.values()) >= 6)],
            ["and never worse", format_factors(all_traces), format_verdict(min(all_traces.values()) >= 1)],
            [f"`{PARKED}`: at least 10x below the charter", format_factors(parked),
             format_verdict(min(parked.values()) >= 10)],
            ["below each peer's rule on every trace (share of the best peer's)", format_factors(against_peers),
             format_verdict(max(against_peers.values()) < 1)],
            ["within 1.5x of the best order found by search", format_factors(against_best),
             format_verdict(max(against_best.values()) <= 1.5)],
            ["no overtaking after its bound", f"latest {format_seconds(latest)} s after it", format_verdict(latest == 0)]]


def markdown_table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def measure():
    all_figures = run_bench_policy("--variant", ",".join(RULES))
    windows = run_bench_policy("--best", "--variant", f"affinity,{OUR_RULE}", "--trace", ",".join(TRACES))
    (TREE / "build/policy.json").write_text(json.dumps({"figures": all_figures, "windows": windows}, indent=1))
    rows = [[text, *(format_cell(all_figures[trace][rule]) for trace in TRACES)] for rule, text in RULES.items()]
    unfair = [[RULES[rule], *(f"{all_figures[trace][rule]['unfairness']:.1f}, {format_seconds(all_figures[trace][rule]['overtaken_ms'])} s"
                              for trace in TRACES)] for rule in RULES]
    bound_factors = ", ".join(
        f"{name} {all_figures[trace][CHARTER]['lost']['mean_ms'] / all_figures[trace][BOUND]['lost']['mean_ms']:.1f}x"
        for trace, name in TRACES.items())
    more = "\n\n".join([
        "Unfairness (the worst user's slowdown against the mean of all), and the longest time for which one job was overtaken:",
        markdown_table(["rule", *TRACES.values()], unfair),
        markdown_table(["goal", "measured", ""], [row for our_rule in ("affinity", OUR_RULE)
                                                  for row in goal_rows(all_figures, windows, our_rule)]
                       + [["for comparison: below the charter if nothing were ever loaded", bound_factors, ""]])])
    return Result(["rule", *TRACES.values()], rows,
                  note="Virtual time, so the result does not depend on the machine; households: five seeds each.", more=more)
