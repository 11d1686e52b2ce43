// The live view of one machine: tiles, the stack of watts, and the table of targets.

import { get } from "/page/api.js";
import { StackChart, describe, swatch } from "/page/chart.js";
import { age, color, element, joules, missing, paletteColor, paletteSize, safe, watts } from "/page/format.js";
import { Table } from "/page/table.js";

const ranges = [[300, "5 minutes"], [900, "15 minutes"], [3600, "1 hour"], [21600, "6 hours"], [86400, "1 day"], [604800, "7 days"], [2592000, "30 days"], [7776000, "90 days"], [31536000, "1 year"]];
const points = 300;
const goneAfter = 60000; // ms that a target stays in the table after its last tick
const reserved = { system: "system", idle: "idle" };

function rounded(seconds) {
	const [unit, size] = [["days", 86400], ["hours", 3600], ["minutes", 60]].find(([, size]) => seconds >= 2 * size) ?? ["seconds", 1];
	return `${Number((seconds / size).toFixed(1))} ${unit}`;
}

// Up to what the store keeps: the last range is all of it. Where everything is kept, up to a year.
function rangesWithin(retention) {
	if (!retention) return ranges;
	return [...ranges.filter(([seconds]) => seconds < retention), [retention, `${rounded(retention)}, all that is kept`]];
}

export function rangeSelect(state, onchange) {
	const offered = rangesWithin(state.retention);
	const chosen = offered.findLast(([seconds]) => seconds <= state.range) ?? offered[0];
	state.range = chosen[0];
	return element("select", { id: "range", onchange: (event) => onchange(Number(event.target.value)) },
		offered.map(([seconds, text]) => element("option", { value: String(seconds), selected: seconds === state.range }, text)));
}

function hashOf(text) {
	let hash = 0;
	for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) | 0;
	return hash >>> 0;
}

function targetCell(cell, row) {
	const link = cell.firstChild ?? cell.appendChild(element("a", {}));
	const text = safe(row.target);
	if (link.textContent !== text) {
		link.textContent = text;
		link.title = text;
		link.href = `#/target/${encodeURIComponent(row.sensor)}/${encodeURIComponent(row.target)}`;
	}
}

const columns = [
	{ key: "target", title: "Name", header: true, value: (r) => r.target, render: targetCell },
	{ key: "watts", title: "Watts", number: true, value: (r) => r.watts, text: (r) => watts(r.watts) },
	{ key: "dynamic", title: "Dynamic", number: true, value: (r) => r.dynamic, text: (r) => watts(r.dynamic) },
	{ key: "static", title: "Idle share", number: true, optional: true, value: (r) => r.static, text: (r) => watts(r.static) },
	{ key: "sd", title: "±", number: true, optional: true, value: (r) => r.sd, text: (r) => watts(r.sd) },
	{ key: "joules", title: "Joules", number: true, value: (r) => r.joules, text: (r) => joules(r.joules) },
	{ key: "image", title: "Image", optional: true, value: (r) => r.image, text: (r) => r.image },
	{ key: "pod", title: "Pod", optional: true, value: (r) => r.pod, text: (r) => r.pod },
	{ key: "namespace", title: "Namespace", optional: true, value: (r) => r.namespace, text: (r) => r.namespace },
	{ key: "runtime", title: "Runtime", optional: true, value: (r) => r.runtime, text: (r) => r.runtime },
];

export class LiveView {
	constructor(main, state) {
		this.state = state;
		this.names = new Map(); // number → description
		this.rows = new Map(); // number → row
		this.known = 0;
		this.since = 0;
		this.history = null;
		this.order = []; // names of the layers, from the bottom up
		this.tiles = Object.fromEntries(["measured", "dynamic", "idle", "error", "source", "age"].map((key) => [key, element("b", { id: `tile-${key}` }, missing)]));
		main.replaceChildren(this.head(), this.chartPart(), this.tablePart());
		this.chart = new StackChart(this.chartBox);
	}

	head() {
		const tile = (key, text) => element("div", { class: "tile" }, this.tiles[key], element("span", {}, text));
		return element("section", { class: "tiles", "aria-label": "The machine now" },
			tile("measured", "measured, all scopes"), tile("dynamic", "caused by containers and services"),
			tile("idle", "drawn when idle (static)"), tile("error", "recent error of the model"), tile("source", "energy source"), tile("age", "since the last tick"));
	}

