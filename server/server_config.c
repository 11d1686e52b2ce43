/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's option table and what follows from several options together. Read by main.c in every process
 * of the daemon; man/wattribute-server.8 lists the same options (a lint test compares).
 */
#include "server_config.h"

#include "sandbox.h"
#include "share.h"
#include "store.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PORT 4443

static const char *const method_names[] = {"median", "mean", NULL};
static const char *const static_names[] = {"proportional", "none", "equal", "quota", NULL};

#define FIELD(field) offsetof(struct server_config, field)
#define TITLE(text)                                                                                          \
	{                                                                                                    \
		.type = CONFIG_TITLE, .help = (text)                                                         \
	}

static const struct config_row rows[] = {
	TITLE("Where reports come from and power goes to:"),
	{.name = "uri",
	 .letter = 'U',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_URI,
	 .placeholder = "URI",
	 .offset = FIELD(uri),
	 .help = "store for both input and output"},
	{.name = "input",
	 .letter = 'i',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_URI,
	 .placeholder = "URI",
	 .offset = FIELD(input),
	 .help = "store to read reports from: sqlite:FILE, mongodb://..., bson:FILE, jsonl:FILE; "
		 "default: the SQLite file in the state folder"},
	{.name = "output",
	 .letter = 'o',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_URI,
	 .placeholder = "URI",
	 .offset = FIELD(output),
	 .help = "store to write power reports to: as above, csv:DIR or null:; default: the input, where it "
		 "can be "
		 "written"},
	{.name = "database",
	 .letter = 'D',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .fallback = "rapls2",
	 .offset = FIELD(database),
	 .help = "database of a MongoDB; the only one that requests may name"},
	{.name = "sensor",
	 .letter = 'n',
	 .type = CONFIG_LIST,
	 .placeholder = "PATTERN",
	 .offset = FIELD(sensors),
	 .help = "machines to serve, by name or pattern with * and ?; default: all that have a sensor* "
		 "collection"},
	{.name = "state-dir",
	 .type = CONFIG_STRING,
	 .placeholder = "DIR",
	 .offset = FIELD(state_dir),
	 .help = "folder of the SQLite file; default: $STATE_DIRECTORY, /var/lib/wattribute for root, else "
		 "~/.local/state/wattribute"},
	{.name = "retention",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "0",
	 .offset = FIELD(retention_ms),
	 .help = "delete power reports and reports older than this (\"30d\"); 0: keep all"},
	{.name = "once",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(once),
	 .help = "work through all reports that are there, the last tick included, and end"},
	{.name = "resume",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(resume),
	 .help = "with --once: begin at the stored position with the stored model, and store both"},
	TITLE("From reports to watts:"),
	{.name = "formula",
	 .letter = 'F',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .fallback = "pooled",
	 .offset = FIELD(formula_name),
	 .help = "pooled, smartwatts or share"},
	{.name = "static",
	 .type = CONFIG_CHOICE,
	 .fallback = "proportional",
	 .choices = static_names,
	 .offset = FIELD(static_policy),
	 .help = "who carries the static power: proportional to dynamic power, none (its own row 'idle'), "
		 "equal, or "
		 "by quota"},
	{.name = "cpus",
	 .type = CONFIG_DOUBLE,
	 .fallback = "0",
	 .min = 0,
	 .max = 65536,
	 .offset = FIELD(n_cpus),
	 .help = "for --static quota: CPUs of the machine; 0: as far as the reports tell"},
	{.name = "grace",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "2s",
	 .max = 3600000,
	 .offset = FIELD(grace_ms),
	 .help = "how long an incomplete tick waits once a later one has begun"},
	{.name = "disable-cpu-formula",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(no_cpu),
	 .help = "leave out the scope cpu"},
	{.name = "disable-dram-formula",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(no_dram),
	 .help = "leave out the scope dram"},
	TITLE("Formula smartwatts:"),
	{.name = "strict-reference",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(formula.strict_reference),
	 .help = "with its known defects"},
	{.name = "cpu-tdp",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "WATTS",
	 .fallback = "400",
	 .min = 1,
	 .max = 100000,
	 .offset = FIELD(formula.cpu_tdp_w),
	 .help = "thermal design power of a socket"},
	{.name = "cpu-base-clock",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "MHZ",
	 .fallback = "100",
	 .min = 1,
	 .max = 100000,
	 .offset = FIELD(formula.cpu_base_clock_mhz),
	 .help = "step between two frequencies"},
	{.name = "cpu-base-freq",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "MHZ",
	 .fallback = "2100",
	 .min = 100,
	 .max = 100000,
	 .offset = FIELD(formula.cpu_base_freq_mhz),
	 .help = "nominal frequency"},
	{.name = "sensor-reports-frequency",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "MS",
	 .fallback = "1000",
	 .min = 1,
	 .max = 3600000,
	 .offset = FIELD(formula.interval_ms),
	 .help = "length of a tick where the sensor does not say it"},
	{.name = "cpu-error-threshold",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "WATTS",
	 .fallback = "2",
	 .min = 0,
	 .max = 100000,
	 .offset = FIELD(formula.error_threshold_w[REPORT_SCOPE_CPU]),
	 .help = "error that makes a model be fitted anew, scope cpu"},
	{.name = "dram-error-threshold",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "WATTS",
	 .fallback = "2",
	 .min = 0,
	 .max = 100000,
	 .offset = FIELD(formula.error_threshold_w[REPORT_SCOPE_DRAM]),
	 .help = "the same, scope dram"},
	{.name = "learn-min-samples-required",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "N",
	 .fallback = "10",
	 .min = 2,
	 .max = 100000,
	 .offset = FIELD(learn_min_samples),
	 .help = "ticks before the first model"},
	{.name = "learn-history-window-size",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "N",
	 .fallback = "60",
	 .min = 2,
	 .max = 100000,
	 .offset = FIELD(learn_history),
	 .help = "ticks that a model is fitted to"},
	{.name = "learn-error-window-size",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "N",
	 .fallback = "60",
	 .min = 1,
	 .max = 100000,
	 .offset = FIELD(learn_error_window),
	 .help = "ticks that the error is taken over"},
	{.name = "learn-error-window-method",
	 .type = CONFIG_CHOICE,
	 .fallback = "median",
	 .choices = method_names,
	 .offset = FIELD(learn_error_method),
	 .help = "how"},
	TITLE("HTTP:"),
	{.name = "listen",
	 .letter = 'l',
	 .type = CONFIG_STRING,
	 .placeholder = "ADDRESS:PORT",
	 .fallback = "127.0.0.1:4443",
	 .offset = FIELD(listen),
	 .help = "where requests for recaps, /metrics and /api are answered; \"off\": nowhere"},
	{.name = "token",
	 .type = CONFIG_STRING,
	 .flags = CONFIG_SECRET,
	 .placeholder = "WORD",
	 .offset = FIELD(token),
	 .help = "asked for as 'Authorization: Bearer WORD', but for /healthz"},
	{.name = "recap-timeout",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "30s",
	 .min = 1,
	 .max = 3600000,
	 .offset = FIELD(recap_timeout_ms),
	 .help = "how long a recap waits for reports of its last moments"},
	{.name = "expire",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "5m",
	 .min = 1000,
	 .offset = FIELD(expire_ms),
	 .help = "a container without reports leaves /metrics after this"},
	TITLE("Running:"),
	{.name = "poll",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "100ms",
	 .min = 5,
	 .max = 60000,
	 .offset = FIELD(poll_ms),
	 .help = "between two looks for a tick that is due"},
	{.name = "discover",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "2s",
	 .min = 50,
	 .max = 3600000,
	 .offset = FIELD(discover_ms),
	 .help = "between two looks for new sensors"},
	{.name = "save",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "10s",
	 .min = 10,
	 .max = 3600000,
	 .offset = FIELD(save_ms),
	 .help = "between two writings of position and model"},
	{.name = "state-line",
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "TIME",
	 .fallback = "1m",
	 .offset = FIELD(state_line_ms),
	 .help = "between two lines of state in the log; 0: none"},
	{.name = "log-level",
	 .type = CONFIG_STRING,
	 .placeholder = "WORD",
	 .fallback = "info",
	 .offset = FIELD(log_level),
	 .help = "error, warning, notice, info or debug"},
	{.name = "user",
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = FIELD(user),
	 .help = "user to become when started as root; default: none"},
	{.name = "sandbox",
	 .type = CONFIG_CHOICE,
	 .fallback = "errno",
	 .choices = sandbox_mode_names,
	 .offset = FIELD(sandbox),
	 .help = "what happens at system calls that the server has no need of"},
};

