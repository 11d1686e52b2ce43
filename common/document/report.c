/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that both daemons share, the check of names that become keys of documents, and the identity of a
 * document. Pure. Called by the encoders and by whoever reads configuration.
 */
#include "document/report.h"
#include "document/report_bson.h"
#include "document/report_id.h"
#include "base/reason.h"

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

int report_check_key(const char *name, struct reason *why)
{
	size_t length = strlen(name);
	const char *problem = NULL;

	if (length == 0)
		problem = "is empty";
	else if (length > REPORT_KEY_MAX)
		problem = "is longer than 127 bytes";
	else if (name[0] == '$')
		problem = "begins with '$', which databases refuse in a key; omit the '$'";
	else if (strchr(name, '.'))
		problem =
			"has a '.', which databases refuse in a key; write ':' instead (libpfm accepts both)";
	else if (!bson_utf8_validate(name, length, false))
		problem = "is not UTF-8";
	for (size_t i = 0; !problem && i < length; i++)
		if (iscntrl((unsigned char)name[i]))
			problem = "has a control character";
	if (!problem)
		return 0;
	return reason_set(why, -EINVAL, "name '%s' %s", name, problem);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* Spreads the last bytes over the whole word (the finalizer of MurmurHash3). */
static uint64_t hash_mix(uint64_t hash)
{
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ (hash >> 33);
}

uint64_t report_id_begin(int64_t time_ms)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	uint8_t bytes[sizeof(time_ms)];

	memcpy(bytes, &time_ms, sizeof(time_ms));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = hash_byte(hash, bytes[i]);
	return hash;
}

uint64_t report_id_add(uint64_t hash, enum report_id_part part, const char *text)
{
	if (!text)
		return hash;
	hash = hash_byte(hash, (uint8_t)part);
	for (; *text; text++)
		hash = hash_byte(hash, (uint8_t)*text);
	return hash;
}

void report_id_end(uint64_t hash, int64_t time_ms, uint8_t ret_id[REPORT_ID_BYTES])
{
	uint32_t second = __builtin_bswap32((uint32_t)(time_ms / 1000));

	/* Most significant byte first, as identities sort; our machines are little-endian. */
	hash = __builtin_bswap64(hash_mix(hash));
	memcpy(ret_id, &second, sizeof(second));
	memcpy(ret_id + sizeof(second), &hash, sizeof(hash));
}

void report_make_id(int64_t time_ms, const char *sensor, const char *target, const char *scope,
		    const char *socket, uint8_t ret_id[REPORT_ID_BYTES])
{
	uint64_t hash = report_id_begin(time_ms);

	hash = report_id_add(hash, REPORT_ID_SENSOR, sensor);
	hash = report_id_add(hash, REPORT_ID_TARGET, target);
	hash = report_id_add(hash, REPORT_ID_SCOPE, scope);
	hash = report_id_add(hash, REPORT_ID_SOCKET, socket);
	report_id_end(hash, time_ms, ret_id);
}
