/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names shared by both daemons, the check of names that become document keys, the identity of a document,
 * names and IDs of targets. Pure. Called by the encoders and by readers of configuration.
 */
#include "document/report.h"
#include "document/report_bson.h"
#include "base/hash.h"
#include "base/reason.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>

#define ID_DIGITS    64
#define SHORT_DIGITS 12
#define MARK_DIGITS  6

const char *const report_scope_names[REPORT_SCOPES_ALL] = {
	[REPORT_SCOPE_CPU] = "cpu",           [REPORT_SCOPE_DRAM] = "dram", [REPORT_SCOPE_GPU] = "gpu",
	[REPORT_SCOPE_PLATFORM] = "platform", [REPORT_SCOPE_CORE] = "core", [REPORT_SCOPE_UNCORE] = "uncore",
};

const struct doubt_law *report_scope_doubt(enum report_scope scope)
{
	return scope == REPORT_SCOPE_CPU ? &doubt_of_cpu : &doubt_of_dram;
}

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

/* The position of a part is hashed, too, so that ("a", NULL) and (NULL, "a") differ. */
enum id_part { ID_SENSOR, ID_TARGET, ID_SCOPE, ID_SOCKET };

static uint64_t add_part(uint64_t hash, enum id_part part, const char *text)
{
	return text ? hash_text(hash_bytes(hash, &(uint8_t){(uint8_t)part}, 1), text) : hash;
}

/* Spreads the last bytes over the whole word (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t hash)
{
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ (hash >> 33);
}

uint64_t report_id_begin(int64_t time_ms, const char *sensor)
{
	return add_part(hash_bytes(HASH_START, &time_ms, sizeof(time_ms)), ID_SENSOR, sensor);
}

void report_id_end(uint64_t begun, int64_t time_ms, const char *target, const char *scope, const char *socket,
		   uint8_t ret_id[REPORT_ID_BYTES])
{
	uint64_t hash =
		add_part(add_part(add_part(begun, ID_TARGET, target), ID_SCOPE, scope), ID_SOCKET, socket);
	uint32_t second = __builtin_bswap32((uint32_t)(time_ms / 1000));

	/* Most significant byte first, so that identities sort; our machines are little-endian. */
	hash = __builtin_bswap64(mix(hash));
	memcpy(ret_id, &second, sizeof(second));
	memcpy(ret_id + sizeof(second), &hash, sizeof(hash));
}

void report_make_id(int64_t time_ms, const char *sensor, const char *target, const char *scope,
		    const char *socket, uint8_t ret_id[REPORT_ID_BYTES])
{
	report_id_end(report_id_begin(time_ms, sensor), time_ms, target, scope, socket, ret_id);
}

bool report_target_is_row(const char *name)
{
	return strcmp(name, REPORT_TARGET_RAPL) == 0 || strcmp(name, REPORT_TARGET_GLOBAL) == 0 ||
	       strcmp(name, REPORT_TARGET_SYSTEM) == 0 || strcmp(name, REPORT_TARGET_IDLE) == 0;
}

bool report_target_is_reserved(const char *name)
{
	return strcmp(name, REPORT_TARGET_ALL) == 0 || report_target_is_row(name);
}

/* Bytes of the text that fit into `room`, in whole characters. */
static size_t fit(const char *text, size_t room)
{
	size_t length = 0, step;

	while (text[length] && (step = text_utf8_length(text + length)) > 0 && length + step <= room)
		length += step;
	return length;
}

const char *report_target_rename(const char *name, const char *container_id, char *ret, size_t size)
{
	char mark[16] = "-container";

	if (container_id && container_id[0])
		(void)snprintf(mark, sizeof(mark), "-%.*s", MARK_DIGITS, container_id);
	if (size <= sizeof(mark))
		mark[0] = '\0';
	(void)snprintf(ret, size, "%.*s%s", (int)fit(name, size - strlen(mark) - 1), name, mark);
	return ret;
}

bool report_target_find_id(const char *name, char ret_id[REPORT_CONTAINER_ID_SIZE])
{
	const char *found = NULL;
	size_t length = strlen(name), digits;

	for (const char *at = name; *at; at += digits ? digits : 1) {
		digits = strspn(at, "0123456789abcdef");
		if (digits == ID_DIGITS || (digits == SHORT_DIGITS && digits == length))
			found = at;
	}
	if (found)
		(void)snprintf(ret_id, REPORT_CONTAINER_ID_SIZE, "%.*s", SHORT_DIGITS, found);
	return found != NULL;
}
