/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One hash for strings and bytes (FNV-1a), in two widths: document identities use the wide one, marks in
 * names and the model's keys the narrow one, so neither may change. Hash tables use uthash, except in the
 * join.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Adds bytes to a hash that began with HASH_START. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
	for (const uint8_t *at = bytes; length > 0; length--, at++)
		hash = (hash ^ *at) * UINT64_C(0x100000001b3);
	return hash;
}

/* The same for a string, without its NUL. */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* `variant`: 0, or another number for another hash of the same string. */
static inline uint32_t hash_text32(const char *text, uint32_t variant)
{
	uint32_t hash = UINT32_C(2166136261) + variant;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT32_C(16777619);
	return hash;
}
