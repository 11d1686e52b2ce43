/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that both daemons share, the check of names that become keys of documents, and the identity of a
 * document. Pure. Called by the encoders and by whoever reads configuration.
 */
#include "report.h"
#include "report_bson.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>

const char *const report_scope_names[REPORT_SCOPES] = {
	[REPORT_SCOPE_CPU] = "cpu",
	[REPORT_SCOPE_DRAM] = "dram",
};

const char *const report_lost_names[REPORT_LOST_CAUSES] = {
	[REPORT_LOST_READ] = "read", [REPORT_LOST_OPEN] = "open",   [REPORT_LOST_BUDGET] = "budget",
	[REPORT_LOST_LATE] = "late", [REPORT_LOST_SPOOL] = "spool",
};

int report_check_key(const char *name, char *why, size_t why_size)
{
	size_t length = strlen(name);
	const char *problem = NULL;

	if (length == 0)
		problem = "is empty";
	else if (length > REPORT_KEY_MAX)
		problem = "is longer than 127 bytes";
	else if (name[0] == '$')
		problem = "begins with '$', which databases refuse in a key; leave the '$' out";
	else if (strchr(name, '.'))
		problem = "has a '.', which databases refuse in a key; write ':' instead (libpfm takes both)";
	else if (!bson_utf8_validate(name, length, false))
		problem = "is not UTF-8";
	for (size_t i = 0; !problem && i < length; i++)
		if (iscntrl((unsigned char)name[i]))
			problem = "has a control character";
	if (!problem)
		return 0;
	(void)snprintf(why, why_size, "name '%s' %s", name, problem);
	return -EINVAL;
}

/* FNV-1a, 64 bits; each part begins with its place, so that ("a", NULL) and (NULL, "a") differ. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Spreads the last bytes over the whole word (the finalizer of MurmurHash3). */
static uint64_t hash_mix(uint64_t hash)
{
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ (hash >> 33);
}

void report_make_id(int64_t time_ms, const char *sensor, const char *target, const char *scope,
		    const char *socket, uint8_t ret_id[REPORT_ID_BYTES])
{
	const char *const parts[] = {sensor, target, scope, socket};
	uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), &time_ms, sizeof(time_ms));
	uint32_t second = (uint32_t)(time_ms / 1000);

	for (uint8_t i = 0; i < 4; i++) {
		if (!parts[i])
			continue;
		hash = hash_bytes(hash, &i, 1);
		hash = hash_bytes(hash, parts[i], strlen(parts[i]));
	}
	hash = hash_mix(hash);
	for (unsigned i = 0; i < 4; i++)
		ret_id[i] = (uint8_t)(second >> (24 - 8 * i));
	for (unsigned i = 0; i < 8; i++)
		ret_id[4 + i] = (uint8_t)(hash >> (56 - 8 * i));
}
