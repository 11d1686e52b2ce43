// A table that sorts by its headings and keeps only the visible rows in the document, so that thousands cost nothing.

import { element, safe } from "/page/format.js";

const rowHeight = 30; // as in style.css
const margin = 12;

export class Table {
	// columns: [{ key, title, number, optional, text: (row) => string, value: (row) => sort value, render: (cell, row) }]
	constructor(parent, { columns, sort, descending = true, caption, onsort }) {
		this.columns = columns;
		this.sort = sort;
		this.descending = descending;
		this.onsort = onsort;
		this.rows = [];
		this.head = element("tr", {}, columns.map((column) => this.heading(column)));
		this.body = element("tbody");
		this.caption = element("caption", {}, caption ?? "");
		this.table = element("table", {}, this.caption, element("thead", {}, this.head), this.body);
		this.scroller = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption ?? "table" }, this.table);
		this.scroller.addEventListener("scroll", () => this.draw());
		parent.append(this.scroller);
		this.pool = new Map(); // key of a row → its element
	}

	heading(column) {
		const button = element("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.title);
		return element("th", { scope: "col", class: this.classes(column), "data-key": column.key }, button);
	}

	classes(column) {
		return [column.number ? "number" : "", column.optional ? "optional" : ""].join(" ").trim();
	}

	sortBy(key) {
		const column = this.columns.find((c) => c.key === key);
		this.descending = this.sort === key ? !this.descending : !!column.number;
		this.sort = key;
		this.onsort?.(key, this.descending);
		this.show(this.rows);
	}

	show(rows, caption) {
		const column = this.columns.find((c) => c.key === this.sort) ?? this.columns[0];
		const sign = this.descending ? -1 : 1;
		this.rows = rows.slice().sort((a, b) => {
			const x = column.value(a), y = column.value(b);
			const order = typeof x === "number" ? (Number.isFinite(x) ? x : -Infinity) - (Number.isFinite(y) ? y : -Infinity) || 0 : String(x).localeCompare(String(y));
			return order * sign || a.key.localeCompare(b.key);
		});
		for (const th of this.head.children)
			th.setAttribute("aria-sort", th.dataset.key === this.sort ? (this.descending ? "descending" : "ascending") : "none");
		if (caption !== undefined && this.caption.textContent !== caption) this.caption.textContent = caption;
		this.table.setAttribute("aria-rowcount", String(this.rows.length + 1));
		this.draw();
	}

	draw() {
		const height = this.scroller.clientHeight || 600;
		const first = Math.max(0, Math.floor(this.scroller.scrollTop / rowHeight) - margin);
		const last = Math.min(this.rows.length, Math.ceil((this.scroller.scrollTop + height) / rowHeight) + margin);
		const used = new Set();
		const wanted = [this.gap("before", first)];
		for (let i = first; i < last; i++) {
			const row = this.rows[i];
			used.add(row.key);
			wanted.push(this.row(row, i));
		}
		wanted.push(this.gap("after", this.rows.length - last));
		for (const key of this.pool.keys()) if (!used.has(key)) this.pool.delete(key);
		wanted.forEach((node, i) => {
			if (this.body.children[i] !== node) this.body.insertBefore(node, this.body.children[i] ?? null);
		});
		while (this.body.children.length > wanted.length) this.body.lastChild.remove();
	}

	gap(which, n) {
		const name = `${which}Gap`;
		this[name] ??= element("tr", { class: "gap", "aria-hidden": "true" }, element("td", { colspan: String(this.columns.length) }));
		const size = `${n * rowHeight}px`;
		if (this[name].firstChild.style.height !== size) this[name].firstChild.style.height = size;
		return this[name];
	}

	row(row, index) {
		let made = this.pool.get(row.key);
		if (!made) {
			made = element("tr", { "data-key": row.key }, this.columns.map((column) => element(column.header ? "th" : "td", { class: this.classes(column), scope: column.header ? "row" : undefined })));
			this.pool.set(row.key, made);
		}
		made.setAttribute("aria-rowindex", String(index + 2));
		this.columns.forEach((column, i) => {
			const cell = made.children[i];
			if (column.render) {
				column.render(cell, row);
				return;
			}
			const text = safe(column.text(row));
			if (cell.textContent !== text) {
				cell.textContent = text;
				if (!column.number) cell.title = text;
			}
		});
		return made;
	}
}
