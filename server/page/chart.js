// Charts by uPlot: layers on top of each other with their total as a line and its error as a band around it.

import uPlot from "/page/uPlot.js";
import { color, element, paletteColor, watts, wattsWithError } from "/page/format.js";

function axes() {
	const common = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") } };
	return [common, { ...common, size: 64, values: (u, splits) => splits.map((v) => `${v} W`) }];
}

// Each layer's upper edge: the sum of the layers below and itself. Drawn from the highest to the lowest.
// Where nothing was measured there is a gap, not a zero.
function stack(layers, length, covered) {
	const edges = [];
	const sum = new Array(length).fill(0);
	for (const layer of layers) {
		for (let i = 0; i < length; i++) sum[i] += layer.watts[i] ?? 0;
		edges.push(sum.map((value, i) => (covered(i) ? value : null)));
	}
	return edges;
}

export class StackChart {
	// `marks`: function that returns [{ from, until, label }] in seconds, drawn as shaded phases.
	constructor(parent, { height = 280, marks = () => [] } = {}) {
		this.parent = parent;
		this.height = height;
		this.marks = marks;
		this.plot = null;
		this.shape = "";
		this.observer = new ResizeObserver(() => this.resize());
		this.observer.observe(parent);
	}

	resize() {
		this.plot?.setSize({ width: this.width(), height: this.height });
	}

	width() {
		return Math.max(200, this.parent.clientWidth - 16);
	}

	// data: { times, layers: [{ name, watts, color }], line: { name, watts, error } }; layers from the bottom up.
	show(data) {
		const n = data.times.length;
		const edges = stack(data.layers, n, (i) => data.line.watts[i] !== null);
		const border = (sign) => data.line.watts.map((v, i) => (v === null || data.line.error?.[i] == null ? null : Math.max(0, v + sign * data.line.error[i])));
		const columns = [data.times, ...edges.reverse(), border(1), border(-1), data.line.watts];
		this.most = data.line.watts.reduce((most, v) => Math.max(most, v ?? 0), 0);
		const shape = JSON.stringify([data.layers.map((l) => [l.name, l.color]), document.documentElement.dataset.theme ?? ""]);
		if (shape !== this.shape) {
			this.plot?.destroy();
			this.plot = new uPlot(this.options(data), columns, this.parent);
			this.shape = shape;
		} else {
			this.plot.setData(columns);
		}
	}

	options(data) {
		const series = [{}];
		for (const layer of [...data.layers].reverse())
			series.push({ label: layer.name, stroke: layer.color, fill: layer.color, width: 1, points: { show: false } });
		const first = series.length;
		series.push({ label: `${data.line.name} + error`, stroke: "transparent", points: { show: false } });
		series.push({ label: `${data.line.name} - error`, stroke: "transparent", points: { show: false } });
		series.push({ label: data.line.name, stroke: color("measured"), width: 1.5, points: { show: false } });
		return {
			width: this.width(),
			height: this.height,
			series,
			bands: [{ series: [first, first + 1], fill: color("band") }],
			axes: axes(),
			scales: { y: { range: (u, min, max) => [0, Math.max(Math.min(max * 1.05, 2 * this.most), this.most * 1.05, 0.001)] } },
			cursor: { drag: { x: false, y: false } },
			legend: { show: false },
			hooks: { drawClear: [(u) => this.drawMarks(u)], setCursor: [(u) => this.onCursor?.(u.cursor.idx)] },
		};
	}

	drawMarks(u) {
		const context = u.ctx;
		context.save();
		for (const mark of this.marks()) {
			const from = u.valToPos(Math.max(mark.from, u.scales.x.min), "x", true);
			const until = u.valToPos(Math.min(mark.until, u.scales.x.max), "x", true);
			context.fillStyle = mark.fill;
			context.fillRect(from, u.bbox.top, Math.max(0, until - from), u.bbox.height);
			context.fillStyle = color("soft");
			context.font = `${12 * devicePixelRatio}px sans-serif`;
			context.fillText(mark.label, from + 4, u.bbox.top + 14 * devicePixelRatio);
		}
		context.restore();
	}

	destroy() {
		this.observer.disconnect();
		this.plot?.destroy();
	}
}

// A swatch without inline style, which the page's policy forbids.
export function swatch(fill) {
	const canvas = document.createElement("canvas");
	canvas.width = canvas.height = 12;
	const context = canvas.getContext("2d");
	context.fillStyle = fill;
	context.fillRect(0, 0, 12, 12);
	canvas.setAttribute("aria-hidden", "true");
	return canvas;
}

// What the chart shows, in words, for those who cannot see it.
export function describe(data) {
	const newest = (values) => values.findLast((value) => value !== null && value !== undefined) ?? NaN;
	const parts = data.layers.map((layer) => `${layer.name} ${watts(newest(layer.watts))}`).reverse();
	return `Power over time. Latest: ${lineText(data.line, data.line.watts.findLastIndex((value) => value !== null))}; ${parts.join(", ")}.`;
}

// The line and its error at one time: its own, or that of something else, which then has a name.
function lineText(line, at) {
	const error = line.error?.[at] ?? NaN, value = line.watts[at] ?? NaN;
	if (!line.errorName) return `${line.name} ${wattsWithError(value, error)}`;
	return `${line.name} ${watts(value)}${Number.isFinite(error) ? `, ${line.errorName} ${watts(error)}` : ""}`;
}

// The curve of one target, with the watts at the pointer, or the latest, as text below.
export class TargetChart {
	constructor(box, options) {
		this.box = box;
		this.text = element("p", { class: "readout" });
		this.chart = new StackChart(box, options);
		this.chart.onCursor = (at) => this.read(at);
		box.after(this.text);
	}

	// series: a target of /api/history.
	show(times, series, prefix = "") {
		const fixed = series.watts.map((value, i) => (value === null ? null : Math.max(0, value - (series.dynamic[i] ?? 0))));
		this.data = { times, layers: [{ name: "dynamic", watts: series.dynamic, color: paletteColor(0) }, { name: "idle share", watts: fixed, color: color("idle") }], line: { name: "watts", watts: series.watts, error: series.sd } };
		this.chart.show(this.data);
		this.box.setAttribute("aria-label", `${prefix}${describe(this.data)}`);
		this.read(this.chart.plot.cursor.idx ?? null);
	}

	read(cursor) {
		const line = this.data?.line;
		const at = cursor ?? line?.watts.findLastIndex((value) => value !== null) ?? -1;
		if (!line || at < 0 || line.watts[at] === null) {
			this.text.textContent = line && at >= 0 ? `${new Date(this.data.times[at] * 1000).toLocaleTimeString()}: no report` : "";
			return;
		}
		const [dynamic, fixed] = this.data.layers.map((layer) => watts(layer.watts[at]));
		this.text.textContent = `${cursor === null || cursor === undefined ? "Latest, " : ""}${new Date(this.data.times[at] * 1000).toLocaleTimeString()}: ${wattsWithError(line.watts[at], line.error?.[at] ?? NaN)} (dynamic ${dynamic}, idle share ${fixed})`;
	}

	destroy() {
		this.chart.destroy();
		this.text.remove();
	}
}

export const bandHint = "The line is its watts; the band around it, and ±: standard deviation of the watts. No band: it is unknown.";
