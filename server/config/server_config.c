/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's option table and settings derived from several options. Read by main.c in every process of the
 * daemon; man/wattribute-server.8 lists the same options (a lint test compares).
 */
#include "config/server_config.h"
#include "base/cleanup.h"
#include "base/folder.h"
#include "formula/conserve.h"
#include "http/http.h"
#include "store/store.h"
#include "store/store_bounds.h"
#include "base/text.h"
#include "base/reason.h"
#include "process/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTION(name, member, ...) CONFIG_OPTION(struct server_config, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	{.type = CONFIG_TITLE, .help = "Input and output:"},
	OPTION("uri", uri, .letter = 'U', .flags = CONFIG_URI, .placeholder = "URI",
	       .help = "store for both input and output"),
	OPTION("input", input, .letter = 'i', .flags = CONFIG_URI, .placeholder = "URI",
	       .help = "store to read reports from: sqlite:FILE, mongodb://..., bson:FILE, jsonl:FILE; "
		       "default: the SQLite file in the state folder"),
	OPTION("output", output, .letter = 'o', .flags = CONFIG_URI, .placeholder = "URI",
	       .help = "store to write power reports to: as above, or csv:DIR, or null:; default: the input, "
		       "if it is writable"),
	OPTION("database", database, .letter = 'D', .placeholder = "NAME",
	       .help = "MongoDB database; the only one that requests may name; default: the one in the URI, "
		       "else rapls2"),
	OPTION("sensor", sensors, .letter = 'n', .placeholder = "PATTERN",
	       .help = "machines to serve, by name or by a pattern with * and ?; default: all that have a "
		       "sensor* collection"),
	OPTION("state-dir", state_dir, .placeholder = "DIR",
	       .help = "folder of the SQLite file; default: $STATE_DIRECTORY, /var/lib/wattribute for root, "
		       "else ~/.local/state/wattribute"),
	OPTION("durable", durable,
	       .help = "SQLite: wait for the disk at each transaction, so that a power cut loses none"),
	OPTION("retention", retention_ms, .fallback = STORE_RETENTION_DEFAULT, .min = 1000,
	       .usual_min = 3600e3, .flags = CONFIG_OR_ZERO,
	       .help = "delete power reports and reports older than this, but no recaps; 0: keep all, also "
		       "the default with MongoDB and with --once"),
	{.name = "store-size",
	 CONFIG_FIELD_AS(CONFIG_SIZE, struct server_config, store_size),
	 .fallback = STORE_SIZE_DEFAULT,
	 .help = "size of the SQLite file above which its oldest ticks are deleted; 0: no limit, also the "
		 "default with --once"},
	OPTION("renew-damaged-store", renew_damaged,
	       .help = "at the start, rename a damaged SQLite file and begin a new one"),
	OPTION("once", once, .help = "process all reports in the input, the last tick included, and exit"),
	OPTION("resume", resume,
	       .help = "with --once: start at the stored position with the stored model, and store both"),
	{.type = CONFIG_TITLE, .help = "From reports to watts:"},
	OPTION("formula", formula_index, .letter = 'F', .fallback = "pooled", .choices = formula_names,
	       .help = "the model that turns counts into watts"),
	OPTION("static", static_policy, .fallback = "proportional", .choices = conserve_static_names,
	       .help = "how the static power is divided: proportional (to dynamic power), none (it becomes "
		       "the row 'idle'), equal, or quota"),
	OPTION("cpus", n_cpus, .fallback = "0", .max = 65536,
	       .help = "for --static quota: number of the machine's CPUs; 0: derive it from the reports"),
	OPTION("grace", grace_ms, .fallback = "2s", .max = 3600000, .usual_min = 100,
	       .help = "how long an incomplete tick waits after a later one has begun"),
	OPTION("disable-cpu-formula", no_cpu, .help = "skip the scope cpu"),
	OPTION("disable-dram-formula", no_dram, .help = "skip the scope dram"),
	{.type = CONFIG_TITLE, .help = "Formula smartwatts:"},
	OPTION("strict-reference", formula.strict_reference,
	       .help = "reproduce the results of the smartwatts package, known defects included"),
	OPTION("cpu-tdp", formula.cpu_tdp_w, .placeholder = "WATTS", .fallback = "400", .min = 1,
	       .max = 100000, .help = "thermal design power of a socket"),
	OPTION("cpu-base-clock", formula.cpu_base_clock_mhz, .placeholder = "MHZ", .fallback = "100",
	       .min = 1, .max = 100000, .help = "step between two frequency layers"),
	OPTION("cpu-base-freq", formula.cpu_base_freq_mhz, .placeholder = "MHZ", .fallback = "2100",
	       .min = 100, .max = 100000, .help = "nominal frequency"),
	OPTION("sensor-reports-frequency", formula.interval_ms, .placeholder = "MS", .fallback = "1000",
	       .min = 1, .max = 3600000, .usual_min = 10,
	       .help = "length of a tick if the sensor does not report it"),
	OPTION("cpu-error-threshold", formula.error_threshold_w[REPORT_SCOPE_CPU], .placeholder = "WATTS",
	       .fallback = "2", .max = 100000, .help = "error above which a model is refitted, scope cpu"),
	OPTION("dram-error-threshold", formula.error_threshold_w[REPORT_SCOPE_DRAM], .placeholder = "WATTS",
	       .fallback = "2", .max = 100000, .help = "the same, scope dram"),
	OPTION("learn-min-samples-required", learn_min_samples, .placeholder = "N", .fallback = "10",
	       .min = 2, .max = 100000, .help = "number of ticks before the first model"),
	OPTION("learn-history-window-size", learn_history, .placeholder = "N", .fallback = "60", .min = 2,
	       .max = 100000, .help = "number of ticks that a model is fitted to"),
	OPTION("learn-error-window-size", learn_error_window, .placeholder = "N", .fallback = "60", .min = 1,
	       .max = 100000, .help = "number of ticks over which the error is computed"),
	OPTION("learn-error-window-method", formula.learn_error_mean, .fallback = "median",
	       .choices = CONFIG_NAMES("median", "mean"), .help = "how the error is computed"),
	{.type = CONFIG_TITLE, .help = "HTTP:"},
	OPTION("listen", listen, .letter = 'l', .placeholder = "ADDRESS:PORT", .fallback = "127.0.0.1:4443",
	       .help = "address for HTTP requests: recaps, /metrics and /api; \"off\" disables HTTP"),
	OPTION("token", token, .flags = CONFIG_SECRET, .placeholder = "WORD",
	       .help = "require the header 'Authorization: Bearer WORD', except for /healthz"),
	OPTION("web-config", web_config, .placeholder = "FILE",
	       .help = "TLS, client certificates and users, in the format of the Prometheus exporters"),
	OPTION("allow-host", hosts, .placeholder = "NAMES",
	       .help = "names, separated by commas, under which browsers may reach this server; addresses "
		       "and names without a dot always may"),
	OPTION("recap-timeout", recap_timeout_ms, .fallback = "30s", .min = 1, .max = 3600000,
	       .usual_min = 1000, .help = "how long a recap waits for the last reports of its run"),
	OPTION("expire", expire_ms, .fallback = "5m", .min = 1000,
	       .help = "remove a container, or a machine whose sensor is silent, from /metrics after this "
		       "time"),
	OPTION("metrics-limit", metrics_limit, .fallback = "10000", .max = 10000000,
	       .help = "show at most N containers in /metrics, those that came first; the others are "
		       "counted"),
	{.type = CONFIG_TITLE, .help = "Running:"},
	OPTION("poll", poll_ms, .fallback = "100ms", .min = 5, .max = 60000,
	       .help = "interval between two reads for a tick that is due"),
	OPTION("discover", discover_ms, .fallback = "2s", .min = 50, .max = 3600000,
	       .help = "interval between two searches for new sensors"),
	OPTION("save", save_ms, .fallback = "10s", .min = 10, .max = 3600000, .usual_min = 100,
	       .help = "interval between two writes of position and model"),
	OPTION("lease", lease_ms, .fallback = "5s", .min = 400, .max = 3600000,
	       .help = "how long the server that writes to a store may be silent before a second one, its "
		       "standby, takes over"),
	OPTION("state-line", state_line_ms, .fallback = "1m", .usual_min = 1000,
	       .help = "interval between two status lines in the log; 0: none"),
	OPTION("log-level", log_level, .fallback = "info", .choices = log_level_names,
	       .help = "lowest severity that is logged"),
	OPTION("user", user, .placeholder = "NAME",
	       .help = "user of all processes when started as root; default: wattribute if it exists, "
		       "else nobody; the process of a store in a file stays root"),
	OPTION("sandbox", sandbox, .fallback = "errno", .choices = sandbox_mode_names,
	       .help = "what the seccomp filter does with a system call that the server does not need"),
};

