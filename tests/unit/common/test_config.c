/* SPDX-License-Identifier: Apache-2.0 */
/* Options: every type, every source and their precedence, and the text of every error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "config_example.h"
#include "base/reason.h"

#include <stdlib.h>
#include <unistd.h>

static struct example target;
static struct config *config;
static struct reason why;

/* Loads one line of arguments; returns config_load()'s result. */
static int load_line(const struct config_spec *spec, const char *words)
{
	static char line[1024];
	static char *argv[64];
	int argc = 0;

	(void)snprintf(line, sizeof(line), "%s", words);
	config_free(config);
	config = NULL;
	config_done(&example_spec, &target);
	for (char *save = NULL, *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return config_load(spec, &target, argc, argv, &config, &why);
}

static int load(const char *words)
{
	return load_line(&example_spec, words);
}

static const char *file_with(const char *text)
{
	static char path[32];

	(void)snprintf(path, sizeof(path), "/tmp/test_config.XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	return path;
}

static int load_with_file(const char *text, const char *words)
{
	char line[512];
	const char *path = file_with(text);

	(void)snprintf(line, sizeof(line), "example %s -x %s", words, path);
	int r = load(line);
	(void)unlink(path);
	return r;
}

static int teardown(void **state)
{
	(void)state;
	config_free(config);
	config = NULL;
	config_done(&example_spec, &target);
	return 0;
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(load("example"), 0);
	assert_int_equal(config_get_action(config), CONFIG_RUN);
	assert_int_equal(target.frequency_ms, 1000);
	assert_int_equal(target.spool_bytes, 64 << 20);
	assert_string_equal(target.name, "host");
	assert_null(target.uri);
	assert_int_equal(target.mode, 1);
	assert_int_equal(target.include.n_items, 2);
	assert_string_equal(target.include.items[1], "b");
	assert_true(target.keep);
	assert_false(target.quiet);
	assert_int_equal(config_get_origin(config, "name"), CONFIG_DEFAULT);
}

static void flags_of_every_type(void **state)
{
	(void)state;
	assert_int_equal(
		load("example -vqv --frequency 2s -n me --uri=mongodb:h:1 --no-keep --mode kill --number -3 "
		     "--ratio 1.5 --spool-size=1G --include x --include y,z --perf-sampling-interval 250"),
		0);
	assert_int_equal(target.verbose, 2);
	assert_true(target.quiet);
	assert_false(target.keep);
	assert_int_equal(target.frequency_ms, 250);
	assert_string_equal(target.name, "me");
	assert_string_equal(target.uri, "mongodb:h:1");
	assert_int_equal(target.mode, 2);
	assert_int_equal(target.number, -3);
	assert_true(target.ratio == 1.5);
	assert_int_equal(target.spool_bytes, 1 << 30);
	assert_int_equal(target.include.n_items, 3);
	assert_string_equal(target.include.items[2], "z");
	assert_int_equal(config_get_origin(config, "name"), CONFIG_FLAG);
	assert_int_equal(config_get_origin(config, "port"), CONFIG_DEFAULT);
}

static void order_of_calls(void **state)
{
	(void)state;
	assert_int_equal(load("example -s rapl -o -e PKG -v -e DRAM -c core -e CYCLES rest -f 1000 more"), 0);
	assert_string_equal(target.groups,
			    "system=rapl one-cpu event=PKG event=DRAM container=core event=CYCLES ");
	assert_string_equal(target.arguments, "rest more ");
}

static void precedence_of_origins(void **state)
{
	static const char text[] =
		"{\"name\": \"file\", \"frequency\": 500, \"include\": [\"f\"], \"verbose\": 3,"
		" \"output\": {\"uri\": \"mongodb://file\", \"port\": 9080}}";

	(void)state;
	(void)setenv("WATTRIBUTE_FREQUENCY", "700ms", 1);
	(void)setenv("WATTRIBUTE_NAME", "environment", 1);
	(void)setenv("WATTRIBUTE_MODE", "", 1);
	(void)setenv("WATTRIBUTE_SPOOL_SIZE", "1K", 1);
	assert_int_equal(load_with_file(text, "-n flag -v"), 0);
	assert_string_equal(target.name, "flag");
	assert_int_equal(target.frequency_ms, 700);
	assert_string_equal(target.uri, "mongodb://file");
	assert_string_equal(target.port, "9080");
	assert_int_equal(target.include.n_items, 1);
	assert_string_equal(target.include.items[0], "f");
	assert_int_equal(target.verbose, 1);
	assert_int_equal(target.spool_bytes, 1024);
	assert_int_equal(target.mode, 1);
	assert_int_equal(config_get_origin(config, "frequency"), CONFIG_ENVIRONMENT);
	assert_int_equal(config_get_origin(config, "uri"), CONFIG_FILE);
	(void)setenv("WATTRIBUTE_FREQUENCY", "fast", 1);
	assert_int_equal(load("example"), -EINVAL);
	assert_string_equal(why.text, "WATTRIBUTE_FREQUENCY: 'fast' is not a time (like 500ms, 1s, 5m, 2h)");
	(void)unsetenv("WATTRIBUTE_FREQUENCY");
	(void)unsetenv("WATTRIBUTE_NAME");
	(void)unsetenv("WATTRIBUTE_MODE");
	(void)unsetenv("WATTRIBUTE_SPOOL_SIZE");
}

static void flags_replace_the_files_groups(void **state)
{
	static const char text[] = "{\"system\": {\"rapl\": {\"events\": [\"A\", \"B\"]}, \"msr\": {}}}";

	(void)state;
	assert_int_equal(load_with_file(text, ""), 0);
	assert_string_equal(target.groups, "group=rapl event=A event=B group=msr ");
	assert_int_equal(load_with_file(text, "-c core -e X"), 0);
	assert_string_equal(target.groups, "container=core event=X ");
	assert_int_equal(load_with_file("{\"global\": {\"pcu\": {}}}", ""), 0);
	assert_string_equal(target.groups, "group=pcu ");
}

static void environment_names_the_file(void **state)
{
	const char *path = file_with("{\"name\": \"named\"}");

	(void)state;
	(void)setenv("WATTRIBUTE_CONFIG_FILE", path, 1);
	assert_int_equal(load("example"), 0);
	assert_string_equal(target.name, "named");
	(void)unlink(path);
	assert_int_equal(load("example"), -ENOENT);
	assert_non_null(strstr(why.text, "cannot read the configuration file '/tmp/test_config."));
	(void)unsetenv("WATTRIBUTE_CONFIG_FILE");
}

static bool note_sentence(void *data, const char *sentence)
{
	(void)strncat(data, sentence, 500);
	(void)strcat(data, "\n");
	return true;
}

/*
 * Each unknown variable with the prefix of the settings is reported, with the name that was probably meant.
 */
static void unknown_variables(void **state)
{
	static const char *const unknown[] = {"WATTRIBUTE_NAM", "WATTRIBUTE_XYZZYPLUGH", "WATTRIBUTE_"};
	static const char *const known[] = {"WATTRIBUTE_NAME", "WATTRIBUTE_CONFIG_FILE", "WATTRIBUT_NAM",
					    "OTHER"};
	char text[4000] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		(void)setenv(known[i], "", 1);
	assert_int_equal(load(""), 0);
	assert_true(config_each_unknown_variable(config, note_sentence, text));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_null(strstr(text, known[i]));
	text[0] = '\0';
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		(void)setenv(unknown[i], "x", 1);
	assert_true(config_each_unknown_variable(config, note_sentence, text));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_non_null(strstr(text, unknown[i]));
		(void)unsetenv(unknown[i]);
	}
	assert_non_null(strstr(text, "did you mean WATTRIBUTE_NAME?"));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		(void)unsetenv(known[i]);
}

/* Values that were probably meant in another unit: how each was understood, and how to write it. */
static void doubtful_values(void **state)
{
	static const char time_units[] = "; units are ms, s, m, h and d: write 30d for 30 days\n";
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{"example --retention 30s",
		 "option '--retention': '30s' means 30s, less than the usual minimum of 1h"},
		{"example --retention 30000", "option '--retention': '30000' means 30s (a number without a "
					      "unit is in milliseconds), less than the usual minimum of 1h"},
		{"example --retention 86400000",
		 "option '--retention': '86400000' means 1d (a number without a unit is in milliseconds)"},
		{"example --retention 1h", NULL},
		{"example --retention 30s --retention 0", NULL},
		{"example --frequency 500 --spool-size 4194304 --ratio 0.75", NULL},
		{"example --spool-size 256",
		 "option '--spool-size': '256' means 256 bytes, less than the usual minimum of 1M; units are "
		 "K, M, G and T: write 256M for 256 megabytes\n"},
		{"example --ratio 0.5",
		 "option '--ratio': '0.5' means 0.5 WATTS, less than the usual minimum "
		 "of 0.6 WATTS; write the number in this unit\n"},
		{"example", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[1000] = "", expected[600] = "";

		if (cases[i].sentence)
			(void)snprintf(expected, sizeof(expected), "%s%s", cases[i].sentence,
				       strstr(cases[i].sentence, "; ") ? "" : time_units);
		assert_int_equal(load(cases[i].line), 0);
		assert_true(config_each_doubtful_value(config, note_sentence, text));
		assert_string_equal(text, expected);
	}
}

static void doubtful_values_of_each_origin(void **state)
{
	char text[1000] = "";

	(void)state;
	assert_int_equal(load_with_file("{\"retention\": 30000}", ""), 0);
	assert_true(config_each_doubtful_value(config, note_sentence, text));
	assert_non_null(strstr(text, "'retention' in the file: '30000' means 30s"));
	(void)setenv("WATTRIBUTE_RETENTION", "40s", 1);
	text[0] = '\0';
	assert_int_equal(load_with_file("{\"retention\": 30000}", ""), 0);
	assert_true(config_each_doubtful_value(config, note_sentence, text));
	assert_non_null(strstr(text, "WATTRIBUTE_RETENTION: '40s' means 40s"));
	assert_null(strstr(text, "in the file"));
	(void)unsetenv("WATTRIBUTE_RETENTION");
}

static void refused_command_lines(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"example --frequncy 5", "unknown option '--frequncy'; did you mean '--frequency'?"},
		{"example -n a --zzzzz", "unknown option '--zzzzz' (see --help)"},
		{"example -vZq", "unknown option '-Z' in '-vZq' (see --help)"},
		{"example -Z", "unknown option '-Z' (see --help)"},
		{"example -n", "option '-n' (--name) needs a value"},
		{"example -v --name", "option '--name' needs a value"},
		{"example --quiet=yes", "option '--quiet' takes no value"},
		{"example --n x", "option '--n' is ambiguous: '--name' or '--number'?"},
		{"example -f 5s -f 1y", "option '--frequency': '1y' is not a time (like 500ms, 1s, 5m, 2h)"},
		{"example -f 1ms", "option '--frequency': '1ms' is out of range; allowed: 10ms to 1h"},
		{"example --number 6", "option '--number': '6' is out of range; allowed: -5 to 5"},
		{"example --number 1.5", "option '--number': '1.5' is not a whole number"},
		{"example --ratio 0.1", "option '--ratio': '0.1' is too small; the minimum is 0.5 WATTS"},
		{"example --retention 30",
		 "option '--retention': '30' (30ms) is too small; the minimum is 1s, or 0"},
		{"example --retention 999ms",
		 "option '--retention': '999ms' is too small; the minimum is 1s, or 0"},
		{"example --mode kil",
		 "option '--mode': unknown value 'kil'; did you mean 'kill'? (known: off, log, kill)"},
		{"example -e BAD", "option '--event': 'BAD' will not do"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(cases[i].line), -EINVAL);
		assert_string_equal(why.text, cases[i].why);
	}
}

