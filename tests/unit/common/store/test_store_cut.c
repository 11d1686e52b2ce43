/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power failure at every write of a SQLite store: a VFS records writes, truncations and deletions; each
 * prefix of the record is replayed into separate files, which are then opened as after the failure. Writes
 * arrive in order here, as on a disk that respects barriers.
 */
#include "store_fixture.h"

#include <bson/bson.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define STEPS_MAX 4000
#define BATCHES   12
#define EACH      7

enum act { ACT_WRITE, ACT_TRUNCATE, ACT_DELETE };

struct step {
	enum act act;
	char suffix[8]; /* "", "-wal", "-journal" */
	sqlite3_int64 at;
	int length;
	void *data;
	unsigned n_batches; /* stored, as the store had confirmed by then */
};

static struct step steps[STEPS_MAX];
static unsigned n_steps, n_stored, n_syncs;
static bool recording;
static sqlite3_vfs recorder, *usual;

struct recorded_file {
	sqlite3_file base;
	char suffix[8];
	sqlite3_file *real;
};

static void note(enum act act, const char *suffix, sqlite3_int64 at, const void *data, int length)
{
	struct step *step = &steps[n_steps];

	if (!recording)
		return;
	assert_true(n_steps < STEPS_MAX);
	*step = (struct step){.act = act, .at = at, .length = length, .n_batches = n_stored};
	(void)snprintf(step->suffix, sizeof(step->suffix), "%s", suffix);
	if (data) {
		step->data = malloc((size_t)length);
		memcpy(step->data, data, (size_t)length);
	}
	n_steps++;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct recorded_file *)(void *)file)->real;
}
#define CALL(name, ...) real_of(file)->pMethods->name(real_of(file), ##__VA_ARGS__)

static int x_close(sqlite3_file *file)
{
	int code = CALL(xClose);

	free(real_of(file));
	return code;
}
static int x_read(sqlite3_file *file, void *data, int length, sqlite3_int64 at)
{
	return CALL(xRead, data, length, at);
}
static int x_write(sqlite3_file *file, const void *data, int length, sqlite3_int64 at)
{
	note(ACT_WRITE, ((struct recorded_file *)(void *)file)->suffix, at, data, length);
	return CALL(xWrite, data, length, at);
}
static int x_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	note(ACT_TRUNCATE, ((struct recorded_file *)(void *)file)->suffix, size, NULL, 0);
	return CALL(xTruncate, size);
}
static int x_sync(sqlite3_file *file, int flags)
{
	n_syncs += recording;
	return CALL(xSync, flags);
}
static int x_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return CALL(xFileSize, size);
}
static int x_lock(sqlite3_file *file, int level)
{
	return CALL(xLock, level);
}
static int x_unlock(sqlite3_file *file, int level)
{
	return CALL(xUnlock, level);
}
static int x_reserved(sqlite3_file *file, int *result)
{
	return CALL(xCheckReservedLock, result);
}
static int x_control(sqlite3_file *file, int what, void *argument)
{
	return CALL(xFileControl, what, argument);
}
static int x_sector(sqlite3_file *file)
{
	return CALL(xSectorSize);
}
static int x_device(sqlite3_file *file)
{
	return CALL(xDeviceCharacteristics);
}
static int x_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
	return CALL(xShmMap, page, size, extend, at);
}
static int x_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return CALL(xShmLock, offset, n, flags);
}
static void x_barrier(sqlite3_file *file)
{
	CALL(xShmBarrier);
}
static int x_unmap(sqlite3_file *file, int remove)
{
	return CALL(xShmUnmap, remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_reserved,
	.xFileControl = x_control,
	.xSectorSize = x_sector,
	.xDeviceCharacteristics = x_device,
	.xShmMap = x_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_barrier,
	.xShmUnmap = x_unmap,
};

static const char *suffix_of(const char *name)
{
	const char *at = name ? strstr(name, "store.db") : NULL;

	return at ? at + strlen("store.db") : "-other";
}

static int x_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct recorded_file *own = (struct recorded_file *)(void *)file;
	int code;

	(void)vfs;
	own->real = calloc(1, (size_t)usual->szOsFile);
	(void)snprintf(own->suffix, sizeof(own->suffix), "%s", suffix_of(name));
	code = usual->xOpen(usual, name, own->real, flags, ret_flags);
	own->base.pMethods = code == SQLITE_OK ? &methods : NULL;
	if (code != SQLITE_OK)
		free(own->real);
	return code;
}

static int x_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	note(ACT_DELETE, suffix_of(name), 0, NULL, 0);
	return usual->xDelete(usual, name, sync);
}

