// Mean, spread and Welch's t-test of two groups of runs; the error of a total.

export function summary(values) {
	const n = values.length;
	const mean = values.reduce((sum, x) => sum + x, 0) / n;
	const variance = n > 1 ? values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1) : NaN;
	return { n, mean, sd: Math.sqrt(variance), min: Math.min(...values), max: Math.max(...values) };
}

// Standard deviation of the total of figures with independent errors, [{ total, dynamic, sd }]. Without a dynamic part there is none;
// NaN if more than a tenth of the total lacks it, because the error of the others is not that of all.
export function errorOfTotal(figures) {
	let total = 0, missing = 0, square = 0, n = 0;
	for (const figure of figures.filter((each) => Number.isFinite(each.total))) {
		total += figure.total;
		if (Number.isFinite(figure.sd)) {
			square += figure.sd ** 2;
			n++;
		} else if (figure.total !== 0 && figure.dynamic !== 0) missing += Math.abs(figure.total);
	}
	return n && missing <= 0.1 * Math.abs(total) ? Math.sqrt(square) : NaN;
}

// ln of the gamma function by Lanczos' series (g = 7, n = 9).
function logGamma(x) {
	const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
		12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
	if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
	x -= 1;
	let sum = c[0];
	for (let i = 1; i < 9; i++) sum += c[i] / (x + i);
	const t = x + 7.5;
	return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum);
}

// Regularized incomplete beta function by its continued fraction (Lentz).
export function incompleteBeta(x, a, b) {
	if (x <= 0) return 0;
	if (x >= 1) return 1;
	if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
	const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
	let f = 1, c = 1, d = 0;
	for (let i = 0; i <= 300; i++) {
		const m = Math.floor(i / 2);
		let numerator = 1;
		if (i > 0 && i % 2 === 0) numerator = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
		else if (i > 0) numerator = -((a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
		d = 1 + numerator * d;
		d = 1 / (Math.abs(d) < 1e-30 ? 1e-30 : d);
		c = 1 + numerator / (Math.abs(c) < 1e-30 ? 1e-30 : c);
		f *= c * d;
		if (i > 0 && Math.abs(1 - c * d) < 1e-10) break;
	}
	return front * (f - 1);
}

// Two-sided p of Welch's t-test; NaN where a group has fewer than two runs.
export function welch(a, b) {
	const va = a.sd ** 2 / a.n, vb = b.sd ** 2 / b.n;
	if (!(a.n > 1 && b.n > 1)) return { t: NaN, p: NaN };
	if (va + vb === 0) return { t: a.mean === b.mean ? 0 : Infinity, p: a.mean === b.mean ? 1 : 0 };
	const t = (a.mean - b.mean) / Math.sqrt(va + vb);
	const df = (va + vb) ** 2 / (va ** 2 / (a.n - 1) + vb ** 2 / (b.n - 1));
	return { t, df, p: incompleteBeta(df / (df + t * t), df / 2, 0.5) };
}
