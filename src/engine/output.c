/* Outputs: layers in the background, times of the image, one output after the other. */
#include "output.h"

#include <poll.h>
#include <stdio.h>

#include "output_push.h"
#include "util/clock.h"

#define TICK_MS 80

/* --- opening -------------------------------------------------------------------- */

/* An archive or a folder with layers in it? */
static bool is_archive(const struct output *o)
{
	return o->type == OUTPUT_OCI || o->type == OUTPUT_DOCKER;
}

static int check_destinations(const struct outputs_opts *opts, struct cairn_err *err)
{
	unsigned n_stdout = 0;

	for (size_t i = 0; i < opts->n; i++) {
		const struct output *o = &opts->outputs[i];

		if (o->type == OUTPUT_REGISTRY)
			continue;
		if (o->type == OUTPUT_LOCAL || o->folder)
			TRY(out_folder_check(o->dest, err));
		else
			TRY(out_file_check(o->dest, err));
		n_stdout += strcmp(o->dest, "-") == 0;
	}
	if (n_stdout > 1)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output: only one output can go to standard output");
	return 0;
}

static size_t form_for(struct outputs *o, const struct output *out)
{
	for (size_t i = 0; i < o->n_forms; i++)
		if (o->forms[i].compression == out->compression && o->forms[i].level == out->level)
			return i;
	o->forms[o->n_forms] = (struct layer_blob_form){ .compression = out->compression,
		                                         .level = out->level,
		                                         .tar_on_demand = true };
	return o->n_forms++;
}

int outputs_new(const struct outputs_opts *opts, struct outputs **ret, struct cairn_err *err)
{
	struct outputs *o;
	int r = 0;

	TRY(check_destinations(opts, err));
	o = xcalloc(1, sizeof(*o));
	o->opts = opts;
	o->arena = arena_new();
	o->forms = arena_array(o->arena, struct layer_blob_form, opts->n + 1);
	o->form_of = arena_array(o->arena, size_t, opts->n + 1);
	o->pushes = arena_array(o->arena, struct push *, opts->n + 1);
	o->started = clock_now();
	for (size_t i = 0; i < opts->n && r == 0; i++)
		if (is_archive(&opts->outputs[i]))
			o->form_of[i] = form_for(o, &opts->outputs[i]);
		else if (opts->outputs[i].type == OUTPUT_REGISTRY)
			r = push_new(o, &opts->outputs[i], &o->pushes[i], err);
	if (r == 0)
		*ret = o;
	else
		outputs_free(o);
	return r;
}

void outputs_begin(struct outputs *o)
{
	for (size_t i = 0; i < o->opts->n; i++)
		if (o->pushes[i])
			push_begin(o->pushes[i]);
}

/* --- layers in the background ----------------------------------------------------- */

static void start_next(struct outputs *o);

static int run_layer(void *ctx, struct cairn_err *err)
{
	return out_layer_prepare(ctx, err);
}

/* What fails while steps still run is tried again at the end: only then it matters. */
static void layer_done(void *ctx, int result, const struct cairn_err *err)
{
	struct out_layer *l = ctx;
	struct outputs *o = l->o;

	o->busy = false;
	l->state = result < 0 ? OUT_IDLE : OUT_READY;
	if (result < 0 && o->finishing && o->result == 0) {
		o->result = result;
		o->err = *err;
	}
	if (o->result == 0)
		start_next(o);
}

static void start_next(struct outputs *o)
{
	struct out_layer *l;

	if (o->busy || o->next == o->queue.len)
		return;
	l = o->queue.ptr[o->next++];
	o->busy = true;
	o->total = 0;
	atomic_store(&o->at, 0);
	(void)snprintf(o->what, sizeof(o->what), "%s %.19s", o->n_forms ? "compressing" : "reading",
	               digest_text(&l->src.ids[l->src.n - 1]).s);
	pool_add(o->opts->pool, (struct pool_task){ run_layer, layer_done, l });
}

static struct out_layer *new_layer(struct outputs *o, const struct chain *c, size_t i)
{
	struct out_layer *l = arena_new_of(o->arena, struct out_layer);
	struct digest *ids = arena_array(o->arena, struct digest, i + 1);

