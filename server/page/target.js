// The page of one container or service: its curve, and what is known of it.

import { get } from "/page/api.js";
import { TargetChart, bandHint } from "/page/chart.js";
import { element, joulesWithError, missing, when } from "/page/format.js";
import { rangeSelect } from "/page/machines.js";

const facts = [["id", "Container ID"], ["runtime", "Runtime"], ["image", "Image"], ["pod", "Pod"], ["namespace", "Namespace"], ["container", "Container in the pod"], ["cgroup", "Cgroup"]];

export class TargetView {
	constructor(main, state, target) {
		this.state = state;
		this.target = target;
		this.facts = element("dl", { class: "facts", id: "facts" });
		this.box = element("div", { class: "chart", id: "chart", role: "img", tabindex: "0" });
		this.energy = element("b", { id: "target-energy" }, missing);
		this.hint = element("span", { class: "hint" });
		main.replaceChildren(
			element("p", {}, element("a", { href: "#/live" }, "All containers and services")),
			element("h2", { id: "target-name" }, target),
			element("div", { class: "bar" }, element("label", {}, "Range ", rangeSelect(state, (seconds) => {
				state.range = seconds;
				state.save();
				this.refresh();
			})), element("span", {}, "Energy in this range: ", this.energy), this.hint),
			this.box,
			element("p", { class: "hint" }, "Lower layer: dynamic watts, which its own work causes. Upper layer: its share of the power drawn when idle. ", bandHint),
			element("h2", {}, "Details"), this.facts);
		this.chart = new TargetChart(this.box);
	}

	async start(signal) {
		this.signal = signal;
		const { machines } = await get("/api/machines", {}, { signal });
		this.estimated = machines.find((machine) => machine.sensor === this.state.machine)?.estimated;
		const [document] = await Promise.all([get("/api/target", { sensor: this.state.machine, target: this.target }, { signal }), this.refresh()]);
		this.showFacts(document);
	}

	showFacts(found) {
		const row = (title, text) => [element("dt", {}, title), element("dd", {}, text)];
		const rows = facts.filter(([key]) => found[key]).flatMap(([key, title]) => row(title, found[key]));
		if (found.first_seen) rows.push(...row("Lifetime", `${when(Date.parse(found.first_seen))} to ${when(Date.parse(found.last_seen))}`));
		if (found.cpu_quota) rows.push(...row("CPU limit", `${found.cpu_quota} CPUs`));
		for (const label of found.labels ?? []) rows.push(...row("Label", label));
		this.facts.replaceChildren(...(rows.length ? rows : row("Description", "the sensor has written none")));
	}

	async refresh() {
		const until = Date.now() / 1000;
		const history = await get("/api/history", { sensor: this.state.machine, target: this.target, from: until - this.state.range, until, points: 300, top: 1 }, { signal: this.signal });
		if (this.signal.aborted) return;
		this.refreshed = Date.now();
		const none = history.times.map(() => null);
		const series = history.targets[0] ?? { watts: none, dynamic: none, sd: none, energy_j: null, sd_j: null };
		this.chart.show(history.times, series);
		this.energy.textContent = `${joulesWithError(series.energy_j ?? NaN, series.sd_j ?? NaN)}${this.estimated ? " (estimated, not measured)" : ""}`;
		this.hint.textContent = history.sampled ? "one tick of each step is shown; shorter ranges are exact" : "";
	}

	async poll() {
		if (Date.now() - this.refreshed > Math.max(2, this.state.range / 300) * 1000) await this.refresh();
	}

	stop() {
		this.chart.destroy();
	}
}
