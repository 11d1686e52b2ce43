/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores that write JSON lines, to a file or a TCP stream; and URIs.
 */
#include "store/store.h"
#include "document/bson_json.h"
#include "text_store.h"
#include "base/reason.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bson/bson.h>

static void assert_parsed_time(const char *line, int64_t time_ms)
{
	struct batch batch = {0};
	bson_iter_t iter;
	bson_t bson;

	assert_int_equal(bson_json_parse(line, strlen(line), &batch), 0);
	assert_true(bson_init_static(&bson, batch.data, batch.length));
	assert_true(bson_iter_init_find(&iter, &bson, "timestamp"));
	assert_true(BSON_ITER_HOLDS_DATE_TIME(&iter));
	assert_int_equal(bson_iter_date_time(&iter), time_ms);
	batch_done(&batch);
}

static void test_json(void **state)
{
	struct batch batch = {0};
	struct batch text = {0};
	struct batch back = {0};

	(void)state;
	add_report(&batch, "q\"\\\n\xc3\xa9", 2);
	assert_int_equal(bson_json_append(&text, BSON_JSON_LINES, batch.data, batch.length), 0);
	assert_int_equal(bson_json_parse((const char *)text.data, text.length - 1, &back), 0);
	assert_int_equal(back.length, batch.length);
	assert_memory_equal(back.data, batch.data, batch.length);
	assert_parsed_time("{\"timestamp\":\"2023-11-14T22:13:20.123+00:00\"}", T0);
	assert_parsed_time("{\"timestamp\":\"2023-11-15T00:13:20.123456+02:00\"}", T0);
	assert_parsed_time("{\"timestamp\":\"2023-11-14 22:13:20\"}", T0 - 123);
	assert_parsed_time("{\"timestamp\":{\"$date\":\"2023-11-14T22:13:20.123Z\"}}", T0);
	assert_parsed_time("{\"timestamp\":1700000000123}", T0);
	assert_parsed_time("{\"timestamp\":1700000000}", T0 - 123);
	assert_parsed_time("{\"timestamp\":1700000000.123}", T0);
	assert_parsed_time("{\"timestamp\":1700000000123456}", T0);
	assert_parsed_time("{\"timestamp\":1700000000123456789}", T0);
	assert_parsed_time("{\"timestamp\":86400000}", 86400000);
	assert_int_equal(bson_json_parse("{\"a\":", 5, &back), -EBADMSG);
	batch_done(&batch);
	batch_done(&text);
	batch_done(&back);
}

/* Every type survives a round trip: a formula's state is binary, and foreign documents may hold anything. */
static void test_json_types(void **state)
{
	bson_t *document = bson_new(), list = BSON_INITIALIZER;
	struct batch text = {0}, back = {0};
	bson_decimal128_t decimal;

	(void)state;
	assert_true(bson_decimal128_from_string("1.5E+7", &decimal));
	BSON_APPEND_BINARY(document, "state", BSON_SUBTYPE_BINARY, (const uint8_t *)"\0\1\xff:\"}", 6);
	BSON_APPEND_BINARY(document, "none", BSON_SUBTYPE_UUID, (const uint8_t *)"", 0);
	BSON_APPEND_DECIMAL128(document, "decimal", &decimal);
	BSON_APPEND_REGEX(document, "pattern", "^a:\"b", "i");
	BSON_APPEND_TIMESTAMP(document, "moment", 7, 9);
	BSON_APPEND_NULL(document, "null");
	BSON_APPEND_MINKEY(document, "least");
	BSON_APPEND_CODE(document, "code", "f(\"x\");");
	BSON_APPEND_BINARY(&list, "0", BSON_SUBTYPE_BINARY, (const uint8_t *)"abc", 3);
	BSON_APPEND_ARRAY(document, "list", &list);
	assert_int_equal(bson_json_append(&text, BSON_JSON_LINES, bson_get_data(document), document->len), 0);
	assert_int_equal(bson_json_parse((const char *)text.data, text.length - 1, &back), 0);
	assert_int_equal(back.length, document->len);
	assert_memory_equal(back.data, bson_get_data(document), back.length);
	batch_done(&text);
	batch_done(&back);
	bson_destroy(document);
	bson_destroy(&list);
}

/* As in the API's answers: values that JSON lacks become null, including text that is not UTF-8. */
static void test_json_plain(void **state)
{
	static const char wanted[] =
		"{\"id\":\"0102030405060708090a0b0c\",\"at\":\"2023-11-14T22:13:20.123Z\","
		"\"never\":null,\"nan\":null,\"bad\":null,\"n\":7,\"list\":[0.5,true,{}]}\n";
	bson_t *document = bson_new(), *list = bson_new(), empty = BSON_INITIALIZER;
	struct batch text = {0};
	bson_oid_t id;

	(void)state;
	bson_oid_init_from_string(&id, "0102030405060708090a0b0c");
	BSON_APPEND_OID(document, "id", &id);
	BSON_APPEND_DATE_TIME(document, "at", T0);
	BSON_APPEND_DATE_TIME(document, "never", INT64_MIN);
	BSON_APPEND_DOUBLE(document, "nan", NAN);
	BSON_APPEND_UTF8(document, "bad", "\xff");
	BSON_APPEND_INT64(document, "n", 7);
	BSON_APPEND_DOUBLE(list, "0", 0.5);
	BSON_APPEND_BOOL(list, "1", true);
	BSON_APPEND_DOCUMENT(list, "2", &empty);
	BSON_APPEND_ARRAY(document, "list", list);
	assert_int_equal(bson_json_append(&text, BSON_JSON_PLAIN, bson_get_data(document), document->len), 0);
	assert_int_equal(text.length, strlen(wanted));
	assert_memory_equal(text.data, wanted, text.length);
	batch_done(&text);
	bson_destroy(document);
	bson_destroy(list);
	bson_destroy(&empty);
}