	for (size_t k = 0; k <= i; k++)
		ids[k] = c->layers[k].diff_id;
	l->o = o;
	l->base = digest_none(&c->layers[i].step);
	l->src = (struct layer_blob_source){ .store = o->opts->store,
		                             .pool = o->opts->pool,
		                             .press = o->opts->press,
		                             .ids = ids,
		                             .n = i + 1,
		                             .clamp = o->opts->has_epoch && !l->base,
		                             .epoch = o->opts->epoch,
		                             .stop = &o->stop,
		                             .at = &o->at };
	l->blobs = arena_array(o->arena, struct layer_blob, o->n_forms);
	return l;
}

/* Must layers be read at all before the end? */
static bool needs_layers(const struct outputs *o)
{
	return o->n_forms || o->opts->has_epoch;
}

void outputs_chain(void *ctx, const struct chain *chain)
{
	struct outputs *o = ctx;

	for (size_t i = 0; i < o->opts->n; i++)
		if (o->pushes[i])
			push_chain(o->pushes[i], chain);
	for (size_t i = 0; i < chain->n; i++) {
		const struct digest *id = &chain->layers[i].diff_id;
		str key = str_n((const char *)id->b, DIGEST_LEN);
		struct out_layer *l = map_get(&o->layers, key);

		if (!l) {
			l = new_layer(o, chain, i);
			map_put(&o->layers, key, l);
		}
		if (l->state != OUT_IDLE || !needs_layers(o))
			continue;
		if (l->base && !o->n_forms) {
			l->src.diff_id = *id;
			l->state = OUT_READY;
			continue;
		}
		l->state = OUT_QUEUED;
		vec_push(&o->queue, l);
	}
	start_next(o);
}

/* --- waiting ---------------------------------------------------------------------- */

static void emit(struct outputs *o, const struct build_event *ev)
{
	struct build_event e = *ev;

	e.time_ns = clock_monotonic();
	o->opts->observer->event(o->opts->observer->ctx, &e);
}

/* Until nothing of ours is in the pool; step is the one that shows how it goes. */
static void wait_idle(struct outputs *o, unsigned step)
{
	bool slow = false; /* worth telling */
	uint64_t at = 0;

	while (o->busy) {
		struct pollfd fds[2] = { { .fd = pool_fd(o->opts->pool), .events = POLLIN },
			                 { .fd = o->opts->cancel_fd, .events = POLLIN } };

		if (atomic_load(&o->stop))
			fds[1].fd = -1;
		slow = poll(fds, 2, TICK_MS) == 0 || slow;
		if (fds[1].revents)
			atomic_store(&o->stop, true);
		pool_collect(o->opts->pool);
		if (o->pushing)
			push_progress(o->pushing, &at, &o->total);
		else
			at = atomic_load(&o->at);
		if (o->busy && slow && o->opts->n)
			emit(o, &(struct build_event){ .kind = EVENT_PROGRESS,
			                               .step = step,
			                               .text = str_of(o->what),
			                               .current = at,
			                               .total = o->total });
		if (o->opts->tick)
			o->opts->tick(o->opts->tick_ctx, clock_monotonic());
	}
}

static int take_result(struct outputs *o, struct cairn_err *err)
{
	if (o->result < 0)
		*err = o->err;
	return o->result;
}

/* --- times ------------------------------------------------------------------------- */

static struct out_layer *layer_at(const struct outputs *o, const struct chain *c, size_t i)
{
	return map_get(&o->layers, str_n((const char *)c->layers[i].diff_id.b, DIGEST_LEN));
}

static void set_times(const struct outputs *o, struct image_config *c, size_t n_base)
{
	const struct image_time epoch = { true, o->opts->epoch };

	c->created = epoch;
	for (size_t i = 0; i < c->n_history; i++)
		if (i >= n_base || !c->history[i].created.set ||
		    c->history[i].created.ns > epoch.ns)
			c->history[i].created = epoch;
}

