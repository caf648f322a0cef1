/* route/predict.h - what a build is expected to take on a machine.
 *
 * Time is the sum of the steps that will run, times the share of it that builds of the image took
 * (stages overlap), plus what builds took beside their steps (pulling, pushing), plus the start of
 * the machine. A step's time on c processors is s + p / c: s and p come from records on machines
 * of different size, else from processor time against wall time, else from a prior.
 *
 * A step is known again by image and text: its key changes with its input, its work hardly.
 */
#ifndef CAIRN_ROUTE_PREDICT_H
#define CAIRN_ROUTE_PREDICT_H

#include "history/history.h"
#include "runners.h"
#include "workspace/workspace.h"

/* A step that will run. */
struct route_step {
	str name;       /* "[build 3/7] RUN make" */
	str kind;       /* as in history.h */
	uint64_t ns;    /* what it took some time on some machine; 0 = not known */
	uint64_t bytes; /* of its layer; 0 = not known */
};

/* An image that is to be built. */
struct route_work {
	str image;
	enum image_category category;
	str base;                 /* its base image; "" = not known */
	struct route_step *steps; /* that will run; hits left out */
	size_t n_steps;
	bool all_steps;                    /* nothing hits: what is known of whole builds holds */
	uint64_t pull, push;               /* bytes; 0 = not known */
	uint64_t memory_floor, disk_floor; /* bytes that are known not to be enough; 0 = none */
	enum runner_arch arch;
	bool gpu;          /* the build needs a GPU */
	uint64_t deadline; /* ns; 0 = none */
	str runner;        /* it has to go to; "" = any */
	/* Other images of the batch that are built before it, by index. */
	const size_t *after;
	size_t n_after;
};

struct prediction {
	uint64_t run_ns;  /* of the build */
	uint64_t longest; /* its longest step, ns: what an interruption costs at most */
	uint64_t memory, disk;
	size_t n_builds;  /* of the image, that it is drawn from */
	size_t n_guessed; /* steps that no record is known of */
	bool enough;      /* memory is a record, not a prior */
	char basis[96];   /* "7 builds", "7 builds, 2 steps by prior", "prior: heavy" */
};

/* What is known, prepared once for many predictions. Borrows the builds. */
struct predictor;

/* builds  with their steps, newest first; those in which nothing ran are passed over */
struct predictor *predictor_new(const struct history_build *builds, size_t n);
void predictor_free(struct predictor *p); /* NULL is fine */
DEFINE_CLEANUP(struct predictor *, predictor_free);
#define cleanup_predictor __attribute__((cleanup(predictor_free_p_)))

/* vcpu: of the machine; 0 is taken for 2. Without the start of the machine. */
void predict(const struct predictor *p, const struct route_work *w, unsigned vcpu,
             struct prediction *ret);

/* Of the i-th step of w, ns, were it alone. */
uint64_t predict_step(const struct predictor *p, const struct route_work *w, size_t i,
                      unsigned vcpu);

/* A record as work: the steps that ran, for predicting what is known already. In `a`. */
void predict_work_of(const struct history_build *b, struct arena *a, struct route_work *ret);

#endif
