/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that distinguish another origin's page in a browser from all other clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/http_origin.h"

static void hosts(void **state)
{
	static const char *const good[] = {
		"127.0.0.1",      "127.0.0.1:4443",         "[::1]:4443",          "[fe80::1]",
		"localhost:4443", "listener:4443",          "box.local",           "box.local.:80",
		"a.lan",          "node.svc.cluster.local", "metrics.example.org", "WATTS.example.com:443",
	};
	static const char *const bad[] = {
		"evil.example",
		"127.0.0.1.evil.example",
		"evil.example:4443",
		"[::1",
		"[]",
		"",
		":80",
		"localhost.evil.example",
		"a.lan.evil.example",
		"local.evil",
		"1.2.3.4:x",
		"notmetrics.example.org",
		"example.org",
		"evil.example/.local",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!http_host_allowed(good[i], "metrics.example.org, watts.example.com"))
			fail_msg("'%s' is refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (http_host_allowed(bad[i], "metrics.example.org, watts.example.com"))
			fail_msg("'%s' is allowed", bad[i]);
	assert_true(http_host_allowed(NULL, NULL));
	assert_false(http_host_allowed("metrics.example.org", NULL));
}

static void origins(void **state)
{
	(void)state;
	assert_true(http_origin_allowed(NULL, "box:4443"));
	assert_true(http_origin_allowed("http://box:4443", "box:4443"));
	assert_true(http_origin_allowed("https://BOX", "box"));
	assert_false(http_origin_allowed("null", "box"));
	assert_false(http_origin_allowed("", "box"));
	assert_false(http_origin_allowed("http://box:4444", "box:4443"));
	assert_false(http_origin_allowed("http://box.evil.example", "box"));
	assert_false(http_origin_allowed("http://evil.example", "box"));
	assert_false(http_origin_allowed("file://box", "box"));
	assert_false(http_origin_allowed("http://box", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
