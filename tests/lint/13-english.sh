#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Phrases that read as translated, and were found before: they stay out of documents, messages, help texts and comments.
. "$(dirname "$0")/lint.inc"

# Everywhere: use the field's own word instead (processed, again, skipped, not available, malformed).
tics='work(s|ed)? off|anew|passed over|(to|can|could|not) be had|from now on|left aside|in spite of|as ever|to and fro|documents that are none'
texts="README.md CONTRIBUTING.md CHANGES.md $(find docs -name '*.md') $(find man -name '*.[1-8]') tester.sh $(find scripts dist docker -type f)"
verdict "no banned phrases in documents" "$(grep -nwE "$tics|goes on|go on|(is|are) (said|told)|remed(y|ies)|of old" $texts |
	grep -v '13-english')"
verdict "no banned phrases in code and comments" "$(grep -nwE "$tics" $(c_files) $(test_files))"

# Messages: string literals with a blank in them. The key "remedy" of --check-machine --json has none.
verdict "no banned phrases in messages" "$(grep -nE "\"[^\"]* [^\"]*\"" $(c_files) | sed 's/"remedy"//g' |
	grep -E "\"[^\"]*\<($tics|goes on|go on|is said|is told|remedy|behind it|by its id)\>[^\"]*\"")"
