/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps a cgroup path to a target: the components are read from the root down; the outermost container wins,
 * else the outermost service or scope, else the cgroup itself by its path. The table of rules defines the
 * meaning of components. Pure; called by the target table. The unit test has paths from real machines.
 */
#include "cgroup/identity.h"
#include "base/text.h"
#include "cgroup/identity_rules.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

struct word {
	const char *text;
	size_t length;
};

/* State of the walk down the path. */
struct walk {
	const char *path;
	size_t prefix_length;
	struct word word;
	struct word parent;
	bool at_root; /* the word is the first one */
	bool parent_at_root;
	bool in_kubepods;
	bool in_slurm;
	struct identity *found;
};

static bool word_is(struct word word, const char *text)
{
	return word.length == strlen(text) && memcmp(word.text, text, word.length) == 0;
}

static bool word_starts(struct word word, const char *text)
{
	size_t n = strlen(text);
	return word.length >= n && memcmp(word.text, text, n) == 0;
}

static bool word_ends(struct word word, const char *text)
{
	size_t n = strlen(text);
	return word.length >= n && memcmp(word.text + word.length - n, text, n) == 0;
}

static void copy_word(char *ret, size_t size, struct word word)
{
	size_t n = word.length < size - 1 ? word.length : size - 1;
	memcpy(ret, word.text, n);
	ret[n] = '\0';
}

static void copy_text(char *ret, size_t size, const char *text)
{
	copy_word(ret, size, (struct word){text, strlen(text)});
}

static bool parent_fits(const struct walk *walk, const char *parent)
{
	if (!parent)
		return true;
	if (strcmp(parent, "/") == 0)
		return walk->at_root;
	if (parent[0] == '/')
		return walk->parent_at_root && word_is(walk->parent, parent + 1);
	return !walk->at_root && word_is(walk->parent, parent);
}

static size_t skip_digits(struct word word, size_t at)
{
	while (at < word.length && word.text[at] >= '0' && word.text[at] <= '9')
		at++;
	return at;
}

/* "oar-u1000-j55": the numbers of user and job. A user's slice alone and a job's shells are no jobs. */
static bool is_oar_job(struct word id)
{
	static const char first[] = "oar-u", second[] = "-j";
	const size_t user = strlen(first), user_end = word_starts(id, first) ? skip_digits(id, user) : 0;
	const struct word rest = {id.text + user_end, id.length - user_end};

	return user_end > user && word_starts(rest, second) && rest.length > strlen(second) &&
	       skip_digits(rest, strlen(second)) == rest.length;
}

static bool has_only(struct word word, const char *characters)
{
	for (size_t i = 0; i < word.length; i++)
		if (!strchr(characters, word.text[i]))
			return false;
	return word.length > 0;
}

#define GUID_LENGTH 36 /* with the last group; Garden's last group is shorter */
#define HEX_DIGITS  "0123456789abcdef"

/* "6f265890-5165-7fab-6b52-": the first four groups with the dash that ends them. */
static bool starts_as_guid(struct word word)
{
	static const size_t dashes[] = {8, 13, 18, 23};
	size_t at = 0;

	if (word.length < GUID_LENGTH - 8)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(dashes); i++) {
		if (!has_only((struct word){word.text + at, dashes[i] - at}, HEX_DIGITS) ||
		    word.text[dashes[i]] != '-')
			return false;
		at = dashes[i] + 1;
	}
	return true;
}

/* Removes "-2891" or "-<UUID>" at the end: it identifies a start and is not part of the name. */
static struct word without_random(struct word word)
{
	const struct word name = {word.text, word.length - GUID_LENGTH - 1};
	size_t end = word.length;

	if (word.length > GUID_LENGTH + 1 && strchr("-.", name.text[name.length]) &&
	    starts_as_guid((struct word){name.text + name.length + 1, GUID_LENGTH}))
		return name;
	while (end > 0 && word.text[end - 1] >= '0' && word.text[end - 1] <= '9')
		end--;
	if (end > 1 && end < word.length && word.text[end - 1] == '-')
		word.length = end - 1;
	return word;
}

