/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of collections: sensor<machine>, target<machine>, power<machine>, recap<machine>, and `state` for
 * all machines.
 */
#pragma once

#include <stdbool.h>

enum collection_kind {
	COLLECTION_REPORTS, /* of counts */
	COLLECTION_TARGETS, /* constant properties of targets */
	COLLECTION_POWER,   /* power reports */
	COLLECTION_RECAPS,
	COLLECTION_STATE, /* positions, models and waiting recaps of all machines; its machine is "" */
	COLLECTION_KINDS
};

/* Prefix of the _id of a machine's calibration in the collection `state`; the machine's name follows. */
#define CALIBRATION_ID      "calibration:"
#define CALIBRATION_VERSION 1 /* of its layout */

/* Prefix of the names of this kind; for COLLECTION_STATE: its name. */
const char *collection_prefix(enum collection_kind kind);
/* The machine's collection. A new string; NULL if out of memory. */
char *collection_name(enum collection_kind kind, const char *machine);
/* The same into a buffer, which is returned. */
#define COLLECTION_SIZE 300
const char *collection_compose(enum collection_kind kind, const char *machine, char ret[COLLECTION_SIZE]);
/*
 * The machine that the collection belongs to; NULL: it is of another kind. Collections of reports named prep,
 * report or report_0, as in the examples of hwpc-sensor, belong to a machine of that name.
 */
const char *collection_machine(enum collection_kind kind, const char *collection);
/* Is it of any of these kinds? */
bool collection_is_ours(const char *collection);
