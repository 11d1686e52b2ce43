/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our client's output for a server's answers: any JSON instead of a recap or the live rows. No control
 * character reaches the terminal.
 */
#include "compare/group.h"
#include "recap/recap_table.h"
#include "top/top_view.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
			abort();
}

static void use_recap(const json_t *json)
{
	struct compare_group group = {.name = "a"};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return;
	recap_table_print(out, json);
	recap_table_print_line(out, json);
	(void)fclose(out);
	check_text(text, length);
	free(text);
	(void)compare_group_add(&group, json, NULL);
	(void)compare_group_add(&group, json, "execution");
	free(group.runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	const struct top_settings settings = {.width = size % 120, .is_overview = size % 2 == 0};
	struct top_history *history = top_history_new();
	struct top_view view = {0};

	if (!json || !history) {
		json_decref(json);
		top_history_free(history);
		return 0;
	}
	use_recap(json);
	top_view_remember(history, json, 1000);
	if (top_view_fill(&view, json, &settings, history, 1000) == 0) {
		for (size_t i = 0; i < view.n_lines; i++)
			check_text(view.lines[i].text, strlen(view.lines[i].text));
	}
	top_view_done(&view);
	top_history_free(history);
	json_decref(json);
	return 0;
}
