/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store that keeps nothing: accepts every document and finds none. For measuring everything else, and for
 * dry runs.
 */
#include "store/store_backend.h"

const struct store_backend store_backend_null = {
	.name = "null",
	.form = "null:",
	.traits = STORE_LOCAL | STORE_NOTHING,
};
