// Runs: the list of recaps, one run's curve with its phases, and two groups of runs compared.

import { get } from "/page/api.js";
import { TargetChart, bandHint } from "/page/chart.js";
import { element, joules, joulesWithError, missing, seconds, wattsWithError, when } from "/page/format.js";
import { errorOfTotal, summary, welch } from "/page/statistics.js";
import { Table } from "/page/table.js";

const added = ["cpu", "dram", "gpu"]; // the others overlap these

function scopes(recap) {
	return Object.entries(recap.energy ?? {}).filter(([scope]) => added.includes(scope)).map(([, energy]) => energy);
}

function isPartial(recap) {
	return recap.coverage < 0.995;
}

// Joules, marked where the machine's energy is a model's, and where they are those of a part of the run.
function runJoules(value, recap, sd) {
	const marks = Number.isFinite(value) ? `${recap.estimated ? "≈ " : ""}${isPartial(recap) ? "≥ " : ""}` : "";
	return `${marks}${joulesWithError(value, sd)}`;
}

const part = "≥: reports cover only a part of the run";
const estimate = "≈: the machine's energy is estimated from CPU use, not measured";

function energyOf(recap, part) {
	const values = scopes(recap).map((scope) => scope[part]).filter(Number.isFinite);
	return values.length ? values.reduce((a, b) => a + b, 0) : NaN;
}

// Of the mean power: it is the energy divided by a time.
function meanWatts(power, energy) {
	return wattsWithError(power?.mean ?? NaN, energy.total > 0 && Number.isFinite(energy.sd) ? (power?.mean * energy.sd) / energy.total : NaN);
}

function machineOf(recap) {
	const values = added.map((scope) => recap.machine?.[scope]).filter(Number.isFinite);
	return values.length ? values.reduce((a, b) => a + b, 0) : NaN;
}

function secondsWithError(value, sd) {
	return Number.isFinite(sd) ? `${seconds(value)} ± ${seconds(sd)}` : seconds(value);
}

function groupCell(view) {
	return (cell, row) => {
		let select = cell.firstChild;
		if (!select) {
			select = cell.appendChild(element("select", { "aria-label": `Group of run ${row.name}` }, ["", "A", "B"].map((g) => element("option", { value: g }, g || missing))));
			select.addEventListener("change", () => view.assign(cell.dataset.key, select.value));
		}
		cell.dataset.key = row.key;
		select.value = view.groups.get(row.key) ?? "";
	};
}

function nameCell(view) {
	return (cell, row) => {
		const button = cell.firstChild ?? cell.appendChild(element("button", { type: "button" }));
		button.textContent = row.name;
		button.onclick = () => view.open(row);
	};
}

export class RunsView {
	constructor(main, state) {
		this.state = state;
		this.groups = new Map();
		this.runs = [];
		this.detail = element("section", { id: "run", "aria-label": "The selected run" });
		this.comparison = element("section", { id: "comparison", "aria-label": "Runs compared", "aria-live": "polite" });
		this.list = element("section", { "aria-label": "Finished runs" });
		main.replaceChildren(element("h2", {}, "Runs"),
			element("p", { class: "hint" }, "Joules of the run's own container; the machine's joules are shown beside them. Put runs into the groups A and B to compare them."), this.list, this.comparison, this.detail);
		this.table = new Table(this.list, { caption: "Runs", sort: "end", columns: [
			{ key: "name", title: "Run", header: true, value: (r) => r.name, render: nameCell(this) },
			{ key: "end", title: "End", number: true, value: (r) => r.end, text: (r) => when(r.end) },
			{ key: "duration", title: "Duration", number: true, value: (r) => r.duration, text: (r) => seconds(r.duration) },
			{ key: "total", title: "Joules", number: true, value: (r) => r.total, text: (r) => runJoules(r.total, r.recap, r.sd) },
			{ key: "dynamic", title: "Dynamic", number: true, optional: true, value: (r) => r.dynamic, text: (r) => runJoules(r.dynamic, r.recap) },
			{ key: "machine", title: "Machine", number: true, optional: true, value: (r) => r.machine, text: (r) => runJoules(r.machine, r.recap) },
			{ key: "group", title: "Group", value: (r) => this.groups.get(r.key) ?? "", render: groupCell(this) },
		] });
	}

	async start(signal) {
		this.signal = signal;
		this.asked = Date.now();
		const { recaps } = await get("/api/recaps", { machine: this.state.machine, limit: 1000 }, { signal });
		this.runs = recaps.map((recap) => ({
			key: `${recap.name}\n${recap.begin}\n${recap.id ?? ""}`, recap, name: recap.name ?? missing, begin: Date.parse(recap.begin), end: Date.parse(recap.end), duration: recap.duration,
			total: energyOf(recap, "total"), sd: errorOfTotal(scopes(recap)), dynamic: energyOf(recap, "dynamic"), machine: machineOf(recap),
		}));
		const notes = [["the newest first", true], [estimate, this.runs.some((r) => r.recap.estimated)], [part, this.runs.some((r) => isPartial(r.recap))]].filter(([, is]) => is).map(([note]) => note);
		this.table.show(this.runs, this.runs.length ? `${this.runs.length} runs, ${notes.join(". ")}.` : "No run has been recorded on this machine yet. tester.sh records runs of containers.");
	}

	assign(key, group) {
		if (group) this.groups.set(key, group);
		else this.groups.delete(key);
		this.compare();
	}

