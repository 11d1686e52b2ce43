/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the server's loop and its store process, as a compromised other side could send them.
 * The first byte selects the side; then "type, length, payload" until the bytes end. Nothing crashes; the
 * store process exits when the loop's end is closed, and the loop detects that its store process is
 * lost.
 */
#include "base/log.h"
#include "db/db.h"
#include "db/db_client.h"
#include "db/db_protocol.h"

#include <ev.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES_MAX 8
#define TURNS_MAX    32

static unsigned n_lost;

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

static void count_lost(void *data, int error)
{
	(void)data, (void)error;
	n_lost++;
}

static void take_trouble(void *data, bool away, const char *why)
{
	(void)data, (void)away;
	if (strlen(why) > IPC_MESSAGE_MAX)
		abort();
}

static void take_other(void *data, const char *who)
{
	(void)data;
	if (strlen(who) > IPC_MESSAGE_MAX)
		abort();
}

/* An answer's content can be walked to its end. */
static void take_answer(void *data, const struct db_answer *answer)
{
	const uint8_t *document;
	size_t offset = 0, length;

	(void)data;
	if (strlen(answer->error) > IPC_MESSAGE_MAX)
		abort();
	while (answer->documents && batch_next(answer->documents, &offset, &document, &length) > 0)
		if (document + length > answer->documents->data + answer->documents->length)
			abort();
}

static void send_all(int socket, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < MESSAGES_MAX && size >= 2; i++) {
		const size_t length = data[1] < size - 2 ? data[1] : size - 2;

		if (ipc_send(socket, data[0], 0, data + 2, length, NULL, 0) < 0)
			return;
		data += 2 + length;
		size -= 2 + length;
	}
}

static void be_client(struct ev_loop *loop, int sockets[2], const uint8_t *data, size_t size)
{
	const struct db_client_events events = {count_lost, take_trouble, take_other, NULL};
	struct db_client *client = db_client_new(loop, sockets[1], &events);

	if (!client)
		abort();
	n_lost = 0;
	(void)db_client_list(client, "", take_answer, NULL);
	(void)db_client_get(client, "state", "x", take_answer, NULL);
	(void)db_client_ensure(client, "sensorx", 0, take_answer, NULL);
	send_all(sockets[0], data, size);
	(void)close(sockets[0]);
	for (unsigned i = 0; i < TURNS_MAX && !n_lost; i++)
		(void)ev_run(loop, EVRUN_NOWAIT);
	if (n_lost != 1)
		abort();
	db_client_free(client);
}

static void be_server(int sockets[2], const uint8_t *data, size_t size)
{
	static const struct db_options options = {
		.uri = "null:", .store = {.flags = STORE_WRITE}, .give_up_ms = 1, .about = ""};

	send_all(sockets[0], data, size);
	(void)close(sockets[0]);
	(void)db_serve(sockets[1], &options);
	(void)close(sockets[1]);
}

static struct ev_loop *loop;

static void end_loop(void)
{
	ev_loop_destroy(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sockets[2];

	if (!loop) {
		log_set_sink(ignore, NULL);
		loop = ev_loop_new(0);
		if (!loop || atexit(end_loop) != 0)
			abort();
	}
	if (size == 0 || ipc_pair(sockets) < 0)
		return 0;
	if (data[0] & 1)
		be_client(loop, sockets, data + 1, size - 1);
	else
		be_server(sockets, data + 1, size - 1);
	return 0;
}
