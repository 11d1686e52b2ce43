/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside formula `pooled`: the state that its files share. The maths is in docs/energy-model.md.
 * Rates are in 1e9 per second, so costs are in nJ per count. A row is a target of the tick, the last row is
 * `system`.
 */
#pragma once

#include "formula/formula.h"
#include "base/reason.h"

#define POOLED_SLOTS       64 /* containers with a factor of their own, at the same time */
#define POOLED_MEMBERS     8  /* of a filter bank, at most */
#define POOLED_RATIOS      5  /* cycles/ref, then instructions, misses, vectors, efficient cycles / cycles */
#define POOLED_SYSTEM      0  /* the record of the row `system` */
#define POOLED_SYSTEM_NAME "\001system"
#define POOLED_BOOK        4096 /* containers remembered; more only while more are present */

/* State vector: the common costs, then static terms of each socket, then slots of one or two. */
enum pooled_common {
	POOLED_B0,    /* cpu: per cycle; dram: per miss */
	POOLED_B1,    /* cpu: per instruction beyond the usual; dram: per instruction */
	POOLED_B2,    /* cpu: per miss; dram: per cycle */
	POOLED_B3,    /* cpu: per vector instruction, in addition to B1 */
	POOLED_B4,    /* cpu: per cycle of an efficient core, in addition to B0: below 0 */
	POOLED_POWER, /* cpu: exponent of frequency */
	POOLED_KAPPA, /* cpu: saving per cycle while the sibling is busy */
	POOLED_COMMON
};
enum pooled_static {
	POOLED_S0, /* always */
	POOLED_S1, /* as soon as something runs */
	POOLED_SL, /* follows the slow mean of power: leakage with temperature */
	POOLED_SF, /* with frequency */
	POOLED_STATIC
};

/* Upper bound of the state's length and of its memory. */
#define POOLED_STATES (POOLED_COMMON + POOLED_STATIC * TICK_SOCKETS_MAX + 2 * POOLED_SLOTS + 10)

/* What one member of a bank assumes. */
struct pooled_assumption {
	double factor_drift; /* process noise of the factors, per active tick, relative to their prior
				variance */
	double step_threads; /* busy threads at which the activation step is at 63 % */
	bool remote;         /* has a remote slope for each slot */
	bool predicts_only;  /* follows the total closely; not used for attribution */
	double counts_noise; /* relative to each container's watts */
	double least_noise;  /* multiplier of the noise */
	double static_mean, static_sd; /* prior of S0 for a busy start, relative to the power */
};

struct pooled_member {
	struct pooled_assumption assumed;
	unsigned width;  /* states of a slot: 1, or 2 with its remote slope */
	unsigned n_used; /* part of the state that is in use, padded to a multiple of 4 */
	double log_weight;
	double noise[2];                      /* multiplier of R: idle, busy */
	double outlier[TICK_SOCKETS_MAX];     /* sign of the last miss if it was an outlier; else 0 */
	double error_w;                       /* recent mean absolute miss */
	double predicted_w[TICK_SOCKETS_MAX]; /* of the present tick */
	double *x;                            /* [size] */
	double *p;                            /* [size][size], bitwise symmetric */
};

/* Running view of a container's character in one scope. */
struct pooled_signature {
	double ipc, missing; /* log IPC less SMT, log misses per instruction: reference values */
	double ipc_spread, missing_spread;
	double last_ipc, last_pair;
	double alarm_ipc, alarm_missing;
	uint64_t tick; /* of the last look; 0: never */
	bool alarmed;
};

/* Learnt factors relative to the common cost, by member. */
struct pooled_kept {
	bool known;
	double factor[POOLED_MEMBERS], variance[POOLED_MEMBERS], remote[POOLED_MEMBERS];
};

/* How much faster than its socket a container's CPUs run. */
struct pooled_lean {
	double n, mean, variance, jitter, last;
};

/* How a container's rates move on a socket: cycles and what follows them in enum tick_feature. */
struct pooled_calm {
	double n, mean[POOLED_RATIOS], variance[POOLED_RATIOS];
};

/* How its cycles on all sockets move. */
struct pooled_vary {
	double n, mean, variance;
};

struct pooled_record {
	uint64_t name; /* hash; 0: free */
	uint32_t key;
	uint64_t seen;  /* tick of the input */
	uint32_t image; /* hash of its image; 0: unknown */
	uint64_t id;    /* hash of the container's ID; 0: unknown */
	int slot[REPORT_SCOPES];
	double ratio[POOLED_RATIOS]; /* NAN: unknown */
	struct pooled_vary vary;
	double remote; /* part of its misses that another socket's memory answers, from the dram filter */
	struct pooled_signature signature[REPORT_SCOPES];
	struct pooled_kept kept[REPORT_SCOPES];
};