#define DEFAULT_PORT 4443

static bool is_stream(const char *uri)
{
	return store_uri_traits(uri) & STORE_STREAM;
}

static int settle_stores(struct server_config *config, struct reason *why)
{
	const char *input = config->input ? config->input : config->uri;
	const char *output = config->output ? config->output : config->uri;

	config->input_uri = input ? strdup(input) : NULL;
	if (!input && asprintf(&config->input_uri, "sqlite:%s/wattribute.db", config->state_dir) < 0)
		config->input_uri = NULL;
	if (!config->input_uri)
		return -ENOMEM;
	if (!output && is_stream(config->input_uri))
		return reason_set(why, -EINVAL,
				  "--input %s cannot also hold the power reports; add --output URI",
				  config->input_uri);
	config->output_uri = strdup(output ? output : config->input_uri);
	if (!config->output_uri)
		return -ENOMEM;
	if (server_config_one_store(config) && is_stream(config->input_uri))
		return reason_set(why, -EINVAL, "--output %s is also the input; choose another file",
				  config->output_uri);
	(void)store_database(config->output_uri, config->database, config->database_name,
			     sizeof(config->database_name));
	if (!store_uri_valid(config->input_uri, why) || !store_uri_valid(config->output_uri, why) ||
	    !store_can_list(config->input_uri, why))
		return -EINVAL;
	return store_check_database(config->database, why);
}

