// Requests to the server. Throws an Error whose message is the server's own reason.

let token = sessionStorage.getItem("token");
let asking = null;

function askForToken() {
	asking ??= new Promise((resolve) => {
		const dialog = document.getElementById("login");
		dialog.addEventListener("close", () => {
			token = document.getElementById("token").value;
			sessionStorage.setItem("token", token);
			document.getElementById("token").value = "";
			asking = null;
			resolve();
		}, { once: true });
		dialog.showModal();
	});
	return asking;
}

export async function get(path, parameters = {}, options = {}) {
	const query = new URLSearchParams();
	for (const [key, value] of Object.entries(parameters))
		if (value !== undefined && value !== null && value !== "") query.set(key, value);
	const text = query.toString();
	for (;;) {
		const answer = await fetch(text ? `${path}?${text}` : path, {
			headers: token ? { Authorization: `Bearer ${token}` } : {},
			signal: options.signal,
		});
		if (answer.status === 401) {
			await askForToken();
			continue;
		}
		const value = await answer.json();
		if (!answer.ok) throw new Error(value.error ?? `the server answered ${answer.status}`);
		return value;
	}
}
