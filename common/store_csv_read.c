/* SPDX-License-Identifier: Apache-2.0 */
#include "store_csv.h"

void csv_reader_free(struct csv_reader *reader)
{
	(void)reader;
}

enum store_result csv_read(struct store *store, const struct store_query *query, struct batch *ret_documents,
			   struct store_read *ret_read)
{
	(void)query;
	(void)ret_documents;
	(void)ret_read;
	return store_fail(store, STORE_DROP, "csv stores cannot be read yet");
}