	chartPart() {
		this.chartBox = element("div", { class: "chart", id: "chart", role: "img", tabindex: "0" });
		this.legend = element("ul", { class: "legend", id: "legend", "aria-label": "Layers of the chart" });
		this.sampled = element("span", { class: "hint", id: "sampled" });
		return element("section", { "aria-label": "Power over time" }, element("div", { class: "bar" },
			element("label", {}, "Range ", rangeSelect(this.state, (seconds) => {
				this.state.range = seconds;
				this.state.save();
				this.refresh();
			})), this.sampled), this.chartBox, this.legend,
		element("p", { class: "hint" }, "The line is the measured power of the machine; the band around it is the model's recent error. A layer's watts are its full power: dynamic (what its own work causes) plus its share of the idle power (static)."));
	}

	tablePart() {
		const box = element("section", { "aria-label": "Containers and services" });
		const search = element("input", { id: "search", type: "search", placeholder: "name, image, pod, namespace", value: this.state.search, oninput: (event) => {
			this.state.search = event.target.value;
			this.state.save();
			this.showTable();
		} });
		box.append(element("div", { class: "bar" }, element("label", {}, "Search ", search)));
		this.table = new Table(box, { columns, sort: this.state.sort, descending: this.state.descending, caption: "Containers and services", onsort: (key, descending) => {
			this.state.sort = key;
			this.state.descending = descending;
			this.state.save();
		} });
		return box;
	}

	async start(signal) {
		this.signal = signal;
		await this.refresh();
	}

	async refresh() {
		const until = Date.now() / 1000;
		const history = await get("/api/history", { sensor: this.state.machine, from: until - this.state.range, until, points, top: paletteSize }, { signal: this.signal });
		if (this.signal.aborted) return;
		this.history = history;
		this.refreshed = Date.now();
		this.partial = null;
		this.sampled.textContent = history.sampled ? "one tick of each step is shown; shorter ranges are exact" : "";
		this.showChart();
	}

	// Once a second. Takes the tick into the table, and into the chart's newest step.
	async poll() {
		const answer = await get("/api/live", { sensor: this.state.machine, since: this.since, known: this.known }, { signal: this.signal });
		if (this.signal.aborted) return;
		this.tiles.age.textContent = answer.timestamp ? age((Date.now() - answer.timestamp) / 1000) : missing;
		if (!answer.targets) return;
		this.since = answer.timestamp;
		if (this.known > answer.known) this.forget(); // the server was restarted
		this.known = answer.known;
		for (const each of answer.descriptions) this.names.set(each.number, each);
		this.take(answer);
		this.showTiles(answer);
		this.showTable();
		await this.extend(answer);
	}

	forget() {
		this.names.clear();
		this.rows.clear();
		this.known = 0;
	}

	take(answer) {
		for (const [index, [number, dynamic, fixed, energy, ...scopes]] of answer.targets.entries()) {
			const name = this.names.get(number);
			if (!name) {
				this.known = 0; // asked for again with the next tick
				continue;
			}
			const total = scopes.reduce((sum, value) => sum + (value ?? 0), 0);
			this.rows.set(number, { key: String(number), sensor: answer.sensor, target: name.target, image: name.image ?? "", pod: name.pod ?? "", namespace: name.namespace ?? "", runtime: name.runtime ?? "", watts: total, dynamic, static: fixed, sd: answer.sd?.[index] ?? NaN, joules: energy, seen: answer.timestamp });
		}
		for (const [number, row] of this.rows) {
			if (row.seen === answer.timestamp) continue;
			row.watts = row.dynamic = row.static = row.sd = NaN;
			if (answer.timestamp - row.seen > goneAfter) {
				this.rows.delete(number);
				this.names.delete(number);
			}
		}
	}