static int listen_anywhere(char *ret_uri, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	(void)snprintf(ret_uri, size, "socket:127.0.0.1:%u", ntohs(address.sin_port));
	return fd;
}

/* A truncated or foreign line costs no other document. */
static void test_jsonl_damaged(void **state)
{
	static const char text[] =
		"{\"timestamp\":\"2023-11-14T22:13:21Z\",\"target\":\"a\"}\n{\"timestamp\":\"2023-"
		"\nnothing\n\n"
		"{\"timestamp\":\"2023-11-14T22:13:22Z\",\"target\":\"b\"}\n{\"timestamp\":";
	struct store_query query = {.collection = "sensorx", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	const struct store_options options = {.flags = STORE_READ};
	struct batch documents = {0};
	struct store_read read;
	struct store *store;
	char path[100], uri[120];
	struct reason why;
	FILE *file;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/x.jsonl", directory);
	(void)snprintf(uri, sizeof(uri), "jsonl:%s", path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(store_open(uri, &options, &store, &why), 0);
	assert_int_equal(store_read(store, &query, &documents, &read), STORE_OK);
	assert_int_equal(documents.n_documents, 2);
	assert_int_equal(read.damaged, 2);
	assert_true(read.end);
	assert_non_null(strstr(store_error(store), "2 malformed lines"));
	/* The last line is not complete yet: it is neither read nor counted as damaged. */
	query.offset = read.offset;
	assert_int_equal(store_read(store, &query, &documents, &read), STORE_OK);
	assert_int_equal(documents.n_documents, 2);
	assert_int_equal(read.damaged, 0);
	store_close(store);
	batch_done(&documents);
}

static void write_text(const char *path, const char *mode, const char *text)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

/* A file that is followed, and then cut, replaced by a longer one, or by a copy that continues it. */
static void test_jsonl_replaced(void **state)
{
	static const char a[] = "{\"timestamp\":\"2023-11-14T22:13:21Z\",\"target\":\"a\"}\n",
			  b[] = "{\"timestamp\":\"2023-11-14T22:13:22Z\",\"target\":\"b\"}\n";
	const struct {
		const char *mode, *text, *more;
		unsigned n;
		bool replaced, is_new;
	} steps[] = {
		{"a", b, "", 1, false, false}, {"w", b, "", 1, true, false},  {"w", a, b, 2, true, false},
		{"w", a, b, 0, false, true},   {"w", "", "", 0, true, false}, {"w", a, "", 1, false, false},
	};
	struct store_query query = {.collection = "sensorx", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	const struct store_options options = {.flags = STORE_READ};
	struct batch documents = {0};
	struct store_read read;
	struct store *store;
	char path[100], uri[120];
	struct reason why;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/x.jsonl", directory);
	(void)snprintf(uri, sizeof(uri), "jsonl:%s", path);
	write_text(path, "w", a);
	assert_int_equal(store_open(uri, &options, &store, &why), 0);
	assert_int_equal(store_read(store, &query, &documents, &read), STORE_OK);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		query.offset = read.offset;
		if (steps[i].is_new)
			assert_int_equal(remove(path), 0);
		write_text(path, steps[i].mode, steps[i].text);
		write_text(path, "a", steps[i].more);
		batch_clear(&documents);
		assert_int_equal(store_read(store, &query, &documents, &read), STORE_OK);
		if (documents.n_documents != steps[i].n || read.replaced != steps[i].replaced)
			fail_msg("step %zu: %u documents, %d", i, documents.n_documents, read.replaced);
	}
	store_close(store);
	batch_done(&documents);
}

static void count_one(void *data, const char *collection)
{
	(void)collection;
	++*(unsigned *)data;
}

/* A folder that cannot be listed, for want of a descriptor, is not taken for an empty one. */
static void test_jsonl_list_fails(void **state)
{
	const struct store_options options = {.flags = STORE_READ};
	const int spare = dup(0);
	struct rlimit limit, none;
	struct store *store;
	char path[100], uri[120];
	struct reason why;
	unsigned n = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sensorx.jsonl", directory);
	write_text(path, "w", "");
	(void)snprintf(uri, sizeof(uri), "jsonl:%s", directory);
	assert_int_equal(store_open(uri, &options, &store, &why), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)spare, .rlim_max = limit.rlim_max};
	(void)close(spare);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(store_list(store, "sensor", count_one, &n), STORE_RETRY);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(n, 0);
	assert_non_null(strstr(store_error(store), "cannot read"));
	assert_int_equal(store_list(store, "sensor", count_one, &n), STORE_OK);
	assert_int_equal(n, 1);
	store_close(store);
}

static void test_socket(void **state)
{
	static const char wanted[] =
		"{\"timestamp\":1700000000123,\"sensor\":\"node\",\"target\":\"redis\",\"groups\":{\"core\":{"
		"\"0\":{"
		"\"0\":{\"cycles\":1,\"LLC_MISSES\":1152921504606846976,\"time_enabled\":10,\"time_running\":"
		"10}},"
		"\"1\":{\"4\":{\"cycles\":3,\"LLC_MISSES\":4,\"time_enabled\":20,\"time_running\":20}}}},"
		"\"metadata\":{}}\n";
	struct store *store;
	struct batch batch = {0};
	char uri[64];
	struct reason why;
	char text[2048];
	int listener = listen_anywhere(uri, sizeof(uri));
	int peer;
	ssize_t n;

	(void)state;
	assert_int_equal(store_open(uri, NULL, &store, &why), 0);
	add_report(&batch, "redis", 2);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	peer = accept(listener, NULL, NULL);
	n = recv(peer, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, wanted);
	/* The peer closes: a new connection; nothing listens any more: RETRY. */
	(void)close(peer);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_OK);
	peer = accept(listener, NULL, NULL);
	(void)close(peer);
	(void)close(listener);
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_RETRY);
	print_message("# %s\n", store_error(store));
	assert_int_equal(store_append(store, "sensornode", &batch), STORE_RETRY);
	assert_int_equal(store_get_statistics(store)->appended, 2);
	store_close(store);
	batch_done(&batch);
}