static bool id_fits(enum identity_rule_id form, struct word id)
{
	switch (form) {
	case ID_HEX:
		return container_file_is_id(id.text, id.length);
	case ID_NAME:
		return id.length > 0;
	case ID_NUMBER:
		return has_only(id, "0123456789");
	case ID_NUMBERS:
		return has_only(id, "0123456789.");
	case ID_JOB:
		return is_oar_job(id);
	case ID_GUID:
		return starts_as_guid(id);
	case ID_BUILD:
		return id.length == 25 && has_only(id, "0123456789abcdefghijklmnopqrstuvwxyz");
	case ID_RANDOM:
		return id.length > 0;
	case ID_NONE:
		return id.length == 0;
	}
	return false;
}

static bool rule_fits(const struct identity_rule *rule, const struct walk *walk, struct word *ret_id)
{
	if (!parent_fits(walk, rule->parent) || !word_starts(walk->word, rule->prefix))
		return false;
	struct word id = {walk->word.text + strlen(rule->prefix), walk->word.length - strlen(rule->prefix)};
	if (!word_ends(id, rule->suffix))
		return false;
	id.length -= strlen(rule->suffix);
	if (!id_fits(rule->id, id))
		return false;
	*ret_id = rule->id == ID_NONE ? walk->word : id;
	return true;
}

static const struct identity_rule *find_rule(const struct identity_rule *table, const struct walk *walk,
					     struct word *ret_id)
{
	for (; table->prefix; table++)
		if (rule_fits(table, walk, ret_id))
			return table;
	return NULL;
}

/* <slice>:<runtime>:<64 hex>; it has no row of its own because the slice may be anything. */
static bool colon_fits(const struct walk *walk, struct identity_rule *ret_rule, struct word *ret_id)
{
	struct word word = walk->word;
	if (word.length < IDENTITY_ID_HEX + 2)
		return false;
	struct word id = {word.text + word.length - IDENTITY_ID_HEX, IDENTITY_ID_HEX};
	if (id.text[-1] != ':' || !container_file_is_id(id.text, id.length))
		return false;
	struct word head = {word.text, word.length - IDENTITY_ID_HEX - 1};
	for (const struct identity_colon_rule *colon = identity_colon_rules; colon->runtime; colon++) {
		size_t n = strlen(colon->runtime);
		if (!word_ends(head, colon->runtime) || head.length == n ||
		    head.text[head.length - n - 1] != ':')
			continue;
		*ret_rule = (struct identity_rule){
			.kind = colon->kind, .id = ID_HEX, .name_space = colon->name_space};
		*ret_id = id;
		return true;
	}
	return false;
}

/* "pod<uid>" or "<...>-pod<uid with _>.slice[:...]": the uid, with its dashes restored. */
static void note_pod(struct walk *walk)
{
	struct word word = walk->word;
	const char *slice = memmem(word.text, word.length, ".slice", 6);
	if (slice)
		word.length = (size_t)(slice - word.text);
	struct word uid = {NULL, 0};
	if (word_starts(word, "pod"))
		uid = (struct word){word.text + 3, word.length - 3};
	for (size_t i = 0; !uid.text && i + 4 < word.length; i++)
		if (memcmp(word.text + i, "-pod", 4) == 0)
			uid = (struct word){word.text + i + 4, word.length - i - 4};
	if (!uid.text || uid.length < 8 || uid.length > 40)
		return;
	copy_word(walk->found->pod_uid, sizeof(walk->found->pod_uid), uid);
	for (char *c = walk->found->pod_uid; *c; c++)
		if (*c == '_')
			*c = '-';
}

static void note_context(struct walk *walk)
{
	struct word word = walk->word;
	if (memmem(word.text, word.length, "kubepods", 8))
		walk->in_kubepods = true;
	if (word_is(word, "slurm") || (walk->at_root && word_starts(word, "slurm_")) ||
	    word_starts(word, "slurmstepd.") || word_ends(word, "_slurmstepd.scope"))
		walk->in_slurm = true;
	if (walk->in_kubepods)
		note_pod(walk);
}

