#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables from the scores of tests/sim/accuracy.sh. usage: accuracy_table.py SCORES.jsonl [pypi|strict]

Each cell is a mean over the seeds of one scenario and law; ratios are ratios of these means, and the last line is the
mean over scenarios (ratio of sums). W per container-tick, summed over sockets; `system` is not in the mean.
"""
import collections
import json
import sys

# The number of first ticks of a scenario that must have both predictions: a single one is near or far by chance.
EARLY_LEAST = 10
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


def early(ours, theirs, scope):
    """Sums of both errors of prediction over those of the first 30 ticks that both predict, and their number"""
    a = b = n = 0
    for seed, score in ours.items():
        pairs = zip(value(score, scope, "predicted_early") or [], value(theirs.get(seed, {}), scope, "predicted_early") or [])
        for one, other in pairs:
            if one is not None and other is not None:
                a, b, n = a + one, b + other, n + 1
    return a, b, n


def early_by_scenario(ours, theirs, scope):
    """{scenario: ratio of the sums of early() over both laws and all seeds}, if there are enough ticks"""
    sums = collections.defaultdict(lambda: [0.0, 0.0, 0])
    for (scenario, law), seeds in ours.items():
        sums[scenario] = [x + y for x, y in zip(sums[scenario], early(seeds, theirs[scenario, law], scope))]
    return {name: a / b for name, (a, b, n) in sums.items() if n >= EARLY_LEAST and b}


def early_coverage(scores, scope):
    """Part of the first 30 ticks of all streams that have a prediction"""
    counts = [c for seeds in scores.values() for s in seeds.values()
              if (c := value(s, scope, "predicted_first_ticks")) is not None]
    return sum(counts) / (30 * len(counts)) if counts else None


def predictions(scores):
    """Predictions of the machine's power, compared with the published algorithm, and how often error bars hold."""
    print("\n### Prediction of the machine's power, and error bars\n")
    print("First 30 ticks: mean over those that both predict, and how many the strict mode predicts (ours: 29).\n")
    print("| scenario | law | first 30 ticks, W | strict | its ticks | after, W | strict | largest less rise / largest seen "
          "| 90 % intervals hold, ticks: cpu % | dram % | recaps: cpu % | dram % |")
    print("| --- | --- |" + " ---: |" * 10)
    for (scenario, law), by_formula in sorted(scores.items()):
        ours, strict = by_formula.get("pooled", {}), by_formula.get("strict") or by_formula.get("reference", {})
        inside = [mean(ours, scope, figure) for figure in ("inside_90", "recaps_90") for scope in ("cpu", "dram")]
        a, b, n = early(ours, strict, "cpu")
        cells = [show(a / n if n else None, 2), show(b / n if n else None, 2),
                 show(mean(strict, "cpu", "predicted_first_ticks"), 1),
                 show(mean(ours, "cpu", "predicted_after"), 2), show(mean(strict, "cpu", "predicted_after"), 2),
                 show(mean(ours, "cpu", "predicted_beyond"), 2)] + [show(x and 100 * x, 0) for x in inside]
        print("| " + " | ".join([scenario, law] + cells) + " |")


def merged(scores, formula, stand_in):
    """The scores of a formula, or of its stand-in if a stream lacks them."""
    return {key: {**by.get(stand_in, {}), **by.get(formula, {})} for key, by in scores.items()}


def by_scenario(ours, theirs, scope, figure):
    """{scenario: ratio of the sums over both laws and all seeds}, and the ratio of all sums"""
    sums = collections.defaultdict(lambda: [0.0, 0.0])
    for (scenario, law), seeds in ours.items():
        for seed, score in seeds.items():
            a, b = value(score, scope, figure), value(theirs[scenario, law].get(seed, {}), scope, figure)
            if a is None or b is None:
                continue
            for name in (scenario, None):
                sums[name][0] += a
                sums[name][1] += b
    every = sums.pop(None, [0.0, 0.0])
    return {name: a / b for name, (a, b) in sums.items() if b}, ratio(*every)


def single(ours, theirs, scope, figure):
    """[(ratio, scenario)] of each stream, the worst one first"""
    found = []
    for (scenario, law), seeds in ours.items():
        worst = worst_ratio(seeds, theirs[scenario, law], scope, figure)
        if worst is not None:
            found.append((worst, scenario))
    return sorted(found, reverse=True)


def bar(figure, most, measured, where=""):
    held = "" if measured is None else "held" if measured <= most else "**missed**"
    text = "-" if measured is None else f"{measured:.3g}" + (f" ({where})" if where else "")
    print(f"| {figure} | {most:g} | {text} | {held} |")


def worst_bar(figure, most, ratios):
    ratios = list(ratios)
    bar(figure, most, *(max(ratios) if ratios else (None,)))


def foreseen_bars(ours, reference):
    """Prediction of the machine before the tick's energy is known, compared with the reference's."""
    for scope in ("cpu", "dram"):
        ratios = early_by_scenario(ours, reference, scope)
        worst_bar(f"{scope} prediction / reference, those of the first 30 ticks that both predict, worst scenario", 1,
                  ((v, k) for k, v in ratios.items()))
        mine, its = early_coverage(ours, scope), early_coverage(reference, scope)
        if mine is not None and its is not None:
            print(f"| ... of these ticks predicted, % (reference: {100 * its:.0f}) | {100 * its:.0f} | {100 * mine:.0f} "
                  f"| {'held' if mine >= its else '**missed**'} |")
    for scope in ("cpu", "dram"):
        ratios, _ = by_scenario(ours, reference, scope, "predicted_after")
        worst_bar(f"{scope} prediction / reference, from tick 30 on, worst scenario", 1, ((v, k) for k, v in ratios.items()))
    for figure, words in (("predicted_beyond", "at the cost of the machine's most expensive program"),
                          ("predicted_beyond_true", "as it truly was: no model knows a program's cost that never ran")):
        largest = [(s["cpu"][figure], key[0]) for key, seeds in ours.items() for s in seeds.values()
                   if s.get("cpu") and s["cpu"].get(figure)]
        worst_bar(f"cpu (prediction - rise of the load, {words}) / largest power seen before, worst tick", 1.25, largest)