/* The image with the times of SOURCE_DATE_EPOCH; its layers are ready. */
static int clamp_image(struct outputs *o, struct engine_image *im, struct cairn_err *err)
{
	struct image_config *config = arena_new_of(o->arena, struct image_config);
	struct chain *c = arena_new_of(o->arena, struct chain);
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	TRY(image_config_parse(o->arena, im->config, config, err));
	*c = *im->chain;
	c->layers = arena_array(o->arena, struct chain_layer, c->n);
	for (size_t i = 0; i < c->n; i++) {
		c->layers[i] = im->chain->layers[i];
		c->layers[i].diff_id = layer_at(o, im->chain, i)->src.diff_id;
		if (i < config->n_diff_ids)
			config->diff_ids[i] = c->layers[i].diff_id;
	}
	set_times(o, config, im->n_base_history);
	image_config_encode(config, &bytes);
	TRY(strbuf_check(&bytes, "image config", err));
	im->config = arena_str(o->arena, strbuf_view(&bytes));
	im->config_digest = digest_of(im->config.ptr, im->config.len);
	im->created = o->opts->epoch;
	im->chain = c;
	return engine_image_register(o->opts->store, im, err);
}

/* --- one output ---------------------------------------------------------------------- */

static int run_job(void *ctx, struct cairn_err *err)
{
	struct out_job *j = ctx;

	if (j->output->type == OUTPUT_REGISTRY)
		return push_write(j->o->pushes[j->number], j, err);
	return is_archive(j->output) ? out_image_write(j, err) : out_root_write(j, err);
}

static void job_done(void *ctx, int result, const struct cairn_err *err)
{
	struct out_job *j = ctx;

	j->o->busy = false;
	j->o->result = result;
	if (result < 0)
		j->o->err = *err;
}

static const char *step_name(struct outputs *o, const struct output *out)
{
	static const char *const names[OUTPUT_N_] = {
		[OUTPUT_OCI] = "oci image",
		[OUTPUT_DOCKER] = "docker image",
		[OUTPUT_TAR] = "tar",
		[OUTPUT_LOCAL] = "folder",
	};
	char text[REFERENCE_TEXT_MAX];
	struct cairn_err ignored;
	struct reference ref;

	if (out->type == OUTPUT_REGISTRY)
		return arena_printf(o->arena, "pushing %s",
		                    reference_parse(str_of(out->names[0]), &ref, &ignored) == 0
		                            ? reference_familiar(&ref, text)
		                            : out->names[0]);
	return arena_printf(o->arena, "exporting to %s: %s", names[out->type],
	                    strcmp(out->dest, "-") == 0 ? "standard output" : out->dest);
}

/* The manifest of an image in this form, known to the store from now on. */
static int record_manifest(struct out_job *j, struct cairn_err *err)
{
	struct store *s = j->o->opts->store;
	char variant[LAYER_BLOB_VARIANT_MAX];
	struct digest canonical;
	str bytes = { 0 };

	TRY(out_image_manifest(j, &bytes, err));
	if (store_read_only(s))
		return 0;
	TRY(store_blob_put(s, bytes, NULL, err));
	return store_manifest_put(s, &j->image->config_digest,
	                          str_of(layer_blob_variant(&j->o->forms[j->form], variant)),
	                          &j->manifest.digest, &canonical, err);
}

static uint64_t bytes_to_write(const struct out_job *j)
{
	uint64_t n = 0;

	for (size_t i = 0; i < j->image->chain->n && j->output->type != OUTPUT_REGISTRY; i++)
		n += is_archive(j->output) ? j->layers[i]->blobs[j->form].size
		                           : j->image->chain->layers[i].size;
	return n;
}

