// Charts by uPlot: layers on top of each other with the measured total as a line and the error as a band around it.

import uPlot from "/page/uPlot.js";
import { color, watts } from "/page/format.js";

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

	// data: { times, layers: [{ name, watts, color }], measured, error }; layers from the bottom up.
	show(data) {
		const n = data.times.length;
		const covered = (i) => (data.measured ? data.measured[i] !== null : data.layers.some((layer) => layer.watts[i] !== null));
		const edges = stack(data.layers, n, covered);
		const high = data.measured?.map((v, i) => (v === null || data.error?.[i] == null ? null : v + data.error[i]));
		const low = data.measured?.map((v, i) => (v === null || data.error?.[i] == null ? null : Math.max(0, v - data.error[i])));
		const columns = [data.times, ...edges.reverse()];
		if (data.measured) columns.push(high, low, data.measured);
		const shape = JSON.stringify([data.layers.map((l) => [l.name, l.color]), !!data.measured, document.documentElement.dataset.theme ?? ""]);
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
		const bands = [];
		if (data.measured) {
			const first = series.length;
			series.push({ label: "measured + error", stroke: "transparent", points: { show: false } });
			series.push({ label: "measured - error", stroke: "transparent", points: { show: false } });
			series.push({ label: "measured", stroke: color("measured"), width: 1.5, points: { show: false } });
			bands.push({ series: [first, first + 1], fill: color("band") });
		}
		return {
			width: this.width(),
			height: this.height,
			series,
			bands,
			axes: axes(),
			scales: { y: { range: (u, min, max) => [0, Math.max(max * 1.05, 0.001)] } },
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
	const last = data.times.length - 1;
	const newest = (values) => {
		for (let i = last; i >= 0; i--) if (values[i] !== null && values[i] !== undefined) return values[i];
		return NaN;
	};
	const parts = data.layers.map((layer) => `${layer.name} ${watts(newest(layer.watts))}`).reverse();
	return `Power over time. Latest: ${data.measured ? `measured ${watts(newest(data.measured))}; ` : ""}${parts.join(", ")}.`;
}