static void test_uris(void **state)
{
	static const char *const good[] = {"mongodb://h",
					   "mongodb:mongobase:27017",
					   "mongodb:h",
					   "127.0.0.1:27017",
					   "[::1]:27017",
					   "sqlite:/a/b",
					   "bson:x",
					   "jsonl:-",
					   "csv:out/",
					   "socket:h:9080",
					   "socket://h:9080",
					   "null:",
					   "null",
					   "mongodb+srv://a.b.c"};
	static const char *const bad[] = {
		"",        "x",     "/tmp/x.db", "sqlite:",  "mongo://h",    "h:0",
		"h:70000", "h:80x", "socket:h",  "mongodb:", "mongodb:h/db", ":27017"};
	struct reason why;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!store_uri_valid(good[i], &why))
			fail_msg("%s: %s", good[i], why.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (store_uri_valid(bad[i], &why))
			fail_msg("'%s' was taken", bad[i]);
}

static void assert_display(const char *uri, const char *wanted)
{
	char shown[200];

	assert_string_equal(store_uri_display(uri, shown, sizeof(shown)), wanted);
}

static void test_display(void **state)
{
	(void)state;
	assert_display("mongodb://u:secret@h:1/db?x=y", "mongodb://u:***@h:1/db?x=y");
	assert_display("mongodb://u:s@cr/et@h:1/db", "mongodb://u:***@h:1/db");
	assert_display("mongodb://u@h:1/db", "mongodb://u@h:1/db");
	assert_display("mongodb://h/?tlsCertificateKeyFilePassword=abc&x=1",
		       "mongodb://h/?tlsCertificateKeyFilePassword=***&x=1");
	assert_display("mongodb://u:s@h/"
		       "?a=b&sslclientcertificatekeypassword=abc&x=1&tlsCertificateKeyFilePassword=d",
		       "mongodb://u:***@h/"
		       "?a=b&sslclientcertificatekeypassword=***&x=1&tlsCertificateKeyFilePassword=***");
	assert_display("mongodb://h/"
		       "?AUTHMECHANISMPROPERTIES=AWS_SESSION_TOKEN:abc&x=1&tlsCertificateKeyFilePassword=",
		       "mongodb://h/?AUTHMECHANISMPROPERTIES=***&x=1&tlsCertificateKeyFilePassword=");
	assert_display("mongodb://u:s#cr?t@h:1/db", "mongodb://u:***@h:1/db");
	assert_display("mongodb:u:secret@h:1", "mongodb:u:***@h:1");
	assert_display("u:secret@h:1", "u:***@h:1");
	assert_display("mongdb:u:secret@h:1", "mongdb:***@h:1");
	assert_display("sqlite:/var/lib/x", "sqlite:/var/lib/x");
	assert_display("sqlite:/var/lib/a@b.db", "sqlite:/var/lib/a@b.db");
	assert_display("h:27017", "h:27017");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),         cmocka_unit_test(test_json_plain),
		cmocka_unit_test(test_json_types),   WITH_DIRECTORY(test_jsonl_damaged),
		WITH_DIRECTORY(test_jsonl_replaced), WITH_DIRECTORY(test_jsonl_list_fails),
		cmocka_unit_test(test_socket),       cmocka_unit_test(test_uris),
		cmocka_unit_test(test_display),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
