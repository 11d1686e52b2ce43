/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lasts from one refresh of `wattribute top` to the next: the server's last answer, the last minute, and
 * what the keys have set. Only client_top.c calls it.
 */
#pragma once

#include "top/top_view.h"

#include <stdbool.h>
#include <stdint.h>

#define TOP_FILTER_SIZE 64

struct top_session {
	/* Set by the caller. */
	const char *server, *token;
	uint64_t interval_ms;
	int64_t count; /* of refreshes; 0: no limit */
	struct top_settings settings;
	/* The session's own. */
	char *url;
	json_t *answer; /* the last one; NULL after an error */
	struct top_history *history;
	struct top_view view;
	size_t first; /* line below the fixed ones */
	bool is_typing, is_help;
	const char *opened; /* machine chosen in the overview; NULL: none */
	char filter[TOP_FILTER_SIZE];
	char opened_name[256];
};

/* 0 or -ENOMEM. */
int top_session_open(struct top_session *session);
/* Asks the server and fills the view; an error becomes its text. Negative if the server gave no answer. */
int top_session_refresh(struct top_session *session);
/* Full-screen until the user ends it. -ENOTTY: not on this terminal, which is as it was. */
int top_session_show(struct top_session *session);
void top_session_close(struct top_session *session);
/* A signal has asked for the end. */
bool top_session_is_ended(void);