/* Replays one more step of the record on the copied files. */
static void repeat(const struct step *step, const char *folder)
{
	char path[200];
	FILE *file;

	if (strcmp(step->suffix, "-other") == 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/cut/store.db%s", folder, step->suffix);
	if (step->act == ACT_DELETE) {
		(void)unlink(path);
		return;
	}
	file = fopen(path, "r+b");
	if (!file)
		file = fopen(path, "w+b");
	assert_non_null(file);
	if (step->act == ACT_TRUNCATE) {
		assert_int_equal(ftruncate(fileno(file), step->at), 0);
	} else {
		assert_int_equal(fseek(file, (long)step->at, SEEK_SET), 0);
		assert_int_equal(fwrite(step->data, 1, (size_t)step->length, file), (size_t)step->length);
	}
	(void)fclose(file);
}

static int number_of(sqlite3 *database, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int number = -1;

	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return number;
}

/* Opens a copy of the copy, as opening changes it: only complete batches, every confirmed one, each once. */
static void look(const char *folder, unsigned n_batches)
{
	char command[400], path[200];
	sqlite3 *database;
	int n;

	(void)snprintf(command, sizeof(command), "rm -rf '%s/look'; cp -r '%s/cut' '%s/look'", folder, folder,
		       folder);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/look/store.db", folder);
	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix"),
			 SQLITE_OK);
	assert_int_equal(number_of(database, "SELECT count(*) FROM pragma_integrity_check WHERE "
					     "integrity_check <> 'ok'"),
			 0);
	n = number_of(database, "SELECT count(*) FROM documents WHERE collection = 'powern'");
	assert_int_equal(n < 0 ? 0 : n % EACH, 0);
	assert_true(n / EACH >= (int)n_batches || n_batches == 0);
	if (n > 0)
		assert_int_equal(number_of(database, "SELECT count(DISTINCT id) FROM documents WHERE "
						     "collection = 'powern'"),
				 n);
	(void)sqlite3_close(database);
}

static void add_batch(struct store *store, unsigned number)
{
	struct batch batch = {0};

	for (unsigned i = 0; i < EACH; i++) {
		bson_t *bson = BCON_NEW("_id", BCON_INT32((int32_t)(number * EACH + i)), "timestamp",
					BCON_DATE_TIME((int64_t)number * 1000), "target", BCON_UTF8("a"));

		assert_int_equal(batch_append(&batch, bson_get_data(bson), bson->len), 0);
		bson_destroy(bson);
	}
	assert_int_equal(store_append(store, "powern", &batch), STORE_OK);
	batch_done(&batch);
}

/* Returns the number of syncs while the batches were stored. */
static unsigned cut_everywhere(unsigned flags)
{
	unsigned n_waits;

	const struct store_options options = {.flags = STORE_READ | STORE_WRITE | flags};
	char folder[] = "/tmp/wattribute-cut-XXXXXX", text[200];
	struct reason why = {""};
	struct store *store;

	assert_non_null(mkdtemp(folder));
	(void)snprintf(text, sizeof(text), "%s/cut", folder);
	assert_int_equal(mkdir(text, 0700), 0);
	(void)snprintf(text, sizeof(text), "sqlite:%s/store.db", folder);
	n_steps = n_stored = 0;
	recording = true;
	assert_int_equal(store_open(text, &options, &store, &why), 0);
	n_syncs = 0;
	for (unsigned i = 0; i < BATCHES; i++) {
		add_batch(store, i);
		n_stored = i + 1;
	}
	n_waits = n_syncs;
	store_close(store); /* checkpoints its log: more writes to interrupt */
	recording = false;
	for (unsigned i = 0; i < n_steps; i++) {
		repeat(&steps[i], folder);
		look(folder, steps[i].n_batches);
		free(steps[i].data);
	}
	print_message("# %u writes, cut after each\n", n_steps);
	assert_in_range(n_steps, BATCHES, STEPS_MAX);
	(void)snprintf(text, sizeof(text), "rm -rf '%s'", folder);
	assert_int_equal(system(text), 0);
	return n_waits;
}

static void a_cut_leaves_complete_batches(void **state)
{
	(void)state;
	assert_in_range(cut_everywhere(0), 0, BATCHES - 1);
	assert_in_range(cut_everywhere(STORE_DURABLE), BATCHES, STEPS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_cut_leaves_complete_batches)};

	usual = sqlite3_vfs_find(NULL);
	recorder = *usual;
	recorder.zName = "recorder";
	recorder.szOsFile = (int)sizeof(struct recorded_file);
	recorder.xOpen = x_open;
	recorder.xDelete = x_delete;
	if (sqlite3_vfs_register(&recorder, 1) != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