	compare() {
		const values = (group, field) => this.runs.filter((r) => this.groups.get(r.key) === group).map((r) => r[field]).filter(Number.isFinite);
		const rows = [["Joules", "total", joulesWithError], ["Dynamic joules", "dynamic", joulesWithError], ["Duration", "duration", secondsWithError]].map(([title, field, format]) => {
			const a = values("A", field), b = values("B", field);
			return a.length && b.length ? this.compared(title, summary(a), summary(b), format) : null;
		}).filter(Boolean);
		if (!rows.length) {
			this.comparison.replaceChildren();
			return;
		}
		const errors = ["A", "B"].map((group) => [group, values(group, "sd")]).filter(([, own]) => own.length).map(([group, own]) => `${joules(summary(own).mean)} (${group})`).join(" and ");
		const heads = ["", "A", "B", "B / A", "Difference"].map((text) => element("th", { scope: "col" }, text));
		this.comparison.replaceChildren(element("h2", {}, "Comparison"), element("table", { id: "compared" }, element("caption", {}, `Mean ± standard deviation of each group; p is from a two-sided Welch's t-test.${this.runs.some((r) => r.recap.estimated && this.groups.get(r.key)) ? " The joules are estimated from CPU use, not measured." : ""}`), element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows)),
		element("p", { class: "hint" }, errors ? `Each run's own error is about ${errors}; the deviations above are the spread of the runs.` : ""));
	}

	compared(title, a, b, format) {
		const side = (s) => `${format(s.mean, s.n > 1 ? s.sd : NaN)} (${s.n} run${s.n > 1 ? "s" : ""})`;
		const { p } = welch(a, b);
		let verdict = "needs two runs per group";
		if (Number.isFinite(p)) verdict = p < 0.05 ? `significant (p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`})` : `not significant (p = ${p.toFixed(2)})`;
		return element("tr", {}, [title, side(a), side(b), (b.mean / a.mean).toFixed(3), verdict].map((text, i) => element(i ? "td" : "th", i ? {} : { scope: "row" }, text)));
	}

	phases(recap) {
		const time = (key) => (recap[key] ? Date.parse(recap[key]) / 1000 : NaN);
		const [begin, warm, execution, end] = ["begin", "beginwarmup", "beginexecution", "end"].map(time);
		const marks = [];
		if (execution > warm) marks.push({ from: warm, until: execution, label: "warm-up", fill: "rgba(238, 153, 51, .18)" });
		if (execution > begin && end > execution) marks.push({ from: execution, until: end, label: "execution", fill: "rgba(51, 136, 204, .14)" });
		return marks;
	}

	async open(run) {
		this.chart?.destroy();
		const box = element("div", { class: "chart", id: "run-chart", role: "img", tabindex: "0" });
		const brief = run.recap.duration < run.recap.tick ? ` over less than one reading (${run.recap.tick.toFixed(3)} s)` : "";
		const known = [["Image", run.recap.image], ["Command", run.recap.command], ["Exit status", run.recap.exit_status], ["CPUs", run.recap.cpus], ["Formula", run.recap.formula],
			["Energy source", run.recap.estimated ? "estimated from CPU use, not measured" : "measured"]].filter(([, text]) => text !== undefined && text !== "").flatMap(([title, text]) => [element("dt", {}, title), element("dd", { class: text.startsWith?.("estimated") ? "estimated" : false }, String(text))]);
		const figures = Object.entries(run.recap.energy ?? {}).flatMap(([scope, e]) => [element("dt", {}, `Energy, ${scope}`), element("dd", {}, `${joulesWithError(e.total, e.sd)} (dynamic ${joules(e.dynamic)}, idle share ${joules(e.static)}); mean ${meanWatts(run.recap.power?.[scope], e)}${brief}`)]);
		for (const phase of ["warmup", "execution"])
			for (const [scope, e] of Object.entries(run.recap[phase]?.energy ?? {}))
				figures.push(element("dt", {}, `${phase === "warmup" ? "Warm-up" : "Execution"}, ${scope}`), element("dd", {}, joulesWithError(e.total, e.sd)));
		if (isPartial(run.recap)) figures.push(element("dt", {}, "Coverage"), element("dd", { class: "estimated" }, `${(100 * run.recap.coverage).toFixed(0)} %: the joules are those of the covered time`));
		if (run.recap.warning) figures.push(element("dt", {}, "Warning"), element("dd", { class: "estimated" }, run.recap.warning));
		this.detail.replaceChildren(element("h2", {}, `Run ${run.name}`), element("dl", { class: "facts" }, known, figures), box);
		const margin = Math.max(2, (run.end - run.begin) / 10000);
		const history = await get("/api/history", { sensor: this.state.machine, target: run.name, from: run.begin / 1000 - margin, until: run.end / 1000 + margin, points: 400, top: 1 }, { signal: this.signal });
		if (this.signal.aborted) return;
		const series = history.targets[0];
		if (!series) {
			box.replaceChildren(element("p", { class: "hint" }, "The ticks of this run are no longer in the store, or it was shorter than a tick."));
			return;
		}
		const marks = this.phases(run.recap);
		this.chart = new TargetChart(box, { marks: () => marks });
		this.chart.show(history.times, series, `${marks.map((m) => m.label).join(" and ")} marked. `);
		this.detail.append(element("p", { class: "hint" }, bandHint));
	}

	async poll() {
		if (Date.now() - this.asked > 10000) await this.start(this.signal);
	}

	stop() {
		this.chart?.destroy();
	}
}
