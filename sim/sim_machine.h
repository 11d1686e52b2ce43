/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of the simulated machine, shared by the files sim*.c only. Units: GHz, W, J, s; counts in events;
 * rates per second.
 */
#pragma once

#include "sim/sim.h"
#include "sim/sim_random.h"
#include "base/reason.h"

#define SIM_SOCKETS_MAX 8
#define SIM_PEAK_PART   1.2 /* limit of power: of the design power, for seconds */
#define SIM_CPUS_MAX    512
#define SIM_THREADS_MAX 64 /* of one container */
#define SIM_PHASES_MAX  6
#define SIM_WINDOWS_MAX 8
#define SIM_NAME_MAX    48

struct sim_interval {
	double low, high;
};

enum sim_character_kind { SIM_SCALAR, SIM_VECTOR, SIM_MEMORY, SIM_WEB, SIM_BATCH, SIM_IDLE, SIM_CHARACTERS };
extern const char *const sim_character_names[SIM_CHARACTERS];

/* The properties of a phase of a container; drawn from its kind's ranges. */
struct sim_character {
	double ipc;       /* alone on a core, without cache misses */
	double energy;    /* of an instruction, relative to an average one */
	double cost;      /* factor on all of a thread's core power */
	double width;     /* 0 scalar .. 2 widest vectors: frequency licence and energy */
	double packed;    /* vector instructions per instruction: the width as a counter shows it */
	double misses;    /* of the last-level cache, per instruction */
	double hidden;    /* lines moved for each counted miss: prefetch and write-back */
	double footprint; /* part of the last-level cache that it would fill */
	double overlap;   /* part of a miss's latency that is hidden by other work */
};

/* A group of similar containers, as written in the scenario. */
struct sim_group {
	char name[SIM_NAME_MAX];
	unsigned count;
	unsigned n_kinds; /* characters that it goes through */
	enum sim_character_kind kinds[SIM_PHASES_MAX];
	struct sim_interval phase_s;
	struct sim_interval threads;
	struct sim_interval load;
	struct sim_interval on_s, off_s; /* on_s.high 0: always on */
	double vary;                     /* relative spread of the load from second to second */
	double drift;                    /* relative change of energy per instruction over the run */
	int socket;                      /* preferred; -1: any */
	int memory;                      /* socket of its memory; -1: where it runs */
	struct sim_interval start_s;
	struct sim_interval life_s; /* high 0: as long as the run */
	struct sim_interval gap_s;  /* between two lives */
	struct sim_interval energy; /* factor on the energy of all its work, drawn evenly in its logarithm */
	bool rename;                /* each life has a new name */
	struct sim_interval relabel_s; /* time between two renames; high 0: none */
	bool same;          /* with `rename`: the same program under each name, with its character */
	bool twins;         /* its members do the same at the same time */
	unsigned n_windows; /* works only within these */
	struct sim_interval windows[SIM_WINDOWS_MAX];
	unsigned n_cpus; /* cpuset; 0: all */
	uint16_t *cpus;
	bool has_own_cpus; /* one list for each member, n_cpus each */
};

struct sim_scenario {
	char name[SIM_NAME_MAX];
	unsigned law;
	uint64_t ticks;
	uint64_t interval_ms;
	double step_ms, step_s;
	unsigned sockets, cores, threads;
	double power_cap_w; /* of a socket; 0: none */
	bool dram;
	bool msr;
	bool cpu_time;
	bool count[SIM_COUNTS];
	double system_load; /* of all CPUs, the machine's own work */
	double slow_factor; /* frequency of the slow cores */
	uint8_t slow_core[SIM_CPUS_MAX];
	double multiplexed; /* part of the time that counters run; 1: always */
	double noise;       /* counter noise, relative to the law's */
	/* Of a socket; high 0: the law's own. The step is a part of the idle power. */
	struct sim_interval idle_w, step_part, core_part;
	struct sim_interval turbo_ghz; /* low: all cores busy, high: one */
	double ambient_drift_k;        /* slow change of temperature over the run */
	unsigned n_groups;
	struct sim_group *groups;
};

/* Constants of the machine: by law, drawn around its means with the seed. */
struct sim_machine {
	double base_ghz, min_ghz;
	double turbo_ghz[2]; /* one core busy, all busy */
	double licence[3];   /* factor on frequency by width */
	double volt0, volt1; /* V = volt0 + volt1 * f */
	double core_w;       /* scale of a core's power */
	double clock_part;   /* relative power of a core that runs but retires nothing */
	double work_part;    /* ... per unit of work */
	double width_part;
	double smt_ipc;   /* loss of IPC beside a busy sibling */
	double smt_power; /* law 2: power of a thread beside a busy sibling, relative */
	double c1_w;      /* an idle core's, while its socket is active */
	double idle_w, leak_w, leak_per_k, thermal_k_per_w, thermal_s;
	double step_w;  /* uncore awake */
	double line_nj; /* uncore energy of a line moved */
	double dram_w, dram_step_w, dram_line_nj;
	double lines_max; /* per second and socket */
	double latency_ns, remote_latency;
	double counter_noise, machine_noise, rapl_noise[REPORT_SCOPES], skew_s, jitter_s;
	bool on_demand; /* frequency follows the load */
};

