/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's option table and what follows from several options together. Read by main.c in every process
 * of the daemon; man/wattribute-server.8 lists the same options (a lint test compares).
 */
#include "config/server_config.h"

#include "config/server_options.h"
#include "base/state_dir.h"
#include "store/store.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	if (!store_uri_valid(config->input_uri, why) || !store_uri_valid(config->output_uri, why))
		return -EINVAL;
	return 0;
}

/* "ADDRESS:PORT", "[v6]:PORT", ":PORT", "PORT", "ADDRESS" or "off". */
static int settle_listen(struct server_config *config, struct reason *why)
{
	const char *text = config->listen, *colon = strrchr(text, ':'), *port_text;
	uint64_t port = DEFAULT_PORT;
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
	return 0;
}

static void settle_formula(struct server_config *config)
{
	config->formula.learn_min_samples = (unsigned)config->learn_min_samples;
	config->formula.learn_history = (unsigned)config->learn_history;
	config->formula.learn_error_window = (unsigned)config->learn_error_window;
	config->formula.learn_error_mean = config->learn_error_method == 1;
	config->ops = formula_all[config->formula_index];
}

static int finish(void *target, const struct config *loaded, struct reason *why)
{
	struct server_config *config = target;
	char levels[64];
	int r;

	(void)loaded;
	if (log_level_parse(config->log_level, &config->level) < 0)
		return reason_set(why, -EINVAL, "--log-level '%s': one of %s", config->log_level,
				  text_join(log_level_names + LOG_LEVEL_ERROR,
					    LOG_LEVEL_DEBUG - LOG_LEVEL_ERROR + 1, levels, sizeof(levels)));
	r = config->state_dir || (config->state_dir = state_dir_default()) ? 0 : -ENOMEM;
	if (r == 0)
		r = settle_stores(config, why);
	if (r == 0)
		r = settle_listen(config, why);
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
	.rows = server_option_rows,
	.n_rows = SERVER_OPTION_ROWS,
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
