/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of embedded files. The assembler includes them when this file is compiled, so nothing is
 * installed beside the program; in the Makefile, page.o depends on them.
 */
#include "page/page.h"

#include <string.h>

#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"
#define SVG  "image/svg+xml"

#define PAGE_FILES(X)                                                                                        \
	X(index, "index.html", "server/page/index.html", HTML)                                               \
	X(style, "style.css", "server/page/style.css", CSS)                                                  \
	X(icon, "icon.svg", "server/page/icon.svg", SVG)                                                     \
	X(app, "app.js", "server/page/app.js", JS)                                                           \
	X(api, "api.js", "server/page/api.js", JS)                                                           \
	X(format, "format.js", "server/page/format.js", JS)                                                  \
	X(statistics, "statistics.js", "server/page/statistics.js", JS)                                      \
	X(chart, "chart.js", "server/page/chart.js", JS)                                                     \
	X(table, "table.js", "server/page/table.js", JS)                                                     \
	X(machines, "machines.js", "server/page/machines.js", JS)                                            \
	X(target, "target.js", "server/page/target.js", JS)                                                  \
	X(recaps, "recaps.js", "server/page/recaps.js", JS)                                                  \
	X(uplot_js, "uPlot.js", "server/page/vendor/uPlot.esm.js", JS)                                       \
	X(uplot_css, "uPlot.css", "server/page/vendor/uPlot.min.css", CSS)                                   \
	X(uplot_licence, "uPlot-LICENSE.txt", "server/page/vendor/LICENSE", "text/plain; charset=utf-8")

#define EMBED(id, name, path, type)                                                                          \
	extern const char page_##id##_begin[] __attribute__((visibility("hidden")));                         \
	extern const char page_##id##_end[] __attribute__((visibility("hidden")));                           \
	__asm__(".pushsection .rodata\n"                                                                     \
		".globl page_" #id "_begin\n.hidden page_" #id "_begin\npage_" #id "_begin:\n"               \
		".incbin \"" path "\"\n"                                                                     \
		".globl page_" #id "_end\n.hidden page_" #id "_end\npage_" #id                               \
		"_end:\n.byte 0\n.popsection\n");
PAGE_FILES(EMBED)

#define ROW(id, name, path, type) {name, type, page_##id##_begin, page_##id##_end},
static const struct page_file files[] = {PAGE_FILES(ROW)};

const struct page_file *page_find(const char *name)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}