static char *join_words(const char *first, const char *second)
{
	char *joined;

	return asprintf(&joined, "%s%s", first, second) < 0 ? NULL : joined;
}

static int settle_state_dir(struct server_config *config)
{
	const char *given = getenv("STATE_DIRECTORY"); /* systemd's StateDirectory= */
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (config->state_dir)
		return 0;
	if (given && given[0])
		config->state_dir = strdup(given);
	else if (geteuid() == 0)
		config->state_dir = strdup("/var/lib/wattribute");
	else if (state && state[0])
		config->state_dir = join_words(state, "/wattribute");
	else
		config->state_dir = join_words(home ? home : "/tmp", "/.local/state/wattribute");
	return config->state_dir ? 0 : -ENOMEM;
}

/* Files that only hold one stream: what is read must not be written at the same time. */
static bool is_stream(const char *uri)
{
	return strncmp(uri, "bson:", 5) == 0 || strncmp(uri, "jsonl:", 6) == 0 ||
	       strncmp(uri, "csv:", 4) == 0;
}

static int settle_stores(struct server_config *config, char *why, size_t why_size)
{
	const char *input = config->input ? config->input : config->uri;
	const char *output = config->output ? config->output : config->uri;

	config->input_uri = input ? strdup(input) : NULL;
	if (!input && asprintf(&config->input_uri, "sqlite:%s/wattribute.db", config->state_dir) < 0)
		config->input_uri = NULL;
	if (!config->input_uri)
		return -ENOMEM;
	if (!output && is_stream(config->input_uri)) {
		(void)snprintf(why, why_size,
			       "--input %s cannot hold the power reports as well: give --output URI",
			       config->input_uri);
		return -EINVAL;
	}
	config->output_uri = strdup(output ? output : config->input_uri);
	if (!config->output_uri)
		return -ENOMEM;
	if (server_config_one_store(config) && is_stream(config->input_uri)) {
		(void)snprintf(why, why_size, "--output %s is the input: name another file",
			       config->output_uri);
		return -EINVAL;
	}
	if (!store_uri_valid(config->input_uri, why, why_size) ||
	    !store_uri_valid(config->output_uri, why, why_size))
		return -EINVAL;
	return 0;
}