/* An empty one, as of an unset variable of a shell, would be none at all; one with a line break cannot be
 * sent. */
static int check_token(const struct server_config *config, struct reason *why)
{
	const char *at = config->token ? config->token : "-";

	if (!*at)
		return reason_set(why, -EINVAL, "--token is empty: omit it, or give a word or @FILE");
	while (*at && (unsigned char)*at >= ' ' && *at != 0x7f)
		at++;
	return *at ? reason_set(why, -EINVAL, "--token must not contain control characters") : 0;
}

/* "ADDRESS:PORT", "[v6]:PORT", ":PORT", "PORT", "ADDRESS" or "off". */
static int settle_listen(struct server_config *config, struct reason *why)
{
	const char *text = config->listen, *colon = strrchr(text, ':'), *port_text;
	uint64_t port = DEFAULT_PORT;
	struct reason detail;
	bool digits = text[0] && strspn(text, "0123456789") == strlen(text);

	if (strcmp(text, "off") == 0)
		return 0;
	if (colon && (text[0] == '[' ? colon[-1] != ']' : strchr(text, ':') != colon))
		colon = NULL; /* an IPv6 address without a port */
	port_text = digits ? text : colon ? colon + 1 : NULL;
	if (port_text && (text_parse_u64(port_text, &port) < 0 || port > UINT16_MAX))
		return reason_set(why, -EINVAL,
				  "--listen %s: '%s' is not a port; write ADDRESS:PORT, as in 127.0.0.1:4443",
				  text, port_text);
	if (digits || colon == text)
		config->address = strdup("127.0.0.1");
	else
		config->address = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	if (!config->address)
		return -ENOMEM;
	if (config->address[0] == '[') {
		size_t length = strlen(config->address);

		memmove(config->address, config->address + 1, length);
		if (length > 1 && config->address[length - 2] == ']')
			config->address[length - 2] = '\0';
	}
	config->port = (uint16_t)port;
	if (http_check_address(config->address, &detail) < 0)
		return reason_set(why, -EINVAL, "--listen: %s", detail.text);
	return 0;
}

static void settle_formula(struct server_config *config)
{
	config->formula.learn_min_samples = (unsigned)config->learn_min_samples;
	config->formula.learn_history = (unsigned)config->learn_history;
	config->formula.learn_error_window = (unsigned)config->learn_error_window;
	config->ops = formula_all[config->formula_index];
	(void)snprintf(config->about, sizeof(config->about), "formula %s, static power %s", config->ops->name,
		       conserve_static_names[config->static_policy]);
}

/* Stores on this disk grow without anybody looking after them, so they are bounded by default. */
static void settle_bounds(struct server_config *config, const struct config *loaded)
{
	bool bounded = store_uri_traits(config->output_uri) & STORE_BOUNDED && !config->once;

	if (!bounded && config_get_origin(loaded, "retention") == CONFIG_DEFAULT)
		config->retention_ms = 0;
	if (!bounded && config_get_origin(loaded, "store-size") == CONFIG_DEFAULT)
		config->store_size = 0;
}

static int finish(void *target, const struct config *loaded, struct reason *why)
{
	struct server_config *config = target;
	int r = config->state_dir || (config->state_dir = folder_state_default()) ? 0 : -ENOMEM;

	if (r == 0)
		r = settle_stores(config, why);
	if (r == 0)
		r = check_token(config, why);
	if (r == 0)
		r = settle_listen(config, why);
	if (r == 0)
		settle_bounds(config, loaded);
	if (r == 0)
		r = store_bounds_check_size(config->store_size, why);
	settle_formula(config);
	return r;
}

bool server_config_one_store(const struct server_config *config)
{
	return strcmp(config->input_uri, config->output_uri) == 0;
}

const struct config_spec server_config_spec = {
	.program = "wattribute-server",
	.about = "Joins the reports of sensors into ticks, turns them into watts per container, and writes "
		 "recaps of runs.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct server_config),
	.daemon = true,
	.default_file = "/etc/wattribute/server.json",
	.finish = finish,
	.display_uri = store_uri_display,
};

void server_config_done(struct server_config *config)
{
	free(config->input_uri);
	free(config->output_uri);
	free(config->address);
	config->input_uri = config->output_uri = config->address = NULL;
	config_done(&server_config_spec, config);
}