	showTiles(answer) {
		const sum = (values) => Object.values(values ?? {}).reduce((total, v) => (v === null ? total : (total ?? 0) + v), null) ?? NaN;
		const live = [...this.rows.values()].filter((r) => r.seen === answer.timestamp);
		this.tiles.measured.textContent = watts(sum(answer.measured));
		this.tiles.dynamic.textContent = watts(live.filter((r) => !reserved[r.target]).reduce((total, r) => total + (r.dynamic ?? 0), 0));
		this.tiles.idle.textContent = watts(live.reduce((total, r) => total + (r.target === "idle" ? r.watts : r.static ?? 0), 0));
		this.tiles.error.textContent = `± ${watts(sum(answer.error))}`;
		this.tiles.source.textContent = `${answer.energy_source || missing}${answer.estimated ? " (estimate)" : ""}`;
		this.tiles.source.classList.toggle("estimated", answer.estimated);
	}

	showTable() {
		const words = this.state.search.toLowerCase().split(/\s+/).filter(Boolean);
		const fits = (row) => {
			const text = `${row.target} ${row.image} ${row.pod} ${row.namespace} ${row.runtime}`.toLowerCase();
			return words.every((word) => text.includes(word));
		};
		const rows = [...this.rows.values()].filter(fits);
		this.table.show(rows, `${rows.length} of ${this.rows.size} containers and services. Dynamic: what its own work causes. Idle share: its share of the power drawn when idle. ±: standard deviation of the watts. Joules: since the start of the server or of the target.`);
	}

	// The newest step is a mean over the ticks that fall into it.
	async extend(answer) {
		const history = this.history;
		if (!history) return;
		const step = history.step, last = history.times[history.times.length - 1], now = answer.timestamp / 1000;
		if (Date.now() - this.refreshed > Math.max(30, 20 * step) * 1000) {
			await this.refresh();
			return;
		}
		if (step > 60) return;
		const steps = Math.ceil((now - last) / step - 1e-9);
		for (let i = 0; i < Math.min(steps, points); i++) this.shift(step);
		const at = history.times.length - 1;
		this.partial = steps > 0 || !this.partial ? { seconds: 0 } : this.partial;
		const before = this.partial.seconds, seconds = answer.interval || 1;
		this.partial.seconds += seconds;
		const mix = (values, value) => {
			values[at] = ((values[at] ?? 0) * before + value * seconds) / (before + seconds);
		};
		const named = new Map(history.targets.map((t) => [t.target, t]));
		let others = 0;
		const seen = new Set();
		for (const row of this.rows.values()) {
			if (row.seen !== answer.timestamp) continue;
			const series = named.get(row.target);
			if (series) {
				mix(series.watts, row.watts);
				seen.add(row.target);
			} else others += row.watts;
		}
		for (const [name, series] of named) if (!seen.has(name)) mix(series.watts, 0);
		mix(history.others, others);
		const total = (values) => Object.values(values ?? {}).reduce((sum, v) => sum + (v ?? 0), 0);
		mix(history.measured, total(answer.measured));
		mix(history.error, total(answer.error));
		this.showChart();
	}

	shift(step) {
		const history = this.history;
		history.times.push(history.times[history.times.length - 1] + step);
		history.times.shift();
		for (const values of [history.measured, history.error, history.others, ...history.targets.map((t) => t.watts)]) {
			values.push(null);
			values.shift();
		}
	}

	layers() {
		const special = (name) => (name in reserved ? 0 : 1);
		const series = this.history.targets.slice().sort((a, b) => special(a.target) - special(b.target));
		const used = new Set();
		const layers = series.map((each) => {
			let index = hashOf(each.target) % paletteSize;
			while (used.has(index) && used.size < paletteSize) index = (index + 1) % paletteSize;
			const own = !(each.target in reserved);
			if (own) used.add(index);
			return { name: each.target, watts: each.watts, color: own ? paletteColor(index) : color(reserved[each.target]) };
		});
		layers.splice(layers.filter((l) => l.name in reserved).length, 0, { name: "all others", watts: this.history.others, color: color("others") });
		return layers;
	}

	showChart() {
		const data = { times: this.history.times, layers: this.layers(), line: { name: "measured", watts: this.history.measured, error: this.history.error, errorName: "recent error of the model" } };
		this.chart.show(data);
		this.chartBox.setAttribute("aria-label", describe(data));
		const names = data.layers.map((l) => l.name + l.color).join("\n");
		if (names === this.legendNames) return;
		this.legendNames = names;
		this.legend.replaceChildren(...data.layers.slice().reverse().map((l) => element("li", {}, swatch(l.color), l.name)));
	}

	stop() {
		this.chart.destroy();
	}
}
