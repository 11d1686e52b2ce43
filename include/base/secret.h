/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A password or token among the options: where it was given, and what is seen in its place. The options are
 * loaded with it (config/), `ps` must not show it, and only some child processes may know it (process/).
 */
#pragma once

#include <stddef.h>

struct secret {
	const char *name; /* of the option */
	int argument;     /* index in argv; -1: in the environment */
	size_t offset;    /* where the value begins in that argument */
	char *text;       /* the value */
	char *hidden;     /* as long as the value, with '*' for what is secret */
	char *variable;   /* "NAME=hidden value", of the environment; NULL */
};