/* The remembered containers, hashed by key, and by name if the key is new. */
struct pooled_book {
	struct pooled_record *records;
	struct pooled_lean *leans; /* [capacity][n_sockets] */
	struct pooled_calm *calms; /* the same */
	unsigned capacity, n_sockets;
	unsigned most; /* limit on capacity before records are taken over */
	unsigned n_used;
	uint32_t n_entries;         /* of the fuller table, stale ones too */
	uint32_t *by_key, *by_name; /* open addressing, index + 1 */
	uint32_t table_size;        /* power of two */
};

/* Physical cores of a socket if the sensor does not send them. */
struct pooled_cores {
	double ratios[300];
	unsigned n, at;
	double busy_max, ratio_min;
	double estimate;
};

/* A tick as the filters see it. */
struct pooled_input {
	unsigned n_sockets, n_rows;
	size_t capacity;
	double *rates[TICK_FEATURES]; /* [n_sockets][n_rows] */
	double *calm[TICK_FEATURES];  /* the same, to learn from: without possible noise of the counters */
	double *lean;                 /* [n_sockets][n_rows] ln of frequency relative to the socket's */
	uint8_t *present;             /* [n_sockets][n_rows] */
	double *core_w;               /* the same; measured power of its cores; NAN: unknown */
	bool has_cores;               /* any of them is known */
	unsigned *records;            /* [n_rows] */
	uint8_t *partial;             /* [n_rows] */
	unsigned rows_capacity;
	double freq[TICK_SOCKETS_MAX]; /* APERF / MPERF; NAN: unknown */
	double busy[TICK_SOCKETS_MAX]; /* busy threads */
	double pair[TICK_SOCKETS_MAX]; /* part of them that shares a core */
	double power_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double power_max_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	bool bridged[REPORT_SCOPES]
		    [TICK_SOCKETS_MAX]; /* power of more than this tick: not to be learnt from */
	bool has_instructions, has_misses, has_vector;
	double n_cores;
	bool estimated; /* the energy of the tick */
	/* From sysfs; 0: unknown, then nothing depends on them. */
	double design_w, limit_w, idle_latency_us, base_ghz;
	double fleet[POOLED_RATIOS]; /* ratios of all containers, as in a record */
	double usual_ipc, usual_n, first_freq;
	double calmness; /* 0..1: how constant all loads are */
	struct pooled_cores cores;
	uint64_t tick;
};

/* Persistence of prediction errors, by socket; pooled_predict.c. */
struct pooled_trend {
	double now_w[TICK_SOCKETS_MAX];   /* modelled, of the present tick */
	double model_w[TICK_SOCKETS_MAX]; /* of the last one */
	double miss_w[TICK_SOCKETS_MAX];  /* measured less modelled, of the last one; NAN: none */
	double least_w[TICK_SOCKETS_MAX]; /* seen so far; 0: nothing */
	double cross, square;             /* sums of products of consecutive misses, and of squares */
};

#define POOLED_COST_MOST 1e9 /* nJ per event that counts as a cycle: rare ones may cost a joule */

/* The linear fit of power (y) over cycles (x) and awake sockets (z), pooled_scale.c: recent means, variances
 * and covariances. */
struct pooled_scale {
	double n, load, awake, power, xx, xz, zz, xy, zy, yy;
	double cost; /* nJ per cycle that the filter starts with; 0: from the priors */
};