/* "ADDRESS:PORT", "[v6]:PORT", ":PORT", "PORT", "ADDRESS" or "off". */
static int settle_listen(struct server_config *config, char *why, size_t why_size)
{
	char *text = config->listen, *colon = strrchr(text, ':');
	uint64_t port = DEFAULT_PORT;
	bool digits = text[0] && strspn(text, "0123456789") == strlen(text);

	if (strcmp(text, "off") == 0)
		return 0;
	if (digits)
		colon = text - 1;
	else if (colon && (text[0] == '[' ? colon[-1] != ']' : strchr(text, ':') != colon))
		colon = NULL; /* an IPv6 address without a port */
	if (colon && (text_parse_u64(colon + 1, &port) < 0 || port > UINT16_MAX)) {
		(void)snprintf(why, why_size,
			       "--listen %s: '%s' is no port; write ADDRESS:PORT, as in "
			       "127.0.0.1:4443",
			       text, colon + 1);
		return -EINVAL;
	}
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
	return 0;
}

static int settle_formula(struct server_config *config, char *why, size_t why_size)
{
	const char *names[16];
	const char *nearest;
	size_t n = 0;

	config->formula.learn_min_samples = (unsigned)config->learn_min_samples;
	config->formula.learn_history = (unsigned)config->learn_history;
	config->formula.learn_error_window = (unsigned)config->learn_error_window;
	config->formula.learn_error_mean = config->learn_error_method == 1;
	config->ops = formula_find(config->formula_name);
	if (config->ops)
		return 0;
	for (; formula_all[n] && n < 16; n++)
		names[n] = formula_all[n]->name;
	nearest = text_nearest(config->formula_name, names, n);
	(void)snprintf(why, why_size, "--formula '%s' is not known%s%s%s; known: pooled, smartwatts, share",
		       config->formula_name, nearest ? ", did you mean '" : "", nearest ? nearest : "",
		       nearest ? "'" : "");
	return -EINVAL;
}

static int finish(void *target, const struct config *loaded, char *why, size_t why_size)
{
	struct server_config *config = target;
	int r;

	(void)loaded;
	if (log_level_parse(config->log_level, &config->level) < 0) {
		(void)snprintf(why, why_size, "--log-level '%s': one of error, warning, notice, info, debug",
			       config->log_level);
		return -EINVAL;
	}
	r = settle_state_dir(config);
	if (r == 0)
		r = settle_stores(config, why, why_size);
	if (r == 0)
		r = settle_listen(config, why, why_size);
	if (r == 0)
		r = settle_formula(config, why, why_size);
	return r;
}

bool server_config_one_store(const struct server_config *config)
{
	return strcmp(config->input_uri, config->output_uri) == 0;
}

const struct config_spec server_config_spec = {
	.program = "wattribute-server",
	.about = "Joins the reports of sensors into ticks, turns them into watts for each container, and "
		 "writes recaps "
		 "of runs.",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.target_size = sizeof(struct server_config),
	.daemon = true,
	.default_file = "/etc/wattribute/server.json",
	.finish = finish,
};

void server_config_done(struct server_config *config)
{
	free(config->input_uri);
	free(config->output_uri);
	free(config->address);
	config->input_uri = config->output_uri = config->address = NULL;
	config_done(&server_config_spec, config);
}
