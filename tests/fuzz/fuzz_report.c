/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted documents: the decoders, the stores' check of a document, and the output as JSON accept any
 * bytes without harm.
 */
#include "document/report_bson.h"
#include "document/bson_json.h"
#include "store/store_document.h"
#include "base/reason.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_END ((size_t)1 << 24) /* no document is longer */

static void use_text(const char *text)
{
	if (text && strlen(text) >= TEXT_END)
		abort();
}

static void check_decoded(const struct report_decoded *decoded, const struct report_names *names)
{
	use_text(decoded->sensor);
	use_text(decoded->target);
	use_text(decoded->container_id);
	use_text(decoded->energy_source);
	use_text(decoded->activity_source);
	for (unsigned i = 0; i < decoded->n_values; i++)
		if (!report_names_event(names, decoded->values[i].event) ||
		    !report_names_group(names, decoded->values[i].group))
			abort();
}

/* A document whose names are known now is decoded as before. */
static void decode_again(const uint8_t *data, size_t size, struct report_names *names,
			 struct report_decoded *decoded)
{
	unsigned n_values = decoded->n_values;
	struct reason why;

	if (report_bson_decode(data, size, names, decoded, &why) < 0 || decoded->n_values != n_values)
		abort();
	check_decoded(decoded, names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct report_power power;
	struct store_document document;
	struct batch text = {0};
	struct batch parsed = {0};
	struct reason why;

	if (!names)
		return 0;
	use_text(report_bson_sensor(data, size));
	if (report_bson_decode(data, size, names, &decoded, &why) == 0) {
		check_decoded(&decoded, names);
		decode_again(data, size, names, &decoded);
	}
	if (report_bson_decode_power(data, size, &power, &why) == 0) {
		use_text(power.sensor);
		use_text(power.target);
		use_text(power.socket);
		use_text(power.formula);
	}
	if (store_document_read(data, size, &document))
		use_text(document.target);
	if (bson_json_append(&text, BSON_JSON_LINES, data, size) == 0)
		(void)bson_json_parse((const char *)text.data, text.length - 1, &parsed);
	(void)bson_json_parse((const char *)data, size, &parsed);
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&text);
	batch_done(&parsed);
	return 0;
}