/* One scope's bank of filters, joint over the sockets. */
struct pooled_filter {
	enum report_scope scope;
	unsigned n_sockets, n_members;
	unsigned size; /* number of states with memory, a multiple of 4; grows with the slots in use */
	unsigned n_fixed;
	unsigned slot_width; /* the widest member's */
	struct pooled_member members[POOLED_MEMBERS];
	double weights[POOLED_MEMBERS]; /* sum 1 */
	double *memory;                 /* of the members and what follows */
	double *h, *ph, *scale;
	int slot_record[POOLED_SLOTS]; /* -1: free */
	uint64_t left;                 /* bit mask of the slots released in this tick */
	uint64_t slot_seen[POOLED_SLOTS];
	bool ready, with_misses, with_instructions;
	double n_cores;
	uint64_t tick;
	uint64_t n_samples, n_restarts;
	double slow_w[TICK_SOCKETS_MAX], slow_first_w[TICK_SOCKETS_MAX], last_w[TICK_SOCKETS_MAX];
	double pair_slope[2]; /* sums of d(log IPC) d(pair) and d(pair)^2 */
	double error_w[TICK_SOCKETS_MAX];
	struct pooled_trend trend;
	struct pooled_scale scale_of_cost;
	/* For targets whose cores were measured, by socket: decaying sums of measured and modelled watts. */
	double core_sum[TICK_SOCKETS_MAX], model_sum[TICK_SOCKETS_MAX];
	double spread; /* learnt spread of own factors, relative to the common cost; 0: not yet */
	double most_w[TICK_SOCKETS_MAX], most_load[TICK_SOCKETS_MAX]; /* seen so far; 0: nothing */
	/* of the present tick, by row */
	unsigned rows_capacity;
	int *slot;
	double *cost, *weight; /* W before the tick; 0..1, part of full activity */
	uint8_t *alarm;
	double *moved; /* [n_sockets][n_rows], see pooled_measure.c */
	double log_freq[TICK_SOCKETS_MAX];
	double predicted_w[TICK_SOCKETS_MAX], static_w[TICK_SOCKETS_MAX];
	double *dynamic; /* [n_sockets][n_rows] */
	double *doubt; /* the same shape; standard deviation of a row's part of its socket's dynamic power */
	double doubt_w[TICK_SOCKETS_MAX]; /* standard deviation of the socket's dynamic power */
	size_t cells_capacity;
};

struct pooled {
	/* Sockets ever seen, ascending by package; the model's order. A tick may lack some of them. */
	unsigned n_packages;
	unsigned packages[TICK_SOCKETS_MAX];
	unsigned tick_socket[TICK_SOCKETS_MAX]; /* of the present tick; TICK_SOCKETS_MAX: not in it */
	struct pooled_book book;
	struct pooled_input input;
	struct pooled_filter filters[REPORT_SCOPES];
	struct pooled *taught; /* a model that learnt from known loads, pooled_taught.c; NULL: none */
};

/* pooled_book.c. Makes room for `present` containers at the same time; a changed number of sockets discards
 * all records. 0 or -ENOMEM. */
int pooled_book_reserve(struct pooled_book *book, unsigned present, unsigned n_sockets);
/* Index of the record of (key, name): the existing one, that of the same container (`id`, "" for none) under
 * its old name, a new one, or the one unseen for longest, reused after its slots were freed. */
unsigned pooled_book_find(struct pooled *pooled, uint32_t key, const char *name, const char *id,
			  uint64_t tick);
/* Sets the image (hash; 0: unknown) that the record's container runs. If it ran another image before, what
 * was learnt no longer applies and is discarded. */
void pooled_book_know_image(struct pooled *pooled, unsigned index, uint32_t image);
/* Adds a record with this name hash, for loading; NULL when full. */
struct pooled_record *pooled_book_add(struct pooled_book *book, uint64_t name);
void pooled_book_done(struct pooled_book *book);

/* pooled_input.c: counts to rates, gaps filled, `system` and frequencies derived. 0 or -ENOMEM. */
int pooled_input_take(struct pooled *pooled, const struct tick *tick);
/* Degree to which the socket is at rest, 0..1. */
double pooled_input_rest(const struct pooled_input *input, unsigned socket);
void pooled_input_init(struct pooled_input *input);
void pooled_input_done(struct pooled_input *input);

/* pooled_calm.c: how constant the loads are, 0..1; then the rates to learn from (input->calm). `total`: of
 * each socket. */
double pooled_calm_measure(struct pooled *pooled);
void pooled_calm_take(struct pooled *pooled, double total[][TICK_FEATURES]);

/* pooled_cores.c: estimated number of physical cores of a socket; 0: not known yet. `load` is MPERF over the
 * base frequency. */
double pooled_cores_learn(struct pooled_cores *cores, unsigned stride, unsigned n_sockets, const double *busy,
			  const double *load);

/* Is it the same machine, as far as two numbers of cores (above 0) show? */
bool pooled_cores_alike(double a, double b);

/* pooled_filter.c. One tick; 0 or -ENOMEM. */
int pooled_filter_run(struct pooled *pooled, struct pooled_filter *filter);
int pooled_filter_init(struct pooled_filter *filter, enum report_scope scope, unsigned n_sockets);
void pooled_filter_done(struct pooled_filter *filter);
/* Makes room for `n_states` states; existing ones are kept. 0 or -ENOMEM. */
int pooled_filter_fit(struct pooled_filter *filter, unsigned n_states);
/* Mean of a common or static state over the bank. */
double pooled_filter_mean(const struct pooled_filter *filter, unsigned state);

