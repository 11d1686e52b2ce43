#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Error over time, and estimated against true watts, of share and pooled on some scenarios, by gnuplot.
# usage: tests/sim/accuracy_plots.sh OUT SEED      (called by accuracy.sh)
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build} out=$1 seed=$2
command -v gnuplot >/dev/null || { echo "gnuplot is not installed: scripts/install-deps.sh peer"; exit 1; }
for scenario in mixed phases churn stop-and-return many-60 numa-remote; do
	for law in 1 2; do
		work=$(mktemp -d "$out/work.XXXXXX")
		"$BUILD/tests/sim/simgen" "tests/sim/scenarios/$scenario.json" "$seed" "$work/in.bson" "$work/truth.bson" --law $law 2>/dev/null
		for formula in share pooled; do
			"$BUILD/tests/sim/replay" $formula "$work/in.bson" "$work/$formula.bson" >/dev/null 2>&1
			"$BUILD/wattribute-score" --json --rows "$work/$formula.csv" "$work/truth.bson" "$work/$formula.bson" >/dev/null
			# Mean error of each tick: seconds since the start, W.
			awk -F, -v scope=cpu '$2 == scope && $6 != "" { if (!start) start = $1; e = $6 - $4; sum[$1] += e < 0 ? -e : e; n[$1]++ }
				END { for (t in sum) print (t - start) / 1000, sum[t] / n[t] }' "$work/$formula.csv" | sort -n >"$work/$formula.time"
			awk -F, '$2 == "cpu" && $6 != "" { print $4, $6 }' "$work/$formula.csv" >"$work/$formula.xy"
		done
		gnuplot <<-PLOT
			set terminal svg size 900,420 font "sans,11"
			set output "$out/$scenario-law$law-time.svg"
			set title "$scenario, law $law, seed $seed: error of full cost (cpu), mean over containers"
			set xlabel "s"; set ylabel "W"; set key top right; set grid
			plot "$work/share.time" with lines lc rgb "#bbbbbb" title "share", "$work/pooled.time" with lines lc rgb "#1f77b4" title "pooled"
			set terminal svg size 500,500 font "sans,11"
			set output "$out/$scenario-law$law-xy.svg"
			set title "$scenario, law $law: estimated against true W (cpu, full cost)"
			set xlabel "true W"; set ylabel "estimated W"; set key top left
			plot "$work/share.xy" with dots lc rgb "#bbbbbb" title "share", "$work/pooled.xy" with dots lc rgb "#1f77b4" title "pooled", x with lines lc rgb "#444444" title ""
		PLOT
		rm -r "$work"
	done
done
echo "plots: $out/*.svg"
