// Numbers, times and elements as people read them. Names of containers are foreign text: they become text nodes, never markup.

export const missing = "–";

export function watts(value) {
	if (!Number.isFinite(value)) return missing;
	const size = Math.abs(value);
	if (size !== 0 && size < 0.1) return `${(value * 1000).toFixed(1)} mW`;
	return `${value.toFixed(size < 10 ? 2 : 1)} W`;
}

const largeUnits = [["GJ", 1e9], ["MJ", 1e6], ["kJ", 1e3]];

export function joules(value) {
	if (!Number.isFinite(value)) return missing;
	for (const [unit, size] of largeUnits)
		if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${unit}`;
	if (value !== 0 && Math.abs(value) < 0.1) return `${(value * 1000).toFixed(1)} mJ`;
	return `${value.toFixed(Math.abs(value) < 10 ? 2 : 1)} J`;
}

// "184 ± 7 J": one unit, and two digits of the error where three decimals show them. An unknown error is left out.
function withError(value, sd, unit, large, plain) {
	if (!Number.isFinite(value) || !Number.isFinite(sd)) return plain(value);
	const most = Math.max(Math.abs(value), sd);
	const [name, size] = large.find(([, least]) => most >= least) ?? (most >= 0.1 || most === 0 ? [unit, 1] : [`m${unit}`, 1e-3]);
	const decimals = sd > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(sd / size)), 0), 3) : 2;
	const error = (sd / size).toFixed(decimals);
	return `${(value / size).toFixed(decimals)} ± ${sd > 0 && Number(error) === 0 ? "<0.001" : error} ${name}`;
}

export function joulesWithError(value, sd) {
	return withError(value, sd, "J", largeUnits, joules);
}

export function wattsWithError(value, sd) {
	return withError(value, sd, "W", [], watts);
}

export function seconds(value) {
	if (!Number.isFinite(value)) return missing;
	if (value < 120) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
	if (value < 7200) return `${(value / 60).toFixed(1)} min`;
	return `${(value / 3600).toFixed(1)} h`;
}

// How long ago: whole seconds, so that nothing flickers.
export function age(value) {
	return value < 120 ? `${Math.max(0, value).toFixed(0)} s` : seconds(value);
}

export function when(milliseconds) {
	return Number.isFinite(milliseconds) ? new Date(milliseconds).toLocaleString() : missing;
}

// "<" and other characters need no care here: text is set as text. Control and direction characters are made visible.
export function safe(text) {
	return String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

export function element(name, attributes = {}, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (key === "class") made.className = value;
		else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
		else if (value === true) made.setAttribute(key, "");
		else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
	}
	for (const child of children.flat()) made.append(child instanceof Node ? child : safe(child));
	return made;
}

export function color(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Colours that are told apart by most people with a colour vision deficiency, too.
const palette = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e07b39", "#7766cc", "#44aa99", "#b0527a", "#889933", "#5c8ae6"];
export const paletteSize = palette.length;
export function paletteColor(index) {
	return palette[index % palette.length];
}