/* pooled_start.c: the bank's assumptions and priors from the first measured tick. */
void pooled_start_assume(struct pooled_filter *filter);
void pooled_start(struct pooled *pooled, struct pooled_filter *filter, const double *power_w);
/* Sets the saving of a cycle on an efficient core from the cost of a cycle. */
void pooled_start_efficient(struct pooled_filter *filter);

/* pooled_taught.c: a calibration as priors. 0, -ENOMEM, or -EINVAL with a reason. */
int pooled_taught_take(struct pooled *pooled, const bson_t *document, bool estimated, struct reason *why);
/* Does the calibration apply to this scope and its present counters? */
bool pooled_taught_fits(const struct pooled *pooled, enum report_scope scope);
/* Overrides the priors of pooled_start(); false: no calibration fits. */
bool pooled_taught_start(const struct pooled *pooled, struct pooled_filter *filter);

/* pooled_scale.c: after a tick. Does the machine differ so much from the priors that the filter has to
 * restart? */
bool pooled_scale_learn(const struct pooled_input *input, struct pooled_filter *filter);

/* pooled_slots.c */
void pooled_slots_assign(struct pooled *pooled, struct pooled_filter *filter);
void pooled_slots_evict(struct pooled_filter *filter, struct pooled_book *book, unsigned slot);
void pooled_slots_clear(struct pooled_filter *filter, struct pooled_book *book);
/* Lets a slot's factor forget; the remembered part is given by member. */
void pooled_slots_decay(struct pooled_filter *filter, unsigned slot, const double *keep);
/* Scale of a factor: the common cost around which it varies. */
double pooled_slots_scale(const struct pooled_filter *filter, const struct pooled_member *member);
double pooled_slots_spread(const struct pooled_filter *filter);
/* Learns the spread of own factors on this machine from those in the slots. */
void pooled_slots_learn_spread(struct pooled_filter *filter);

/* pooled_signature.c: raises the noise or lets factors forget where a container's character changed. */
void pooled_signature_check(struct pooled *pooled, struct pooled_filter *filter);

/* pooled_measure.c */
void pooled_measure_predict(struct pooled *pooled, struct pooled_filter *filter);
void pooled_measure_update(struct pooled *pooled, struct pooled_filter *filter, unsigned socket);
/* The same update from the measured power of single targets' cores. */
void pooled_measure_cores(struct pooled *pooled, struct pooled_filter *filter, unsigned socket);

/* pooled_core.c: the cores' part of a target's dynamic watts, 0..1; 0: not known yet. */
double pooled_core_part(const struct pooled_filter *filter, unsigned socket);
/* Adjusts the result of pooled_output_fill() for targets whose cores were measured. */
void pooled_core_apply(const struct pooled_input *input, struct pooled_filter *filter);

/* pooled_predict.c: predicts the machine's power before its energy is used; learns after the tick. */
void pooled_predict(const struct pooled_input *input, struct pooled_filter *filter, unsigned socket);
void pooled_predict_learn(const struct pooled_input *input, struct pooled_filter *filter);
void pooled_predict_start(struct pooled_filter *filter);

/* pooled_output.c: dynamic and static watts from the state after the update. */
/* Weight of the CPU-time share in scope cpu's answer, 0..0.5. */
double pooled_output_lean(const struct pooled_input *input);
void pooled_output_fill(struct pooled *pooled, struct pooled_filter *filter);
double pooled_static_terms(const struct pooled_filter *filter, const struct pooled_input *input,
			   const struct pooled_member *member, unsigned socket, double terms[POOLED_STATIC]);

/* pooled_doubt.c: uncertainty of the answer. Called after pooled_output_fill(). */
void pooled_doubt_fill(struct pooled *pooled, struct pooled_filter *filter);

/* pooled_matrix.c; n a multiple of 4, rows `size` apart. */
void pooled_matrix_times(const double *p, unsigned size, unsigned n, const double *h, double *ret_ph);
void pooled_matrix_downdate(double *p, unsigned size, unsigned n, const double *w);
void pooled_matrix_scale(double *p, unsigned size, unsigned n, const double *scale);
/* Clears the rows and columns where `keep` is 0 (else all bits), but leaves the diagonal. */
void pooled_matrix_keep(double *p, unsigned size, const uint64_t *keep);

/* pooled_save.c */
int pooled_save(const struct pooled *pooled, bson_t *document);
int pooled_load(struct pooled *pooled, const bson_t *document, struct reason *why);
