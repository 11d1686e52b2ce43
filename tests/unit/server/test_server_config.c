/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's options: consequences of their combinations.
 */
#include "config/server_config.h"
#include "base/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int load(struct server_config *config, struct reason *why, int argc, const char *const *arguments)
{
	char *argv[16] = {"wattribute-server"};
	struct config *loaded = NULL;
	int r;

	for (int i = 0; i < argc; i++)
		argv[i + 1] = (char *)(uintptr_t)arguments[i];
	r = config_load(&server_config_spec, config, argc + 1, argv, &loaded, why);
	config_free(loaded);
	return r;
}

#define LOAD(config, why, ...)                                                                               \
	load((config), (why), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                        \
	     (const char *[]){__VA_ARGS__})

static void defaults(void **state)
{
	struct server_config config;
	struct reason why = {""};

	(void)state;
	(void)setenv("STATE_DIRECTORY", "/somewhere", 1);
	if (LOAD(&config, &why, "--grace", "1s") < 0)
		fail_msg("%s", why.text);
	assert_string_equal(config.input_uri, "sqlite:/somewhere/wattribute.db");
	assert_true(server_config_one_store(&config));
	assert_string_equal(config.address, "127.0.0.1");
	assert_int_equal(config.port, 4443);
	assert_string_equal(config.ops->name, "pooled");
	assert_int_equal(config.grace_ms, 1000);
	assert_true(config.formula.cpu_tdp_w == 400);
	assert_int_equal(config.formula.learn_history, 60);
	server_config_done(&config);
}

static void both_stores_from_one_option(void **state)
{
	struct server_config config;
	struct reason why = {""};

	(void)state;
	assert_int_equal(LOAD(&config, &why, "-U", "mongodb:db:27018", "-D", "other"), 0);
	assert_string_equal(config.input_uri, "mongodb:db:27018");
	assert_string_equal(config.output_uri, "mongodb:db:27018");
	assert_string_equal(config.database, "other");
	server_config_done(&config);
	assert_int_equal(LOAD(&config, &why, "--input", "bson:/x", "--output", "null:"), 0);
	assert_false(server_config_one_store(&config));
	server_config_done(&config);
}

static void listening(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		unsigned port;
	} cases[] = {{"0.0.0.0:4443", "0.0.0.0", 4443},
		     {":80", "127.0.0.1", 80},
		     {"8080", "127.0.0.1", 8080},
		     {"[::1]:9", "::1", 9},
		     {"::1", "::1", 4443},
		     {"[::]", "::", 4443},
		     {"127.0.0.2", "127.0.0.2", 4443},
		     {"127.0.0.1:0", "127.0.0.1", 0}};
	struct server_config config;
	struct reason why = {""};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (LOAD(&config, &why, "--listen", cases[i].text) < 0)
			fail_msg("%s: %s", cases[i].text, why.text);
		assert_string_equal(config.address, cases[i].address);
		assert_int_equal(config.port, cases[i].port);
		server_config_done(&config);
	}
	assert_int_equal(LOAD(&config, &why, "--listen", "off"), 0);
	assert_null(config.address);
	server_config_done(&config);
}

/* Refused with a message that contains `word`. */
static void refused(const char *option, const char *value, const char *word)
{
	struct server_config config;
	struct reason why = {""};

	if (LOAD(&config, &why, option, value) >= 0)
		fail_msg("%s %s was taken", option, value);
	if (!strstr(why.text, word))
		fail_msg("%s %s: '%s' does not say '%s'", option, value, why.text, word);
	server_config_done(&config);
}

static void bad_options(void **state)
{
	(void)state;
	refused("--formula", "poled", "pooled");
	refused("--listen", "1.2.3.4:99999", "port");
	refused("--listen", "no.such.host:4443", "'no.such.host' is not an address to listen on");
	refused("--listen", "[::zz]:4443", "'::zz' is not an address");
	refused("--store-size", "4", "4 bytes would keep nothing; give 1M or more");
	refused("--store-size", "1023k", "would keep nothing");
	refused("--input", "bson:/x", "--output");
	refused("--input", "mongo//x", "store");
	refused("--input", "socket:h:1", "cannot be read");
	refused("--database", "a.b", "the database 'a.b' must not contain");
	refused("--token", "", "--token is empty");
	refused("--token", "a\nb", "control characters");
	refused("--static", "fair", "proportional");
	refused("--log-level", "loud", "info");
	refused("--poll", "0", "poll");
	refused("--formla", "pooled", "formula");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(both_stores_from_one_option),
		cmocka_unit_test(listening),
		cmocka_unit_test(bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