/* The name of a VM in "qemu-<number>-<name>" (libvirt), else the whole. */
static struct word machine_name(struct word word, const char *driver)
{
	size_t n = strlen(driver), i = 0;
	if (word_starts(word, driver)) {
		word.text += n;
		word.length -= n;
	}
	while (i < word.length && word.text[i] >= '0' && word.text[i] <= '9')
		i++;
	if (i > 0 && i + 1 < word.length && word.text[i] == '-') {
		word.text += i + 1;
		word.length -= i + 1;
	}
	return word;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t identity_unescape(const char *text, size_t length, char *ret, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < length && n + 1 < size; i++) {
		int high, low;
		if (i + 3 < length && text[i] == '\\' && text[i + 1] == 'x' &&
		    (high = hex_digit(text[i + 2])) >= 0 && (low = hex_digit(text[i + 3])) >= 0 &&
		    high + low > 0) {
			ret[n++] = (char)(high * 16 + low);
			i += 3;
		} else {
			ret[n++] = text[i];
		}
	}
	ret[n] = '\0';
	return n;
}

/* Unit and machine names are unescaped as systemd does; other names are used as they are. */
static void set_name(struct identity *found, enum identity_rule_id form, struct word id)
{
	char plain[IDENTITY_NAME_MAX * 4];

	if (form == ID_BUILD)
		id = (struct word){"buildkit", strlen("buildkit")};
	else if (form == ID_RANDOM)
		id = without_random(id);
	struct word word = {plain, identity_unescape(id.text, id.length, plain, sizeof(plain))};
	if (found->kind == IDENTITY_LIBVIRT)
		word = machine_name(word, "qemu-");
	else if (found->kind == IDENTITY_LXC &&
		 (word_starts(word, "lxc-") || memchr(id.text, '\\', id.length)))
		word = machine_name(word, "lxc-");
	(void)text_escape(word.text, word.length, found->name, sizeof(found->name));
}

/* The word is the target's own cgroup. */
static void take(struct walk *walk, const struct identity_rule *rule, struct word id)
{
	struct identity *found = walk->found;
	found->kind = rule->kind;
	if (rule->id == ID_HEX && rule->kind == IDENTITY_DOCKER && found->pod_uid[0] &&
	    !word_starts(walk->word, "docker-") && !memchr(walk->word.text, ':', walk->word.length))
		found->kind = IDENTITY_KUBEPODS;
	found->root_length = (size_t)(walk->word.text + walk->word.length - walk->path);
	if (rule->name_space)
		copy_text(found->name_space, sizeof(found->name_space), rule->name_space);
	copy_word(found->id, sizeof(found->id), id);
	if (rule->id == ID_HEX) {
		copy_word(found->short_id, sizeof(found->short_id), id);
		copy_text(found->name, sizeof(found->name), found->short_id);
	} else {
		set_name(found, rule->id, id);
	}
}

/* A container, VM or job at this word? False: continue with the next. */
static bool match_container(struct walk *walk)
{
	static const struct identity_rule job = {NULL, "job_", "", ID_NUMBER, IDENTITY_SLURM, NULL};
	struct word id;
	struct identity_rule colon;
	const struct identity_rule *rule = NULL;
	if (walk->in_slurm && rule_fits(&job, walk, &id)) {
		rule = &job;
		id = walk->word; /* job_123 */
	} else if (colon_fits(walk, &colon, &id)) {
		rule = &colon;
	} else {
		rule = find_rule(identity_container_rules, walk, &id);
	}
	if (!rule)
		return false;
	if (rule->kind == IDENTITY_SLICE) {
		copy_word(walk->found->pod_uid, sizeof(walk->found->pod_uid), id);
		return false;
	}
	take(walk, rule, id);
	return true;
}