def interval_bars(ours):
    """How far the fraction of the truth within 90 % intervals is from 90 %, by scenario."""
    for figure, words in (("inside_90", "container-ticks"), ("recaps_90", "recaps")):
        for scope in ("cpu", "dram"):
            held = collections.defaultdict(list)
            for (scenario, _), seeds in ours.items():
                held[scenario] += [v for v in (value(s, scope, figure) for s in seeds.values()) if v is not None]
            parts = {k: sum(v) / len(v) for k, v in held.items() if v}
            if not parts:
                continue
            low, high = min((v, k) for k, v in parts.items()), max((v, k) for k, v in parts.items())
            within = sum(.85 <= v <= .95 for v in parts.values())
            print(f"| {scope} 90 % intervals of {words}: scenarios within 85 to 95 % | all | {within} of {len(parts)}; "
                  f"{100 * low[0]:.0f} % ({low[1]}) to {100 * high[0]:.0f} % ({high[1]}) "
                  f"| {'held' if within == len(parts) else '**missed**'} |")


def bars(scores):
    ours = merged(scores, "pooled", "four")
    reference, share = merged(scores, "reference", "strict"), merged(scores, "share", "share")
    dynamic, dynamic_all = by_scenario(ours, reference, "cpu", "dynamic_mae")
    full, full_all = by_scenario(ours, reference, "cpu", "full_mae")
    dram, dram_all = by_scenario(ours, reference, "dram", "full_mae")
    beside_share, _ = by_scenario(ours, share, "cpu", "full_mae")
    one_by_one = single(ours, reference, "cpu", "full_mae")
    every = [s["cpu"] for seeds in ours.values() for s in seeds.values() if s.get("cpu")]

    print("\n### Bars\n\nA scenario's figure is the ratio of the sums over both laws and all seeds.\n")
    print("| figure | bar | measured | |\n| --- | ---: | ---: | --- |")
    bar("cpu dynamic / reference, average", .15, dynamic_all)
    worst_bar("cpu dynamic / reference, worst scenario (not constant, many-60)", .4,
              ((v, k) for k, v in dynamic.items() if k not in ("constant", "many-60")))
    bar("cpu dynamic / reference, many-60", .7, dynamic.get("many-60"))
    bar("cpu full / reference, average", .25, full_all)
    worst_bar("cpu full / reference, worst single stream (not constant)", 1, (v for v in one_by_one if v[1] != "constant"))
    worst_bar("cpu full / reference, worst single stream of constant", 1.2, (v for v in one_by_one if v[1] == "constant"))
    worst_bar("cpu full / CPU-time share, worst single stream of constant", .75,
              (v for v in single(ours, share, "cpu", "full_mae") if v[1] == "constant"))
    worst_bar("cpu full / CPU-time share, worst scenario", .6, ((v, k) for k, v in beside_share.items()))
    worst_bar("cpu full / CPU-time share, worst single stream", 1.02, single(ours, share, "cpu", "full_mae"))
    bar("only CPU time: cpu full / CPU-time share", .6, beside_share.get("cpu-time-only"))
    bar("dram full / reference, average", .14, dram_all)
    worst_bar("dram full / reference, worst scenario", .3, ((v, k) for k, v in dram.items()))
    foreseen_bars(ours, reference)
    interval_bars(ours)
    bar("rows without an answer, %", 0, 100 * (1 - min(s["coverage"] for s in every)))
    bar("sum against RAPL, W, worst tick", 1e-6, max(s["sum_error_max"] for s in every))
    bar("delay, ticks", 0, max(s["delay"] for s in every))


def main():
    scores = load(sys.argv[1])
    present = {f for by in scores.values() for f in by}
    known = ("reference", "strict", "smartwatts", "share", "four", "pooled", "floor")
    formulas = [f for f in known[:-1] if f in present] + sorted(present.difference(known)) + sorted(present & {"floor"})
    seeds = sorted({s for by in scores.values() for f in by.values() for s in f}, key=int)
    print(f"{len(scores)} scenarios and laws, seeds {' '.join(seeds)}.", end=" ")
    if "reference" in formulas:
        stand_in = "our strict mode, which stands in for it" if sys.argv[2:] == ["strict"] else "PyPI smartwatts 2.4.1"
        print(f"reference: {stand_in}, its defaults.", end=" ")
    if "strict" in formulas:
        print("strict: our mode that answers as PyPI smartwatts does.", end=" ")
    if "four" in formulas:
        print("four: pooled on the four events that the others see. pooled: with vector instructions beside them, as the "
              "sensor counts by default.", end=" ")
    print("floor: true costs applied to the noisy readings.")
    for scope, figure, title in FIGURES:
        table(scores, scope, figure, title, formulas)
    other_figures(scores, formulas)
    predictions(scores)
    bars(scores)


if __name__ == "__main__":
    main()