static int write_output(struct outputs *o, const struct engine_image *im, struct out_layer **layers,
                        size_t i, struct outputs_result *ret, struct cairn_err *err)
{
	struct out_job j = { .o = o,
		             .output = &o->opts->outputs[i],
		             .number = i,
		             .form = o->form_of[i],
		             .image = im,
		             .layers = layers,
		             .arena = o->arena };
	unsigned step = im->n_steps + 1 + (unsigned)i;

	if (is_archive(j.output))
		TRY(record_manifest(&j, err));
	o->busy = true;
	o->total = bytes_to_write(&j);
	atomic_store(&o->at, 0);
	o->pushing = o->pushes[i];
	(void)snprintf(o->what, sizeof(o->what), o->pushing ? "uploading" : "writing");
	pool_add(o->opts->pool, (struct pool_task){ run_job, job_done, &j });
	wait_idle(o, step);
	o->pushing = NULL;
	TRY(take_result(o, err));
	if (j.warning)
		emit(o, &(struct build_event){
				.kind = EVENT_WARNING, .step = step, .text = str_of(j.warning) });
	if (j.manifest.size && !ret->has_manifest) {
		ret->has_manifest = true;
		ret->manifest = j.manifest;
	}
	return 0;
}

/* --- all of it ------------------------------------------------------------------------ */

struct shown {
	struct outputs *o;
	unsigned first; /* step of the first output */
	int64_t started;
};

static void emit_output(const struct shown *s, size_t i, enum event_kind kind,
                        const struct cairn_err *err)
{
	const struct outputs_opts *opts = s->o->opts;
	struct build_event ev = { .kind = kind,
		                  .step = s->first + (unsigned)i,
		                  .extra = true,
		                  .exit_code = -1,
		                  .err = err };

	if (i >= opts->n)
		return;
	ev.name = str_of(step_name(s->o, &opts->outputs[i]));
	if (kind != EVENT_PLAN && kind != EVENT_START)
		ev.cost.wall_ns = (uint64_t)(clock_monotonic() - s->started);
	emit(s->o, &ev);
}

static int prepare_image(struct outputs *o, struct engine_image *im, struct out_layer ***ret,
                         struct cairn_err *err)
{
	struct out_layer **layers = arena_array(o->arena, struct out_layer *, im->chain->n + 1);

	outputs_chain(o, im->chain);
	wait_idle(o, im->n_steps + 1);
	TRY(take_result(o, err));
	for (size_t i = 0; i < im->chain->n; i++)
		layers[i] = layer_at(o, im->chain, i);
	*ret = layers;
	return o->opts->has_epoch ? clamp_image(o, im, err) : 0;
}

int outputs_finish(struct outputs *o, struct engine_image *image, struct outputs_result *ret,
                   struct cairn_err *err)
{
	struct shown shown = { o, image->n_steps + 1, clock_monotonic() };
	struct outputs_result result = { 0 };
	struct out_layer **layers = NULL;
	size_t i = 0;
	int r;

	o->finishing = true;
	for (size_t k = 0; k < o->opts->n; k++)
		emit_output(&shown, k, EVENT_PLAN, NULL);
	emit_output(&shown, 0, EVENT_START, NULL);
	r = prepare_image(o, image, &layers, err);
	for (; r == 0 && i < o->opts->n; i++) {
		if (i) {
			shown.started = clock_monotonic();
			emit_output(&shown, i, EVENT_START, NULL);
		}
		r = write_output(o, image, layers, i, &result, err);
		if (r < 0)
			break;
		emit_output(&shown, i, EVENT_DONE, NULL);
	}
	if (r < 0) {
		emit_output(&shown, i,
		            err->code == CAIRN_E_CANCELLED ? EVENT_CANCELED : EVENT_FAILED, err);
		return r;
	}
	*ret = result;
	return 0;
}

bool outputs_demoted(const struct outputs *o)
{
	return atomic_load(&o->demoted);
}

void outputs_free(struct outputs *o)
{
	if (!o)
		return;
	atomic_store(&o->stop, true);
	for (size_t i = 0; i < o->opts->n; i++)
		push_free(o->pushes[i]);
	o->result = CAIRN_E_CANCELLED; /* start nothing more */
	while (o->busy) {
		struct pollfd fd = { .fd = pool_fd(o->opts->pool), .events = POLLIN };

		(void)poll(&fd, 1, TICK_MS);
		pool_collect(o->opts->pool);
	}
	map_done(&o->layers);
	vec_free(&o->queue);
	arena_free(o->arena);
	free(o);
}
