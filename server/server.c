/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of start and stop, and the callbacks of input and store. Called by main.c. Power reports, then the
 * position that covers them, go to the store's process and are written in this order.
 */
#include "server_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/machine_name.h"
#include "document/collections.h"
#include "recap/recaps.h"
#include "process/sandbox.h"
#include "machine/state.h"
#include "base/text.h"
#include "base/reason.h"
#include "base/unit.h"

#include <errno.h>
#include <linux/capability.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVER_TOKEN        "server"
#define SERVER_END_MS       2500  /* the longest orderly end, except with --once */
#define SERVER_SAVE_STEP_S  0.2   /* retry while earlier writes are in progress */
#define SERVER_HOUSE_S      600.0 /* longest time between two deletions of old documents: many small ones */
#define SERVER_HOUSE_MIN_S  10.0
#define SERVER_EXPIRE_MAX_S 10.0 /* between two checks for sensors that have ended */
#define SERVER_KNOWN_S      2.0  /* shortest time between two reads of target descriptions */
#define SERVER_STOP_DUTY_MS 700

struct machine *server_find_machine(const struct server *server, const char *name)
{
	struct machine *machine;

	HASH_FIND(hh, server->machines, name, strlen(name), machine);
	return machine;
}

struct machine *server_find_host(const struct server *server, const char *name)
{
	struct machine *exact = server_find_machine(server, name), *found = NULL;
	size_t length = machine_name_host_length(name);
	bool has_domain = name[length] != '\0';

	for (struct machine *machine = server->machines; !exact && machine; machine = machine->hh.next) {
		size_t host_length = machine_name_host_length(machine->name);

		if (host_length != length || strncmp(machine->name, name, length) != 0 ||
		    (machine->name[host_length] != '\0') == has_domain)
			continue;
		if (found)
			return NULL;
		found = machine;
	}
	return exact ? exact : found;
}

const char *server_nearest_machine(const struct server *server, const char *name)
{
	unsigned n = 0, count = HASH_COUNT(server->machines);
	const char **names = calloc(count ? count : 1, sizeof(*names));
	const char *nearest = NULL;

	for (struct machine *machine = server->machines; names && machine; machine = machine->hh.next)
		names[n++] = machine->name;
	if (names)
		nearest = text_nearest(name, names, n);
	free(names);
	return nearest;
}

static void save_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;

	bool done = true;

	(void)events;
	/*
	 * Not while the queue is stuck: it would only become longer. Many states are written in several
	 * steps.
	 */
	if (server->n.state_refused == 0)
		done = server_save_some(server);
	timer->repeat = done ? UNIT_S_OF_MS(server->config->save_ms) : SERVER_SAVE_STEP_S;
	ev_timer_again(loop, timer);
}

static void line_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	server_log_state(timer->data);
}

static void house_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;

	(void)loop, (void)events;
	for (struct machine *machine = server->machines; machine; machine = machine->hh.next)
		server_ensure(server, machine);
}

/* Forgets the last values of sensors that have ended: they are not the present state. */
static void expire_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;
	int64_t now_ms = clock_realtime_ms();

	(void)loop, (void)events;
	for (struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		if (machine_expire(machine, now_ms))
			log_notice(SERVER_TOKEN, 0,
				   "%s: no reports for %.0f s: its watts and joules are removed from "
				   "/metrics until reports arrive",
				   machine->name, machine_silent_s(machine, now_ms));
	}
}

static void watchdog_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;

	(void)loop, (void)events;
	(void)notify_watchdog(&server->notify);
}

/* While ending: done when everything is written, or when it takes too long. */
static void settle_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;
	uint64_t waited_ms = (clock_monotonic_ns() - server->ending_since_ns) / CLOCK_NS_PER_MS;
	bool idle = db_client_waiting(server->output) == 0;

	(void)events;
	if (!idle)
		(void)db_client_flush(server->output);
	if (!idle && (waited_ms < SERVER_END_MS || (server->config->once && !server->loop.stop_signal)))
		return;
	if (!idle)
		log_warning(SERVER_TOKEN, 0, "the store did not answer in time: exiting without its answer");
	ev_timer_stop(loop, timer);
	loop_stop(&server->loop);
}

