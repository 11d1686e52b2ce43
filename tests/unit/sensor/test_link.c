/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link between collect and write: every document arrives once and in order, whatever the sizes and
 * however slow the reader; documents that do not fit into the backlog are counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "write/link.h"
#include "unit/random_seed.h"

#include <bson/bson.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t buffer[IPC_MESSAGE_MAX + 64];

static void add_document(struct batch *batch, int number, size_t padding)
{
	bson_t document = BSON_INITIALIZER;
	uint8_t *bytes = calloc(1, padding + 1);

	BSON_APPEND_INT32(&document, "n", number);
	BSON_APPEND_BINARY(&document, "padding", BSON_SUBTYPE_BINARY, bytes, (uint32_t)padding);
	assert_int_equal(batch_append(batch, bson_get_data(&document), document.len), 0);
	bson_destroy(&document);
	free(bytes);
}

/* Reads everything available; checks that numbers increase; returns the number of tick ends. */
static unsigned drain(int socket, int *next)
{
	struct ipc_message message;
	unsigned lasts = 0;

	while (ipc_receive(socket, buffer, sizeof(buffer), &message) > 0) {
		struct link_batch batch;
		size_t offset = 0, length;
		const uint8_t *data;

		assert_int_equal(link_parse(&message, &batch), 0);
		assert_string_equal(batch.collection, "sensorx");
		lasts += batch.last;
		while (batch_next(&batch.documents, &offset, &data, &length) > 0) {
			bson_t document;
			bson_iter_t iter;

			assert_true(bson_init_static(&document, data, length));
			assert_true(bson_iter_init_find(&iter, &document, "n"));
			assert_int_equal(bson_iter_int32(&iter), (*next)++);
		}
	}
	return lasts;
}

static void open_pair(int sockets[2], struct link_sender *sender, size_t limit)
{
	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(fcntl(sockets[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(sockets[1], F_SETFL, O_NONBLOCK), 0);
	link_sender_init(sender, sockets[0], limit);
}

static void all_arrive_in_order(void **state)
{
	struct link_sender sender;
	struct batch batch = {0};
	int sockets[2], number = 0, next = 0;
	unsigned lasts = 0;

	(void)state;
	srand(random_begin());
	open_pair(sockets, &sender, 64 << 20);
	for (unsigned tick = 0; tick < 60; tick++) {
		const long n = random() % 400;

		batch_clear(&batch);
		for (long i = 0; i < n; i++)
			add_document(&batch, number++,
				     (size_t)(random() % (random() % 20 == 0 ? 60000 : 700)));
		assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, true), 0);
		if (random() % 3 == 0) /* a reader that reads only occasionally */
			lasts += drain(sockets[1], &next);
	}
	while (link_flush(&sender) == -EAGAIN)
		lasts += drain(sockets[1], &next);
	lasts += drain(sockets[1], &next);
	assert_int_equal(next, number);
	assert_int_equal(lasts, 60);
	assert_int_equal(sender.lost, 0);
	link_sender_done(&sender);
	batch_done(&batch);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void full_backlog_is_counted(void **state)
{
	struct link_sender sender;
	struct batch batch = {0};
	int sockets[2], next = 0, number = 0;
	int r = 0;

	(void)state;
	open_pair(sockets, &sender, 256 << 10);
	for (unsigned tick = 0; tick < 2000 && r == 0; tick++) {
		batch_clear(&batch);
		for (int i = 0; i < 10; i++)
			add_document(&batch, number++, 1000);
		r = link_send(&sender, LINK_APPEND, "sensorx", &batch, true);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(sender.lost, 10);
	assert_true(sender.backlog.length > 0);
	while (link_flush(&sender) == -EAGAIN)
		(void)drain(sockets[1], &next);
	(void)drain(sockets[1], &next);
	assert_int_equal(next, number - 10);
	link_sender_done(&sender);
	batch_done(&batch);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

/* What is given up at the end is counted: neither what has arrived nor what was never taken. */
static void abandoned_backlog_is_counted(void **state)
{
	struct link_sender sender;
	struct batch batch = {0};
	int sockets[2], next = 0, number = 0;

	(void)state;
	open_pair(sockets, &sender, 1 << 20);
	assert_int_equal(link_abandon(&sender), 0);
	while (sender.backlog.length == 0 || number % 70 != 0) {
		batch_clear(&batch);
		for (int i = 0; i < 10; i++)
			add_document(&batch, number++, 1000);
		assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, true), 0);
	}
	(void)drain(sockets[1], &next);
	assert_int_equal(link_abandon(&sender), number - next);
	assert_int_equal(link_flush(&sender), 0);
	assert_int_equal(drain(sockets[1], &next), 0);
	link_sender_done(&sender);
	batch_done(&batch);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void too_large_document_is_counted(void **state)
{
	struct link_sender sender;
	struct batch batch = {0};
	int sockets[2], next = 0;

	(void)state;
	open_pair(sockets, &sender, 1 << 20);
	add_document(&batch, 0, 10);
	add_document(&batch, 77, LINK_BYTES_MAX + 1);
	add_document(&batch, 1, 10);
	(void)link_send(&sender, LINK_APPEND, "sensorx", &batch, true);
	assert_int_equal(sender.lost, 1);
	assert_int_equal(drain(sockets[1], &next), 1);
	assert_int_equal(next, 2);
	link_sender_done(&sender);
	batch_done(&batch);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

/* Documents sent before one that is too large may be lost as well: each is counted. */
static void losses_before_a_large_one_are_counted(void **state)
{
	struct link_sender sender;
	struct batch batch = {0};
	int sockets[2], n_sent = 0;

	(void)state;
	open_pair(sockets, &sender, 0); /* whatever the socket does not accept is lost */
	add_document(&batch, 0, 10);
	while (link_send(&sender, LINK_APPEND, "sensorx", &batch, true) == 0)
		n_sent++;
	assert_true(n_sent > 0);
	sender.lost = 0;
	batch_clear(&batch);
	add_document(&batch, 0, 10);
	add_document(&batch, 1, 10);
	add_document(&batch, 77, LINK_BYTES_MAX + 1);
	add_document(&batch, 2, 10);
	assert_int_equal(link_send(&sender, LINK_APPEND, "sensorx", &batch, true), -ENOBUFS);
	assert_int_equal(sender.lost, 4);
	link_sender_done(&sender);
	batch_done(&batch);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void broken_messages_are_refused(void **state)
{
	struct link_batch batch;
	struct batch payload = {0};
	struct ipc_message message = {0};
	const uint8_t torn[] = {200, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(link_parse(&message, &batch), -EBADMSG);
	assert_int_equal(ipc_put_string(&payload, "c"), 0);
	assert_int_equal(ipc_put_u64(&payload, 1), 0);
	assert_int_equal(ipc_put_bytes(&payload, torn, sizeof(torn)), 0);
	message.payload = payload.data;
	message.length = payload.length;
	assert_int_equal(link_parse(&message, &batch), -EBADMSG);
	for (size_t cut = 0; cut < payload.length; cut++) {
		message.length = cut;
		assert_int_equal(link_parse(&message, &batch), -EBADMSG);
	}
	batch_done(&payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrive_in_order),
		cmocka_unit_test(full_backlog_is_counted),
		cmocka_unit_test(abandoned_backlog_is_counted),
		cmocka_unit_test(too_large_document_is_counted),
		cmocka_unit_test(losses_before_a_large_one_are_counted),
		cmocka_unit_test(broken_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
