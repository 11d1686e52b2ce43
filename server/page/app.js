// The page as a whole: which view is shown, which machine, pause, theme. Views get a signal that ends their requests.

import { get } from "/page/api.js";
import { element, missing, seconds, watts } from "/page/format.js";
import { LiveView } from "/page/machines.js";
import { RunsView } from "/page/recaps.js";
import { TargetView } from "/page/target.js";

const period = 1000; // ms between two looks
const $ = (id) => document.getElementById(id);

const state = {
	machine: "", range: 300, sort: "watts", descending: true, search: "", paused: false, retention: 0,
	save() {
		const { range, sort, descending, machine } = this;
		localStorage.setItem("view", JSON.stringify({ range, sort, descending, machine }));
	},
};
try {
	Object.assign(state, JSON.parse(localStorage.getItem("view") ?? "{}"));
} catch { /* what another version stored */ }

function notice(text) {
	$("notice").hidden = !text;
	if ($("notice").textContent !== text) $("notice").textContent = text;
}

const lost = { incomplete: "incomplete ticks", missing: "missing reports", late: "late reports", bad: "malformed reports", unmeasured: "ticks without energy", sensor_lost: "lost by the sensor" };

class SensorsView {
	constructor(main) {
		this.body = element("tbody");
		const heads = ["Machine", "Lag", "Ticks", "Energy source", "Formula", "Model error", "Losses"];
		main.replaceChildren(element("h2", {}, "Sensors"), element("div", { class: "scroll" }, element("table", { id: "sensors" }, element("thead", {}, element("tr", {}, heads.map((h) => element("th", { scope: "col" }, h)))), this.body)));
	}

	async start(signal) {
		this.signal = signal;
		await this.poll();
	}

	async poll() {
		const [{ sensors }, latest] = await Promise.all([get("/api/sensors", {}, { signal: this.signal }), get("/api/machines", {}, { signal: this.signal })]);
		const machines = new Map(latest.machines.map((m) => [m.sensor, m]));
		this.body.replaceChildren(...sensors.map((s) => {
			const losses = Object.entries(lost).filter(([key]) => s.counts[key] > 0).map(([key, text]) => `${s.counts[key]} ${text}`);
			const machine = machines.get(s.sensor);
			const source = machine?.energy_source ? `${machine.energy_source}${machine.estimated ? " (estimate)" : " (measured)"}` : missing;
			const cells = [seconds(s.lag ?? NaN), String(s.counts.ticks), source, `${s.formula}: ${s.model}`, Number.isFinite(s.error) ? `± ${watts(s.error)}` : "not fitted yet", losses.join(", ") || "none"];
			return element("tr", {}, element("th", { scope: "row" }, element("a", { href: "#/live", onclick: () => choose(s.sensor) }, s.sensor)), cells.map((text) => element("td", {}, text)));
		}));
	}

	stop() {}
}

let view = null, controller = null;

function choose(machine) {
	state.machine = machine;
	state.save();
	$("machine").value = machine;
}

function makeView() {
	const [, name = "live", ...rest] = location.hash.split("/").map(decodeURIComponent);
	for (const id of ["live", "runs", "sensors"]) {
		if (id === name) $(`nav-${id}`).setAttribute("aria-current", "page");
		else $(`nav-${id}`).removeAttribute("aria-current");
	}
	if (name === "sensors") return new SensorsView($("main"));
	if (!state.machine) return null;
	if (name === "runs") return new RunsView($("main"), state);
	if (name === "target" && rest.length >= 2) {
		choose(rest[0]);
		return new TargetView($("main"), state, rest.slice(1).join("/"));
	}
	return new LiveView($("main"), state);
}

async function guarded(work) {
	try {
		await work();
		notice("");
	} catch (error) {
		if (error.name !== "AbortError") notice(error.message === "Failed to fetch" ? "The server does not answer; retrying." : error.message);
	}
}

async function route() {
	controller?.abort();
	view?.stop();
	controller = new AbortController();
	const { signal } = controller;
	const mine = (view = makeView());
	if (!mine) {
		$("main").replaceChildren(element("p", {}, "No sensor has written here yet. This page checks again every second."));
		return;
	}
	await guarded(() => mine.start(signal));
}

async function machines() {
	const { machines: list, retention } = await get("/api/machines");
	state.retention = retention;
	const names = list.map((m) => m.sensor);
	const select = $("machine");
	if ([...select.options].map((o) => o.value).join("\n") !== names.join("\n"))
		select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
	if (names.length && !names.includes(state.machine)) {
		choose(names[0]);
		return true;
	}
	select.value = state.machine;
	return names.length > 0 && !view;
}

function theme(name) {
	if (name) {
		document.documentElement.dataset.theme = name;
		localStorage.setItem("theme", name);
	}
}

let turn = 0;
async function tick() {
	if (!state.paused && !document.hidden) {
		await guarded(async () => {
			if (turn++ % 10 === 0 && (await machines())) await route();
			else await view?.poll?.();
		});
	}
	setTimeout(tick, period);
}

function setPaused(paused) {
	state.paused = paused;
	$("pause").setAttribute("aria-pressed", String(paused));
	$("pause").textContent = paused ? "Continue" : "Pause";
}

$("pause").addEventListener("click", () => setPaused(!state.paused));
$("theme").addEventListener("click", () => {
	const dark = (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
	theme(dark ? "light" : "dark");
	route();
});
$("machine").addEventListener("change", (event) => {
	choose(event.target.value);
	if (location.hash.startsWith("#/target")) location.hash = "#/live";
	else route();
});
document.addEventListener("keydown", (event) => {
	if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
	if (event.key === "p") setPaused(!state.paused);
	else if (event.key === "/" && $("search")) {
		event.preventDefault();
		$("search").focus();
	}
});
addEventListener("hashchange", () => guarded(route));
theme(localStorage.getItem("theme"));
guarded(async () => {
	await machines();
	await route();
}).then(() => setTimeout(tick, period));