/* Begins an orderly end: everything read is processed and written, together with the position. */
static void begin_end(struct server *server, int exit_status)
{
	if (server->ending)
		return;
	server->ending = true;
	server->ending_since_ns = clock_monotonic_ns();
	if (exit_status)
		server->exit_status = exit_status;
	(void)notify_stopping(&server->notify);
	input_stop(server->input);
	for (struct machine *machine = server->machines; machine; machine = machine->hh.next)
		server_write(server, machine);
	if (server->started && server_keeps_state(server))
		server_save(server);
	ev_timer_init(&server->settle, settle_due, 0, 0.01);
	server->settle.data = server;
	ev_timer_start(server->loop.ev, &server->settle);
}

/* With --once: every sensor has been read; ticks that still wait are processed as they are. */
static void input_ended(void *data)
{
	struct server *server = data;

	for (struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		if (machine_drain(machine, 0, true) < 0) {
			log_error(SERVER_TOKEN, -ENOMEM, "%s: not all ticks were processed", machine->name);
			server->exit_status = 1;
		}
	}
	begin_end(server, server_once_status(server));
}

static void signalled(struct loop *loop, int signal_number)
{
	struct server *server = loop->data;

	log_info(SERVER_TOKEN, 0, "exiting on signal %d", signal_number);
	/* The requested work was not done. */
	begin_end(server, server->config->once && !server->ending ? SERVER_EXIT_PARTLY : 0);
}

static void store_lost(void *data, int error)
{
	struct server *server = data;

	(void)error; /* its socket is closed; the process has logged the reason */
	if (!server->ending)
		log_error(SERVER_TOKEN, 0,
			  "the store's process has exited (if it gave a reason, it is logged above); exiting "
			  "as well%s",
			  server->config->once ? ""
					       : ". After a restart the server continues from the stored "
						 "position");
	server->exit_status = 1;
	loop_stop(&server->loop);
}

static void trouble(void *data, bool away, const char *why)
{
	struct server *server = data;

	server->away = away;
	server->n.troubles += away;
	(void)snprintf(server->away_why, sizeof(server->away_why), "%s", why);
	if (away)
		log_warning(SERVER_TOKEN, 0, "the store does not answer; retrying: %s", why);
	else
		log_notice(SERVER_TOKEN, 0, "the store answers again");
}

/* Another server writes to the store: this one waits for its turn, or was superseded. */
static void other_writes(void *data, const char *who)
{
	struct server *server = data;
	bool news = !server->standby;

	(void)snprintf(server->writer, sizeof(server->writer), "%s", who);
	if (server->leading) {
		log_error(
			SERVER_TOKEN, 0,
			"%s has taken over writing to this store while this server was paused or could not "
			"reach it: exiting; the other server computes what is missing. After a restart this "
			"server is the standby",
			who);
		server->exit_status = 1;
		loop_stop(&server->loop);
		return;
	}
	server->standby = true;
	if (!news || server->config->once)
		return;
	log_notice(
		SERVER_TOKEN, 0,
		"standby: another server writes to this store: %s; this one computes nothing and takes over "
		"when the other has been silent for %.1f s",
		who, UNIT_S_OF_MS(server->config->lease_ms));
	if (!strstr(who, server->config->about))
		log_warning(SERVER_TOKEN, 0,
			    "the other server computes differently from this one (%s): watts change on a "
			    "takeover",
			    server->config->about);
	(void)notify_ready(&server->notify, "standby");
}

/* The stored states are here: reading can begin. */
static void found_states(void *data, const struct db_answer *answer)
{
	struct server *server = data;

	if (server->ending)
		return;
	if (answer->result != STORE_OK)
		log_warning(SERVER_TOKEN, 0, "no stored state: %s", answer->error);
	else
		(void)batch_append_batch(&server->states, answer->documents);
	if (answer->result == STORE_OK && answer->error && answer->error[0])
		log_warning(SERVER_TOKEN, 0, "stored state: %s", answer->error);
	server->started = true;
	server->n_states = state_count(&server->states, server->config->ops->name);
	recaps_load(server->recaps, &server->states);
	input_start(server->input);
	(void)notify_ready(&server->notify, "reading reports");
}

