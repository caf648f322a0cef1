/* cairn build: other machines. Caches, what comes from them and what goes to them. */
#include "build_cache.h"
#include "build_priv.h"
#include "settings.h"

#define NET_THREADS    16 /* most of them wait */
#define TELLER_THREADS 6  /* likewise */

/* --- options ------------------------------------------------------------------------------ */

int build_remote_parse(struct build_run *r, struct cairn_err *err)
{
	const struct {
		const char *opt;
		const struct cli_list *list;
	} lists[] = { { "cache-from", &r->o->cache_from }, { "cache-to", &r->o->cache_to } };

	r->specs = arena_array(r->a, struct build_cache_spec,
	                       r->o->cache_from.len + r->o->cache_to.len + 1);
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		for (size_t i = 0; i < lists[k].list->len; i++)
			TRY(build_cache_parse(lists[k].opt, lists[k].list->ptr[i], r->a,
			                      &r->specs[r->n_specs++], err));
	return 0;
}

static const struct output *first_push(const struct build_run *r)
{
	for (size_t i = 0; i < r->oopts.n; i++)
		if (r->oopts.outputs[i].type == OUTPUT_REGISTRY)
			return &r->oopts.outputs[i];
	return NULL;
}

/* Pushes read no files. Other outputs do, and an image that gets a name here is to be used here. */
static bool wants_files(const struct build_run *r)
{
	bool pushed = false;

	for (size_t i = 0; i < r->oopts.n; i++) {
		if (r->oopts.outputs[i].type != OUTPUT_REGISTRY)
			return true;
		pushed = true;
	}
	return r->oopts.has_epoch || (r->o->tags.len && !pushed);
}

/* --- opening -------------------------------------------------------------------------------- */

static struct registry *registry(void *ctx)
{
	return registry_session_registry(ctx);
}

/* What goes into the image itself: the steps that it stands on. */
static void note_inline(struct build_run *r, const struct publish_step *step)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, RECORD_MAX);
	record_encode(step->record, &text);
	if (step->on_target_chain && !text.overflow)
		vec_push(&r->inlined,
		         (struct inline_entry){ step->key, arena_str(r->a, strbuf_view(&text)) });
}

static void step_result(void *ctx, const struct publish_step *step)
{
	struct build_run *r = ctx;

	if (r->caches->inline_cache)
		note_inline(r, step);
	if (r->publisher)
		publisher_step(r->publisher, step);
}

/* What cairn.yaml says about hosts, and before it what an output says. */
static void open_session(struct build_run *r)
{
	struct registry_session_opts o = { 0 };
	struct registry_host_settings *hosts;

	settings_session(r->ctx, true, &o);
	o.cancel = &r->net_cancel;
	o.stop_reading = &r->net_stop_reading;
	o.connections = r->connections;
	o.traffic = &r->traffic;
	o.warn = NULL; /* bases tell it */
	if (r->n_insecure) {
		hosts = arena_array(r->a, struct registry_host_settings, r->n_insecure + o.n_hosts);
		for (size_t i = 0; i < r->n_insecure; i++)
			hosts[i] = (struct registry_host_settings){ .host = r->insecure[i],
				                                    .plain_http = true };
		if (o.n_hosts)
			memcpy(hosts + r->n_insecure, o.hosts, o.n_hosts * sizeof(*hosts));
		o.hosts = hosts;
		o.n_hosts += r->n_insecure;
	}
	r->net = registry_session_new(&o);
}

static void open_supply(struct build_run *r)
{
	struct supply_opts o = { .store = r->store,
		                 .pool = r->pool,
		                 .remotes = r->caches->remotes,
		                 .n = r->caches->n,
		                 .doubts = r->doubts,
		                 .registry = registry,
		                 .registry_ctx = r->net,
		                 .cancel_fd = r->cancel_fd,
		                 .stop = &r->net_stop_reading,
		                 .warn = build_warnings_add,
		                 .warn_ctx = r->warnings };

	remote_watch(r->watch, r->caches->opened, r->caches->n_opened, build_warnings_add,
	             r->warnings);
	r->supply = supply_new(&o);
}

static void open_publisher(struct build_run *r)
{
	const struct publish_opts o = { .store = r->store,
		                        .press = r->press,
		                        .supply = r->supply,
		                        .observer = &r->observer,
		                        .targets = r->caches->targets,
		                        .n = r->caches->n_targets };

	if (!o.n || r->explain)
		return;
	if (store_read_only(r->store)) {
		build_run_warn(r, S("nothing is published: the store may not be written to"));
		return;
	}
	r->publisher = publisher_new(&o);
}

