/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one BSON document straight behind the end of a batch, element by element, with no memory of its own.
 * For the encoders of the tick path; what reads documents uses bson_cursor.h. Knows no field of ours.
 */
#pragma once

#include "document/batch.h"

#include <stdbool.h>

#define BSON_ENCODER_DEPTH 8

struct bson_encoder {
	struct batch *batch;
	size_t starts[BSON_ENCODER_DEPTH]; /* where each open document begins */
	unsigned depth;
	int error; /* first failure, kept to the end */
};

void bson_encoder_begin(struct bson_encoder *encoder, struct batch *batch);
/* Closes the document: 0, or the first error; then the batch is as it was before. */
int bson_encoder_end(struct bson_encoder *encoder);

/*
 * Opens and closes a nested document. In all keys '.' becomes ':' and a leading '$' becomes '_', as databases
 * that speak MongoDB's protocol refuse them.
 */
void bson_encoder_open(struct bson_encoder *encoder, const char *key);
void bson_encoder_open_number(struct bson_encoder *encoder, unsigned key);
void bson_encoder_open_array(struct bson_encoder *encoder, const char *key);
void bson_encoder_close(struct bson_encoder *encoder);

/* A value that is not finite is left out. */
void bson_encoder_double(struct bson_encoder *encoder, const char *key, double value);
void bson_encoder_i32(struct bson_encoder *encoder, const char *key, int32_t value);
void bson_encoder_i64(struct bson_encoder *encoder, const char *key, int64_t value);
void bson_encoder_bool(struct bson_encoder *encoder, const char *key, bool value);
void bson_encoder_date(struct bson_encoder *encoder, const char *key, int64_t time_ms);
/* NULL is left out; bytes that are not UTF-8 become '?'. */
void bson_encoder_string(struct bson_encoder *encoder, const char *key, const char *value);
/* "first=second", for arrays of pairs. */
void bson_encoder_pair(struct bson_encoder *encoder, const char *key, const char *first, const char *second);
void bson_encoder_object_id(struct bson_encoder *encoder, const char *key, const uint8_t id[12]);