/* This server has the lease. */
static void may_write(void *data, const struct db_answer *answer)
{
	struct server *server = data;

	if (server->ending)
		return;
	if (answer->result != STORE_OK) {
		log_error(SERVER_TOKEN, 0,
			  answer->result == STORE_LOST ? "another server writes to this store: %s; stop it, "
							 "or choose another --output"
						       : "cannot become the writer of this store: %s",
			  answer->error);
		begin_end(server, 1);
		return;
	}
	if (server->standby)
		log_notice(SERVER_TOKEN, 0, "taking over: no other server writes to this store any more");
	server->leading = true;
	server->standby = false;
	server->writer[0] = '\0';
	if (server_keeps_state(server))
		(void)db_client_get(server->output, collection_prefix(COLLECTION_STATE), NULL, found_states,
				    server);
	else
		found_states(server,
			     &(struct db_answer){.result = STORE_OK, .documents = &(struct batch){0}});
}

static struct db_client *spawn(struct server *server, const char *name, struct duty *duty, char *const argv[])
{
	const struct db_client_events events = {store_lost, trouble, other_writes, server};
	struct db_client *client;
	int r;

	r = duty_spawn(name, argv, -1, duty);
	if (r < 0) {
		log_error(SERVER_TOKEN, r, "cannot start the process for '%s'", name);
		return NULL;
	}
	client = db_client_new(server->loop.ev, duty->socket, &events);
	if (!client)
		log_error(SERVER_TOKEN, -ENOMEM, "cannot talk to the process for '%s'", name);
	duty->socket = -1; /* now owned by the client */
	return client;
}

static int open_server(struct server *server, char *const argv[])
{
	const struct input_events events = {
		server_get_machine,
		server_worked,
		input_ended,
		server,
	};
	struct recaps_setup recaps = {
		.loop = server->loop.ev,
		.timeout_ms = server->config->recap_timeout_ms,
		.interval_s = server->config->formula.interval_ms / 1000,
		.machines = &server->machines,
		.away = &server->away,
	};

	server->output = spawn(server, "store", &server->store_duty, argv);
	if (!server->output)
		return -EIO;
	server->reports = server->output;
	if (!server_config_one_store(server->config))
		server->reports = spawn(server, "input", &server->input_duty, argv);
	if (!server->reports)
		return -EIO;
	server->input = input_new(server->loop.ev, server->reports, server->output, server->config, &events);
	recaps.client = server->output;
	server->recaps = recaps_new(&recaps);
	if (!server->input || !server->recaps)
		return log_error(SERVER_TOKEN, -ENOMEM, "cannot start");
	return server->config->address && !server->config->once ? server->face->start(server) : 0;
}

/*
 * Everything is open: from here on the loop, which parses untrusted input, needs no privileges. Without
 * --user the store's process stays root because the file and its folder may be root's; the loop becomes user
 * nobody, and keeps the right to end its children.
 */
static int give_up_rights(const struct server_config *config)
{
	/* Paths that libraries look up. No terminals, so no /dev. */
	static const char *const readable[] = {"/etc", "/usr", "/lib", "/proc", NULL};
	struct reason why = {""};
	uid_t uid;
	gid_t gid;
	int r;

	if (!config->user && geteuid() == 0 && config->sandbox != SANDBOX_OFF) {
		if (sandbox_shares_user(NULL))
			log_notice(SERVER_TOKEN, 0, SANDBOX_SHARED_USER);
		if (!sandbox_service_user(NULL, &uid, &gid))
			reason_set(&why, 0, "there is neither a user 'wattribute' nor 'nobody'");
		else
			(void)sandbox_drop(uid, gid, SANDBOX_CAPABILITY(CAP_KILL), &why);
		if (why.text[0])
			log_warning(SERVER_TOKEN, 0, "the loop keeps running as root: %s", why.text);
	}
	r = sandbox_restrict(
		&(struct sandbox_limits){
			.mode = (enum sandbox_mode)config->sandbox,
			.profile = SANDBOX_SERVER,
			.reach = SANDBOX_READS_BELOW,
			.places = readable,
			.missing = log_each_notice,
			.data = SERVER_TOKEN,
		},
		&why);
	if (r < 0)
		log_error(SERVER_TOKEN, 0, "%s", why.text);
	return r;
}