int build_remote_open(struct build_run *r, struct cairn_err *err)
{
	const struct output *push = first_push(r);
	struct layer_blob_form form = { 0 };
	struct build_caches_opts o = { .envp = r->ctx->envp, .platform = &r->gopts.platform };

	TRY(build_caches_configured(r->ctx->config, r->a, &r->specs, &r->n_specs, err));
	/* Also without caches: what the store only describes comes from where it once came from. */
	open_session(r);
	if (push) {
		form.compression = push->compression;
		form.level = push->level;
		o.form = &form;
	}
	o.specs = r->specs;
	o.n = r->n_specs;
	o.net = r->net;
	TRY(build_caches_open(&o, &r->caches, err));
	open_supply(r);
	open_publisher(r);
	if (r->publisher || r->caches->inline_cache) {
		r->eopts.step_result = step_result;
		r->eopts.step_result_ctx = r;
	}
	r->net_pool = pool_new(NET_THREADS);
	r->eopts.supply = r->supply;
	r->eopts.net = r->net_pool;
	r->eopts.want_files = wants_files(r);
	build_buildkit_open(r);
	r->oopts.supply = r->supply;
	r->oopts.published = r->publisher;
	r->oopts.registry = registry;
	r->oopts.registry_ctx = r->net;
	return 0;
}

struct pool *build_remote_teller(struct build_run *r)
{
	if (!r->teller)
		r->teller = pool_new(TELLER_THREADS);
	return r->teller;
}

/* --- a cache in the image ------------------------------------------------------------------ */

/* Entries of images that were read stay: the same image is made again on an empty machine. */
static void take_over(struct build_run *r)
{
	for (size_t i = 0; i < r->caches->n_images; i++) {
		const struct inline_entry *list = NULL;
		size_t n = 0;

		remote_inline_entries(r->caches->images[i], &list, &n);
		for (size_t k = 0; k < n; k++)
			vec_push(&r->inlined, list[k]);
	}
}

int build_remote_inline(struct build_run *r, struct engine_image *im, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, IMAGE_CONFIG_MAX);
	if (!r->caches || !r->caches->inline_cache)
		return 0;
	if (r->oopts.has_epoch) {
		build_run_warn(r, S("no cache is put into the image: its times are changed"));
		return 0;
	}
	take_over(r);
	TRY(inline_add(im->config, r->inlined.ptr, r->inlined.len, &text, err));
	im->config = arena_str(r->a, strbuf_view(&text));
	im->config_digest = digest_of(im->config.ptr, im->config.len);
	return engine_image_register(r->store, im, err);
}

/* --- the end -----------------------------------------------------------------------------------
 */

/* A machine that is about to go uploads what is finished as long as there is time; a user who
 * interrupts does not want to wait. */
static int finish_interrupted(struct build_run *r, struct publish_wait *wait, struct cairn_err *err)
{
	wait->cancel_fd = -1;
	wait->deadline = interrupt_deadline(r->interrupt);
	if (interrupt_cause(r->interrupt) == INTERRUPT_USER)
		return cairn_fail(err, CAIRN_E_CANCELLED,
		                  "stopped while finished steps were published");
	return publisher_finish(r->publisher, wait, err);
}

int build_remote_finish(struct build_run *r, unsigned n_steps, int result, struct cairn_err *err)
{
	struct publish_wait wait = { .step = n_steps + (unsigned)r->oopts.n + 1,
		                     .cancel_fd = r->cancel_fd,
		                     .tick = r->oopts.tick,
		                     .tick_ctx = r->oopts.tick_ctx };
	struct cairn_err failure;
	int got = CAIRN_E_CANCELLED;

	if (!r->publisher || r->published)
		return 0;
	r->published = true;
	if (result != CAIRN_E_CANCELLED)
		got = publisher_finish(r->publisher, &wait, &failure);
	if (got == 0 && r->teller)
		pool_wait(r->teller);
	if (got == CAIRN_E_CANCELLED)
		got = finish_interrupted(r, &wait, &failure);
	if (got == 0 || result == CAIRN_E_CANCELLED)
		return 0;
	if (result < 0) { /* the build's own failure is what counts */
		build_run_warn(r, str_of(failure.msg));
		return 0;
	}
	return cairn_fail(err, failure.code, "the image was built and is in the store, but %s",
	                  failure.msg);
}

void build_remote_free(struct build_run *r)
{
	atomic_store(&r->net_cancel, true);
	if (r->supply)
		supply_stop(r->supply);
	if (r->publisher)
		publisher_stop(r->publisher);
	outputs_free(r->outputs);
	r->outputs = NULL;
	publisher_free(r->publisher);
	vec_free(&r->inlined);
	mount_cache_free(r->mounts);
	pool_free(r->net_pool);
	pool_free(r->teller);
	supply_free(r->supply);
	build_buildkit_free(r);
	build_caches_free(r->caches);
	registry_session_free(r->net);
}
