/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks without energy: for how long each socket and scope had none, and the effect on the next tick that has
 * energy. Called by tick_make.c once for each tick, in order.
 */
#include "tick/tick_bridge.h"

#include <math.h>
#include <string.h>

static unsigned find_socket(struct tick_bridge *bridge, unsigned package)
{
	unsigned at = 0;

	while (at < bridge->n && bridge->sockets[at].package != package)
		at++;
	if (at == bridge->n && at < TICK_SOCKETS_MAX) {
		memset(&bridge->sockets[at], 0, sizeof(bridge->sockets[at]));
		bridge->sockets[at].package = package;
		bridge->n++;
	}
	return at;
}

static void forget(struct tick_bridge *bridge)
{
	for (unsigned i = 0; i < bridge->n; i++)
		memset(bridge->sockets[i].owed_s, 0, sizeof(bridge->sockets[i].owed_s));
}

/* A socket that is missing in a tick was not measured: its time stays owed until take_socket(). */
static void owe_all(struct tick_bridge *bridge, double interval_s)
{
	for (unsigned i = 0; i < bridge->n; i++) {
		for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
			bridge->sockets[i].owed_s[scope] += bridge->sockets[i].had[scope] ? interval_s : 0;
	}
}

static void take_socket(struct tick_bridge *bridge, unsigned at, struct tick_socket *socket,
			double interval_s)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		double *owed_s = &bridge->sockets[at].owed_s[scope];

		if (!(socket->energy_j[scope] > 0))
			continue;
		if (bridge->sockets[at].had[scope])
			socket->bridged_s[scope] = fmax(*owed_s - interval_s, 0);
		if (socket->bridged_s[scope] > TICK_BRIDGE_MOST_S) {
			socket->energy_j[scope] = NAN;
			socket->bridged_s[scope] = 0;
		}
		*owed_s = 0;
		bridge->sockets[at].had[scope] = true;
	}
}

void tick_bridge_take(struct tick_bridge *bridge, struct tick *tick, bool has_all)
{
	bool follows = !tick->said.has_seq || !bridge->has_seq || tick->said.seq == bridge->seq + 1;

	bridge->has_seq = tick->said.has_seq;
	bridge->seq = tick->said.seq;
	for (unsigned k = 0; k < tick->n_sockets; k++)
		memset(tick->sockets[k].bridged_s, 0, sizeof(tick->sockets[k].bridged_s));
	if (!follows || !has_all || tick->reset)
		forget(bridge);
	if (!has_all || tick->reset)
		return;
	owe_all(bridge, tick->interval_s);
	for (unsigned k = 0; k < tick->n_sockets; k++) {
		unsigned at = find_socket(bridge, tick->sockets[k].package);

		if (at < TICK_SOCKETS_MAX)
			take_socket(bridge, at, &tick->sockets[k], tick->interval_s);
	}
}