static void start_timer(struct server *server, ev_timer *timer,
			void (*due)(struct ev_loop *loop, ev_timer *timer, int events), double seconds)
{
	ev_timer_init(timer, due, seconds, seconds);
	timer->data = server;
	if (seconds > 0)
		ev_timer_start(server->loop.ev, timer);
}

/* A tenth of the retention, so that little more than the retention is stored. */
static double house_s(const struct server_config *config)
{
	double part_s = UNIT_S_OF_MS(config->retention_ms) / 10;

	return part_s > 0 ? fmin(fmax(part_s, SERVER_HOUSE_MIN_S), SERVER_HOUSE_S) : 0;
}

/* Checks for sensors that have ended. */
static double expire_s(const struct server_config *config)
{
	return fmin(UNIT_S_OF_MS(config->expire_ms) / 4, SERVER_EXPIRE_MAX_S);
}

static void start(struct server *server)
{
	bool live = !server->config->once;

	start_timer(server, &server->save, save_due,
		    server_keeps_state(server) ? UNIT_S_OF_MS(server->config->save_ms) : 0);
	start_timer(server, &server->line, line_due, live ? UNIT_S_OF_MS(server->config->state_line_ms) : 0);
	start_timer(server, &server->housekeeping, house_due, live ? house_s(server->config) : 0);
	start_timer(server, &server->known, server_known_due, live ? SERVER_KNOWN_S : 0);
	start_timer(server, &server->expire, expire_due, live ? expire_s(server->config) : 0);
	start_timer(server, &server->watchdog, watchdog_due,
		    UNIT_S_OF_MS(server->notify.watchdog_interval_ms));
	if (db_client_lead(server->output, may_write, server) < 0)
		begin_end(server, 1);
}

static void close_server(struct server *server)
{
	struct machine *machine, *next;

	server->face->stop(server);
	recaps_free(server->recaps);
	input_free(server->input);
	if (server->reports != server->output)
		db_client_free(server->reports);
	db_client_free(server->output);
	if (server->store_duty.pid > 0)
		(void)duty_stop(&server->store_duty, SERVER_STOP_DUTY_MS);
	if (server->input_duty.pid > 0)
		(void)duty_stop(&server->input_duty, SERVER_STOP_DUTY_MS);
	HASH_ITER(hh, server->machines, machine, next)
	{
		HASH_DELETE(hh, server->machines, machine);
		machine_free(machine);
	}
	batch_done(&server->states);
	batch_done(&server->buffer);
	batch_done(&server->spare);
	notify_done(&server->notify);
	loop_done(&server->loop);
}

int server_run(const struct server_config *config, const struct server_face *face, char *const argv[])
{
	struct server server = {
		.config = config,
		.face = face,
		.store_duty.socket = -1,
		.input_duty.socket = -1,
		.started_ms = clock_realtime_ms(),
	};
	int r;

	r = loop_init(&server.loop, signalled, &server);
	if (r < 0) {
		log_error(SERVER_TOKEN, r, "cannot create the event loop");
		return 1;
	}
	(void)notify_init(&server.notify);
	r = open_server(&server, argv);
	if (r == 0)
		r = give_up_rights(config);
	if (r == 0) {
		start(&server);
		loop_run(&server.loop);
		server_log_end(&server);
		server_tell_losses(&server);
		server_once_explain(&server);
	}
	close_server(&server);
	return r < 0 ? 1 : server.exit_status;
}
