/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules shared by all programs: store addresses as the driver understands them, the database, the machine's
 * name, parts of URLs.
 */
#include "base/machine_name.h"
#include "base/text.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* --check reports the same as opening does: a URI, and a part of the hint if the driver refuses it. */
static void check_matches_opening(void **state)
{
	static const struct {
		const char *uri;
		const char *hint; /* NULL: valid */
	} uris[] = {
		{"mongodb://h", NULL},
		{"mongodb://h:27018/db?authSource=admin&replicaSet=rs0", NULL},
		{"mongodb://lab:p%40ss%2Fw%3Ard%25@127.0.0.1:1", NULL},
		{"mongodb://[::1]:46001", NULL},
		{"mongodb://a,b:27018,c/?w=majority", NULL},
		{"mongodb://%2Ftmp%2Fmongodb-27017.sock/db", NULL},
		{"mongodb://h/?tls=true&tlsAllowInvalidCertificates=true", NULL},
		{"mongodb://lab:pa@ss@h", ""},
		{"mongodb://lab:p@/ss@h", "%40"},
		{"mongodb://lab:pa/ss@h", "%2F"},
		{"mongodb://lab:pa:ss@h", "%3A"},
		{"mongodb://lab:50%off@h", "%25"},
		{"mongodb://l@b:secret@h", ""},
		{"mongodb://h:99999", ""},
		{"mongodb://h:0", ""},
		{"mongodb://h:port", ""},
		{"mongodb://", ""},
		{"mongodb://::1", "brackets"},
		{"mongodb://fe80::1:27017/db", "brackets"},
		{"mongodb://[::1:27017", ""},
		{"mongodb://h?authSource=admin", "~need a /"},
		{"mongodb://h/?connectTimeoutMS=soon", ""},
		{"mongodb://h/?serverSelectionTimeoutMS=1s", ""},
		{"mongodb://h/?w=-7", ""},
		{"mongodb://h/?tls=perhaps", ""},
		{"mongodb://h/?authMechanism=NONSENSE", ""},
		{"mongodb://h/?directConnection=true&loadBalanced=true", ""},
		{"mongodb://a,b/?directConnection=true", ""},
		{"mongodb://h/?replicaSet=rs&loadBalanced=true", ""},
		{"mongodb://h/?tlsInsecure=true&tlsAllowInvalidCertificates=true", ""},
		{"mongodb://h/?tls=true&tlsCAFile=/not/there.pem", "tlscafile"},
		{"mongodb://h/a.b", ""},
		{"mongodb://h/a%20b", ""},
		{"mongodb+srv://cluster.lab.example:46001", "without a port"},
		{"mongodb+srv://h1.lab.example,h2.lab.example", ""},
		{"mongodb+srv://localhost", ""},
	};

	(void)state;
	(void)setenv("MONGOC_DISABLE_SHM", "1", 0);
	for (size_t i = 0; i < ARRAY_LENGTH(uris); i++) {
		struct reason why = {""}, opening = {""};
		bool good = store_uri_valid(uris[i].uri, &why);
		struct store *store;
		int r = store_open(uris[i].uri, NULL, &store, &opening);

		if (r == 0)
			store_close(store);
		if (good != (r == 0))
			fail_msg("%s: --check %s, opening %s", uris[i].uri, why.text, opening.text);
		/* What is valid differs between driver versions; messages never contain the password. */
		if (!good && (strstr(why.text, "secret") || strstr(why.text, "pa:ss")))
			fail_msg("%s: shows the password: %s", uris[i].uri, why.text);
		if (!uris[i].hint && !good)
			fail_msg("%s: %s", uris[i].uri, why.text);
		/* "~": newer drivers accept it */
		const bool may = uris[i].hint && uris[i].hint[0] == '~';
		if (uris[i].hint && uris[i].hint[0] && (good ? !may : !strstr(why.text, uris[i].hint + may)))
			fail_msg("%s: no hint in '%s'", uris[i].uri, why.text);
		print_message("# %-60s %s\n", uris[i].uri, good ? "taken" : why.text);
	}
}

static void the_database_has_one_rule(void **state)
{
	char name[64];

	(void)state;
	assert_string_equal(store_database("mongodb://h", NULL, name, sizeof(name)), "rapls2");
	assert_string_equal(store_database("mongodb://h/", "", name, sizeof(name)), "rapls2");
	assert_string_equal(store_database("mongodb://h/lab?w=1", NULL, name, sizeof(name)), "lab");
	assert_string_equal(store_database("mongodb://u:p@h:1/my%2Ddb", NULL, name, sizeof(name)), "my-db");
	assert_string_equal(store_database("mongodb://h/lab", "other", name, sizeof(name)), "other");
	assert_string_equal(store_database("mongodb:h:27017", NULL, name, sizeof(name)), "rapls2");
	assert_string_equal(store_database("sqlite:/a/b.db", NULL, name, sizeof(name)), "rapls2");
	assert_string_equal(store_database("nonsense", NULL, name, sizeof(name)), "rapls2");
}

static void a_machine_is_named_by_its_host_without_domain(void **state)
{
	char name[MACHINE_NAME_SIZE], host[MACHINE_NAME_SIZE];

	(void)state;
	assert_int_equal(machine_name_host_length("node1"), 5);
	assert_int_equal(machine_name_host_length("node1.lab.example"), 5);
	assert_int_equal(machine_name_host_length(".odd"), 4);
	assert_int_equal(machine_name_host_length(""), 0);
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	(void)machine_name_default(name, sizeof(name));
	assert_true(name[0]);
	assert_int_equal(strncmp(host, name, strlen(name)), 0);
	assert_null(strchr(name, '.'));
}

static void check_url(const char *text, const char *expected)
{
	char *escaped = text_escape_url(text);

	assert_string_equal(escaped, expected);
	free(escaped);
}

static void parts_of_urls_are_escaped(void **state)
{
	(void)state;
	check_url("web-1.2_~", "web-1.2_~");
	check_url("/docker/a b?&=#%+", "%2Fdocker%2Fa%20b%3F%26%3D%23%25%2B");
	check_url("\xc3\xa4", "%C3%A4");
	check_url("", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_matches_opening),
		cmocka_unit_test(the_database_has_one_rule),
		cmocka_unit_test(a_machine_is_named_by_its_host_without_domain),
		cmocka_unit_test(parts_of_urls_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