/* Pods and their classes are folders, whatever driver made them. */
static bool is_folder(const struct walk *walk)
{
	struct word word = walk->word;
	if (walk->in_slurm && !word_ends(word, ".service"))
		return true;
	return walk->in_kubepods &&
	       (word_is(word, "besteffort") || word_is(word, "burstable") || word_is(word, "guaranteed") ||
		word_starts(word, "pod") || word_ends(word, "kubepods"));
}

/* The kind of the unit at this word; IDENTITY_OTHER: it is not a unit. Services and scopes are targets. */
static enum identity_kind match_unit(struct walk *walk)
{
	struct word id;

	if (is_folder(walk))
		return IDENTITY_SLICE;
	if (word_is(walk->parent, "libpod_parent") &&
	    container_file_is_id(walk->word.text, walk->word.length))
		return IDENTITY_SLICE;
	const struct identity_rule *rule = find_rule(identity_unit_rules, walk, &id);
	if (!rule)
		return IDENTITY_OTHER;
	if (rule->kind != IDENTITY_SLICE && walk->found->root_length == 0)
		take(walk, &(struct identity_rule){.id = rule->id, .kind = rule->kind},
		     rule->id == ID_RANDOM ? id : walk->word);
	return rule->kind;
}

/* No container on the path: the first unit on it, or the cgroup itself. */
static void conclude(struct walk *walk, enum identity_kind last)
{
	struct identity *found = walk->found;
	if (found->root_length > 0)
		return;
	found->kind = last;
	if (last != IDENTITY_OTHER)
		return;
	found->role = IDENTITY_ROLE_LEAF;
	found->root_length = strlen(walk->path);
	copy_text(found->id, sizeof(found->id), walk->path);
	const char *below = walk->path + walk->prefix_length;
	(void)text_escape(below, strlen(below), found->name, sizeof(found->name));
}

static void settle_role(struct identity *found, size_t path_length)
{
	if (found->kind == IDENTITY_MONITOR) {
		found->role = IDENTITY_ROLE_NONE;
		found->root_length = 0;
	} else if (found->root_length > 0 && found->role == IDENTITY_ROLE_NONE) {
		found->role = found->root_length < path_length ? IDENTITY_ROLE_NESTED : IDENTITY_ROLE_TARGET;
	}
}

/* Next component after `at`; length 0 at the end. */
static struct word next_word(const char *at)
{
	while (*at == '/')
		at++;
	return (struct word){at, strcspn(at, "/")};
}

static int check_path(const char *path, size_t prefix_length)
{
	size_t length = strnlen(path, 4097);
	if (path[0] != '/' || length > 4096 || prefix_length > length)
		return -1;
	if (prefix_length > 0 && path[prefix_length] != '/' && path[prefix_length] != '\0')
		return -1;
	if (length > 1 && path[length - 1] == '/')
		return -1;
	for (const char *at = path; *at; at++) {
		if (at[0] != '/')
			continue;
		struct word word = {at + 1, strcspn(at + 1, "/")};
		if (word_is(word, ".") || word_is(word, "..") || (word.length == 0 && length > 1))
			return -1;
	}
	return 0;
}

int identity_parse(const char *path, size_t prefix_length, struct identity *ret_identity)
{
	struct identity *found = ret_identity;
	memset(found, 0, sizeof(*found));
	found->kind = IDENTITY_SLICE;
	if (check_path(path, prefix_length) < 0)
		return -EINVAL;
	struct walk walk = {.path = path, .prefix_length = prefix_length, .found = found, .at_root = true};
	enum identity_kind last = IDENTITY_SLICE;
	for (struct word word = next_word(path + prefix_length); word.length > 0;
	     word = next_word(word.text + word.length)) {
		walk.word = word;
		note_context(&walk);
		if (match_container(&walk))
			break;
		last = match_unit(&walk);
		walk.parent_at_root = walk.at_root;
		walk.at_root = false;
		walk.parent = word;
	}
	conclude(&walk, last);
	settle_role(found, strlen(path));
	return 0;
}
