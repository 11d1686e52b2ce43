/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of patterns for the components of a cgroup path, by runtime and driver. Private to identity.c; a new
 * runtime is a new row.
 */
#pragma once

#include "cgroup/identity.h"

enum identity_rule_id {
	ID_HEX,     /* exactly 64 hex digits between prefix and suffix */
	ID_NAME,    /* at least one character */
	ID_NUMBER,  /* digits only */
	ID_NUMBERS, /* digits and dots */
	ID_JOB,     /* OAR's: "oar-u1000-j55" */
	ID_GUID,    /* starts with 8-4-4-4 hex digits and a dash: Nomad's, Mesos', Garden's */
	ID_BUILD,   /* 25 of [a-z0-9]: a step of BuildKit */
	ID_RANDOM,  /* a name followed by random digits or a UUID, which are not part of it */
	ID_NONE,    /* nothing: prefix + suffix are the whole component */
};

/* First fit wins. parent: the component before ("/" for the root); NULL for any. */
struct identity_rule {
	const char *parent;
	const char *prefix;
	const char *suffix;
	enum identity_rule_id id;
	enum identity_kind kind;
	const char *name_space;
};

/* Runtimes in the colon form <slice>:<runtime>:<id>: a systemd path passed to a cgroupfs driver. */
struct identity_colon_rule {
	const char *runtime;
	enum identity_kind kind;
	const char *name_space;
};

/* Containers, VMs and jobs: the outermost match on a path is the target. All tables end with an entry of
 * NULLs. */
extern const struct identity_rule identity_container_rules[];
/* Used only if no container is found: the outermost service or scope is kept. */
extern const struct identity_rule identity_unit_rules[];
extern const struct identity_colon_rule identity_colon_rules[];