static void refused_files(void **state)
{
	static const struct {
		const char *text, *why; /* after the file's name */
	} cases[] = {
		{"{\"name\": \"x\",\n  \"frequncy\": 5}",
		 ":2:3: unknown key 'frequncy'; did you mean 'frequency'?"},
		{"{\"name\": \"x\",\n  \"frequency\": \"1y\"}",
		 ":2:16: 'frequency': '1y' is not a time (like 500ms, 1s, 5m, 2h)"},
		{"{\"output\": {\"type\": 1}}", ":1:13: unknown key 'type'"},
		{"{\"output\": {\n\t\"pord\": 1}}", ":2:2: unknown key 'pord'; did you mean 'port'?"},
		{"{\"name\": {}}", ":1:10: 'name' takes no object here"},
		{"{\"name\": true}", ":1:10: 'name' takes a string"},
		{"{\"include\": [\"a\", [1]]}", ":1:19: 'include' takes no array here"},
		{"{\"system\": 5}", ":1:12: 'system': Invalid argument"},
		{"{\"system\": {\"rapl\": {\"event\": []}}}",
		 ":1:22: unknown key 'event'; did you mean 'events'?"},
		{"{\"system\": {\"a\": {}, \"rapl\": {\"events\":\n [\"A\", 5]}}}",
		 ":2:8: an event is a text"},
		{"{\"system\": {\"a\\\"}\": {}, \"rapl\": 7}}", ":1:33: group 'rapl' must be an object"},
		{"[1]", ":1:1: a configuration must be an object: { \"option\": value, ... }"},
		{"{\"event\": \"x\"}", ":1:2: unknown key 'event'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[256];
		(void)snprintf(expected, sizeof(expected), "F%s", cases[i].why);
		config_done(&example_spec, &target);
		assert_int_equal(config_apply_json(&example_spec, &target, "F", cases[i].text,
						   strlen(cases[i].text), &why),
				 -EINVAL);
		assert_string_equal(why.text, expected);
	}
	assert_int_equal(load_with_file("{\"name\": \"x\",, }", ""), -EINVAL);
	assert_non_null(strstr(why.text, ":1:16: "));
	assert_int_equal(load_with_file("{\"name\": 1, \"name\": 2}", ""), -EINVAL);
	assert_non_null(strstr(why.text, "duplicate"));
	/* A NUL byte, which the parser accepts, does not lead beyond the end of the text. */
	static const char with_nul[] = "{\"output\": {\"port\": 908\0}, \"frequncy\": 1}";
	config_done(&example_spec, &target);
	assert_int_equal(config_apply_json(&example_spec, &target, "F", with_nul, sizeof(with_nul) - 1, &why),
			 -EINVAL);
	assert_non_null(strstr(why.text, "F:1:28: unknown key 'frequncy'"));
}

static void deep_and_large_files(void **state)
{
	const size_t n = 100000;
	char *text = malloc(n * 12 + 64);

	(void)state;
	memset(text, '[', n);
	config_done(&example_spec, &target);
	assert_int_equal(config_apply_json(&example_spec, &target, "F", text, n, &why), -EINVAL);
	assert_non_null(strstr(why.text, "F:1:"));
	assert_non_null(strstr(why.text, "maximum parsing depth reached"));
	/* More than 4 KiB, at which some readers stop. */
	size_t length = (size_t)sprintf(text, "{\"include\": [\"x\"");
	for (size_t i = 0; i < n; i++)
		length += (size_t)sprintf(text + length, ",\"i%zu\"", i);
	length += (size_t)sprintf(text + length, "]}");
	config_done(&example_spec, &target);
	assert_int_equal(config_apply_json(&example_spec, &target, "F", text, length, &why), 0);
	assert_int_equal(target.include.n_items, n + 1);
	free(text);
}

static char *printed(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(config_print(&example_spec, &target, out), 0);
	(void)fclose(out);
	return text;
}

static void print_and_read_again(void **state)
{
	(void)state;
	assert_int_equal(
		load("example -n a\xff -U mongodb://user:se:cret@host:1/db --ratio 0.6 --include q -vv"), 0);
	char *first = printed();
	assert_null(strstr(first, "cret"));
	assert_non_null(strstr(first, "mongodb://user:***@host:1/db"));
	config_done(&example_spec, &target);
	assert_int_equal(config_apply_json(&example_spec, &target, "F", first, strlen(first), &why), 0);
	char *second = printed();
	assert_string_equal(first, second);
	assert_int_equal(target.verbose, 2);
	assert_non_null(strstr(first, "\"retention\": \"30d\""));
	assert_non_null(strstr(first, "\"spool-size\": \"64M\""));
	assert_non_null(strstr(first, "\"frequency\": 1000"));
	free(first);
	free(second);
}

/* Secrets are hidden in whatever form they were typed, and nothing else is. */
static void secrets_of_the_command_line(void **state)
{
	static const char *const forms[][2] = {
		{"--uri=mongodb://user:se:cret@host:1/db", "--uri=mongodb://user:*******@host:1/db"},
		{"-Umongodb://user:secret@host:1/db", "-Umongodb://user:******@host:1/db"},
		{"--ur=mongodb://user:x@host", "--ur=mongodb://user:*@host"},
		{"--uri=mongodb://user@host", "--uri=mongodb://user@host"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char word[100], program[] = "example";
		char *words[] = {program, word, NULL};
		const struct secret *secrets;
		struct config *loaded;
		unsigned n;

		(void)snprintf(word, sizeof(word), "%s", forms[i][0]);
		assert_int_equal(config_load(&example_spec, &target, 2, words, &loaded, &why), 0);
		secrets = config_secrets(loaded, &n);
		assert_int_equal(n, strcmp(forms[i][0], forms[i][1]) != 0);
		config_hide_secrets(loaded, words);
		assert_string_equal(word, forms[i][1]);
		if (n) {
			assert_int_equal(secrets[0].argument, 1);
			assert_string_equal(secrets[0].text, forms[i][0] + secrets[0].offset);
			assert_non_null(strstr(secrets[0].text, "user:"));
			assert_string_equal(strchr(target.uri, ':') - 7, secrets[0].text);
		}
		config_free(loaded);
		config_done(&example_spec, &target);
	}
}

/* Runs with stdout redirected to a file; returns the text. */
static char *stdout_of(const char *line)
{
	static char text[16384];
	char path[] = "/tmp/test_config.XXXXXX";
	int fd = mkstemp(path), saved;

	(void)fflush(stdout);
	saved = dup(STDOUT_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	assert_int_equal(load(line), 0);
	(void)fflush(stdout);
	(void)dup2(saved, STDOUT_FILENO);
	assert_int_equal(config_get_action(config), CONFIG_EXIT);
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	(void)close(fd);
	(void)close(saved);
	(void)unlink(path);
	return text;
}

static void help_and_version(void **state)
{
	(void)state;
	const char *help = stdout_of("example --help");
	assert_non_null(strstr(help, "Usage: example [OPTION...]"));
	assert_non_null(strstr(help, "Shows how options work."));
	assert_non_null(strstr(help, "Goodbye."));
	assert_non_null(strstr(help, "-f, --frequency=TIME"));
	assert_non_null(strstr(help, "(default: 1s)"));
	assert_non_null(strstr(help, "--mode=off|log|kill"));
	assert_non_null(strstr(help, "--no-keep"));
	assert_non_null(strstr(help, " What to measure\n"));
	assert_non_null(strstr(help, "--print-config"));
	assert_null(strstr(help, "perf-sampling-interval"));
	assert_string_equal(stdout_of("example -n a --version"), "example " WATTRIBUTE_VERSION "\n");
	assert_non_null(strstr(stdout_of("example --usage"), "Usage: example"));
	assert_non_null(strstr(stdout_of("example --print-config -n a"), "\"name\": \"a\""));
	assert_int_equal(load("example --check"), 0);
	assert_int_equal(config_get_action(config), CONFIG_CHECK);
}

static void arguments(void **state)
{
	struct config_spec spec = example_spec;

	(void)state;
	spec.argument = NULL;
	assert_int_equal(load_line(&spec, "example -v extra"), -EINVAL);
	assert_string_equal(why.text, "unexpected argument 'extra'; example takes options only (see --help)");
	spec.stop_at_argument = true;
	assert_int_equal(load_line(&spec, "run -v command -n --zzz"), 0);
	assert_int_equal(config_rest(config), 2);
	assert_string_equal(target.name, "host");
	assert_int_equal(load_line(&spec, "run -v -- --command -n"), 0);
	assert_int_equal(config_rest(config), 3);
	assert_int_equal(load_line(&spec, "run -v"), 0);
	assert_int_equal(config_rest(config), 2);
}

static int refuse(void *data, const struct config *loaded, struct reason *why_not)
{
	(void)data;
	return reason_set(why_not, -EINVAL, "origin of name: %d", (int)config_get_origin(loaded, "name"));
}

static void checks_at_the_end(void **state)
{
	struct config_spec spec = example_spec;

	(void)state;
	spec.finish = refuse;
	assert_int_equal(load_line(&spec, "example -n x"), -EINVAL);
	assert_string_equal(why.text, "origin of name: 3");
}

/* The asterisks may be longer than the secret: the URI is still printed to its end. */
static void print_a_uri_with_many_secrets(void **state)
{
	char uri[4096] = "mongodb://h/?", shown[8192] = "\"mongodb://h/?";

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		(void)snprintf(uri + strlen(uri), sizeof(uri) - strlen(uri), "%spassword=x", i ? "&" : "");
		(void)snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "%spassword=***",
			       i ? "&" : "");
	}
	(void)snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "\"");
	target.uri = strdup(uri);
	char *text = printed();
	assert_non_null(strstr(text, shown));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(defaults, teardown),
		cmocka_unit_test_teardown(flags_of_every_type, teardown),
		cmocka_unit_test_teardown(order_of_calls, teardown),
		cmocka_unit_test_teardown(precedence_of_origins, teardown),
		cmocka_unit_test_teardown(flags_replace_the_files_groups, teardown),
		cmocka_unit_test_teardown(environment_names_the_file, teardown),
		cmocka_unit_test_teardown(unknown_variables, teardown),
		cmocka_unit_test_teardown(doubtful_values, teardown),
		cmocka_unit_test_teardown(doubtful_values_of_each_origin, teardown),
		cmocka_unit_test_teardown(refused_command_lines, teardown),
		cmocka_unit_test_teardown(refused_files, teardown),
		cmocka_unit_test_teardown(deep_and_large_files, teardown),
		cmocka_unit_test_teardown(print_and_read_again, teardown),
		cmocka_unit_test_teardown(print_a_uri_with_many_secrets, teardown),
		cmocka_unit_test_teardown(secrets_of_the_command_line, teardown),
		cmocka_unit_test_teardown(help_and_version, teardown),
		cmocka_unit_test_teardown(arguments, teardown),
		cmocka_unit_test_teardown(checks_at_the_end, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
