#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables out of the scores of tests/sim/accuracy.sh. usage: accuracy_table.py SCORES.jsonl [pypi|strict]

Each cell is a mean over the seeds of one scenario and law; ratios are ratios of these means, and the last line is the
mean over scenarios (ratio of sums). W per container-tick, summed over sockets; `system` is not in the mean.
"""
import collections
import json
import sys

FIGURES = [("cpu", "dynamic_mae", "cpu, dynamic power"), ("cpu", "full_mae", "cpu, full cost"),
           ("dram", "full_mae", "dram, full cost")]


def load(path):
    """{(scenario, law): {formula: [score of each seed]}}"""
    scores = collections.defaultdict(lambda: collections.defaultdict(dict))
    for line in open(path):
        score = json.loads(line)
        scenario, law, seed, formula = score["label"].split()
        scores[scenario, law][formula][seed] = score
    return scores


def value(score, scope, figure):
    return (score.get(scope) or {}).get(figure)


def mean(by_seed, scope, figure):
    values = [value(score, scope, figure) for score in by_seed.values()]
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def worst_ratio(ours, theirs, scope, figure):
    ratios = []
    for seed, score in ours.items():
        a, b = value(score, scope, figure), value(theirs.get(seed, {}), scope, figure)
        if a is not None and b:
            ratios.append(a / b)
    return max(ratios) if ratios else None


def show(number, digits=3):
    return "-" if number is None else f"{number:.{digits}f}"


def ratio(a, b):
    return a / b if a is not None and b else None


def table(scores, scope, figure, title, formulas):
    print(f"\n### {title}: mean absolute error, W\n")
    base = "strict" if "reference" not in formulas else "reference"
    head = ["scenario", "law"] + formulas + ["pooled / " + base, "pooled / share", "worst seed / share", "pooled / floor"]
    print("| " + " | ".join(head) + " |")
    print("| --- | --- |" + " ---: |" * (len(head) - 2))
    sums = collections.defaultdict(float)
    for (scenario, law), by_formula in sorted(scores.items()):
        means = {f: mean(by_formula.get(f, {}), scope, figure) for f in formulas}
        if means.get("pooled") is None:
            continue
        cells = [scenario, law] + [show(means[f]) for f in formulas]
        for other in (base, "share"):
            cells.append(show(ratio(means["pooled"], means.get(other)), 2))
            if means.get(other):
                sums["pooled", other] += means["pooled"]
                sums[other] += means[other]
        cells.append(show(worst_ratio(by_formula["pooled"], by_formula.get("share", {}), scope, figure), 2))
        cells.append(show(ratio(means["pooled"], means.get("floor")), 1))
        print("| " + " | ".join(cells) + " |")
    last = ["**all**", ""] + [""] * len(formulas)
    last += ["**" + show(ratio(sums["pooled", other], sums[other]), 2) + "**" if sums[other] else "-"
             for other in (base, "share")]
    print("| " + " | ".join(last + ["", ""]) + " |")


def other_figures(scores, formulas):
    print("\n### Coverage, sums, delay, fairness\n")
    print("| formula | rows answered % | worst sum against RAPL, W | delay, ticks | median error cpu dynamic % "
          "| cpu full % | twins differ by % (truly) | phantom W of an idle container |")
    print("| --- |" + " ---: |" * 7)
    for formula in formulas:
        every = [s for by in scores.values() for s in by.get(formula, {}).values() if (s.get("cpu") or {}).get("coverage")]
        if not every:
            continue

        def cpu(figure):
            return [s["cpu"][figure] for s in every if s["cpu"].get(figure) is not None]

        def average(figure):
            values = cpu(figure)
            return sum(values) / len(values) if values else None

        twins, truly = average("twin_asymmetry"), average("twin_asymmetry_truth")
        dynamic, full = average("dynamic_relative"), average("full_relative")
        fair = "-" if twins is None else f"{100 * twins:.1f} ({100 * truly:.1f})"
        print(f"| {formula} | {show(100 * average('coverage'), 2)} | {max(cpu('sum_error_max')):.2g} "
              f"| {max(cpu('delay')):.0f} | {show(dynamic and 100 * dynamic, 1)} | {show(full and 100 * full, 1)} "
              f"| {fair} | {show(average('phantom_w'), 4)} |")


def main():
    scores = load(sys.argv[1])
    present = {f for by in scores.values() for f in by}
    formulas = [f for f in ("reference", "strict", "smartwatts", "share", "four", "pooled", "floor") if f in present]
    seeds = sorted({s for by in scores.values() for f in by.values() for s in f}, key=int)
    print(f"{len(scores)} scenarios and laws, seeds {' '.join(seeds)}.", end=" ")
    if "reference" in formulas:
        stand_in = "our strict mode, which stands in for it" if sys.argv[2:] == ["strict"] else "PyPI smartwatts 2.4.1"
        print(f"reference: {stand_in}, its defaults.", end=" ")
    if "strict" in formulas:
        print("strict: our mode that answers as PyPI smartwatts does.", end=" ")
    print("floor: true costs applied to the noisy readings.")
    for scope, figure, title in FIGURES:
        table(scores, scope, figure, title, formulas)
    other_figures(scores, formulas)


if __name__ == "__main__":
    main()