struct sim_account {
	double counts[SIM_COUNTS]; /* in this tick */
	double last[SIM_COUNTS];   /* in the last step, for the read skew */
	uint64_t read[SIM_COUNTS]; /* what the counter showed */
	double carry[SIM_COUNTS];  /* counted after this container's reading in the previous tick */
	double energy_j[REPORT_SCOPES];
	double awake; /* weight in the shared step, in this step */
};

struct sim_container {
	const struct sim_group *group;
	unsigned member;
	char name[SIM_NAME_MAX];
	char id[65];
	unsigned generation;
	uint64_t random; /* its life: phases, loads */
	uint64_t noise;  /* its counters */
	struct sim_character characters[SIM_PHASES_MAX];
	unsigned phase;
	bool alive, ending, partial, touched, active, on;
	double born_s, dies_s; /* of this life */
	double next_s, next_phase_s, next_vary_s, next_label_s;
	double load, load_base, varied;
	unsigned n_threads, n_placed;
	uint16_t cpus[SIM_THREADS_MAX];
	int home;                 /* preferred socket of its threads */
	double error[SIM_COUNTS]; /* correlated counter error */
	double skew_s;
	double running;
	struct sim_account *accounts; /* [sockets] */
};

struct sim_cpu {
	double load;   /* requested in this step */
	double placed; /* load of the threads that live here */
	double width;
	double share; /* granted / requested */
	double busy;
	double beside; /* busy part of the sibling */
	double ghz;
	double volt2;
	double tick_busy_cycles, tick_busy_s;
};

struct sim_socket {
	double cap;       /* factor of the power limit on frequency */
	double average_w; /* over about a second */
	double kelvin;    /* above ambient */
	double pressure;  /* on the last-level cache, in the previous step */
	double next_pressure;
	double lines, next_lines; /* moved per second */
	double active_cores;
	double awake;     /* part of the step in which any core was awake */
	double awake_sum; /* of the containers' weights */
	double core_j;    /* of the step */
	double dram_j;
	double step_static_j[REPORT_SCOPES];
	double energy_j[REPORT_SCOPES]; /* of the whole run */
	double static_j[REPORT_SCOPES]; /* of the tick */
	double power_w[REPORT_SCOPES];  /* of the last step */
	double noise_j[REPORT_SCOPES];  /* error of the reading, summed */
	double noise[REPORT_SCOPES];
	uint32_t raw[REPORT_SCOPES];  /* the 32-bit register at the last reading */
	uint64_t read[REPORT_SCOPES]; /* delta of the last tick, 2^-32 J */
	double counts[SIM_COUNTS];    /* machine-wide, of the tick */
	double error[SIM_COUNTS];
};

struct sim {
	struct sim_shape shape;
	struct sim_scenario scenario;
	struct sim_machine machine;
	uint64_t seed;
	unsigned law;
	bool step_is_static;
	uint64_t ticks, seq, interval_ms;
	uint64_t random;
	double now_s;      /* since the start */
	double interval_s; /* of the last tick */
	uint64_t now_ns;
	unsigned n_cpus;
	struct sim_cpu cpus[SIM_CPUS_MAX];
	struct sim_socket sockets[SIM_SOCKETS_MAX];
	unsigned n_containers;
	struct sim_container *containers;
	struct sim_account *accounts;
	unsigned n_active; /* containers with threads in this step */
	uint32_t *active;
	double *due_s; /* time of each container's next change; a separate array, because it is scanned in
			  every step */
	uint64_t renames;
};

static inline double sim_draw(uint64_t *state, struct sim_interval interval)
{
	return sim_random_range(state, interval.low, interval.high);
}

/* sim_scenario.c */
int sim_scenario_read(struct sim_scenario *scenario, const char *path, struct reason *why);
void sim_scenario_done(struct sim_scenario *scenario);
/* sim_character.c */
void sim_character_draw(struct sim_character *character, enum sim_character_kind kind, uint64_t *random);
void sim_machine_draw(struct sim_machine *machine, const struct sim_scenario *scenario, unsigned law,
		      uint64_t seed);
/* sim_life.c: when containers start, work, pause, change and end */
void sim_life_start(struct sim *sim, struct sim_container *container);
void sim_life_step(struct sim *sim);
/* sim_place.c: where threads run */
void sim_place_threads(struct sim *sim, struct sim_container *container);
void sim_unplace_threads(struct sim *sim, struct sim_container *container);
void sim_place_migrate(struct sim *sim, struct sim_container *container);
/* sim_power.c: one step of physics */
void sim_power_step(struct sim *sim, double step_s);
double sim_power_design_w(const struct sim *sim);
double sim_power_idle_latency_us(const struct sim *sim);
/* sim_read.c: what counters show at the end of a tick */
void sim_read_begin(struct sim *sim);
void sim_read_end(struct sim *sim, double step_s);
