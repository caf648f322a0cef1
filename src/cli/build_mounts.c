#include "build_mounts.h"

#include "build_cache.h"
#include "build_priv.h"
#include "ctx.h"
#include "interrupt.h"
#include "util/num.h"
#include "workspace/workspace.h"

static int parse_word(str word, struct build_mounts *m, struct cairn_err *err)
{
	static const char *const modes[] = { [BUILD_MOUNTS_AUTO] = "auto",
		                             [BUILD_MOUNTS_OFF] = "off",
		                             [BUILD_MOUNTS_RO] = "ro",
		                             NULL };
	char hint[STR_HINT_MAX];

	for (size_t i = 0; modes[i]; i++)
		if (str_is(word, modes[i])) {
			m->mode = (enum build_mounts_mode)i;
			m->has_mode = true;
			return 0;
		}
	if (str_starts(word, S("max=")))
		return num_bytes(str_skip(word, 4), &m->max, err);
	if (str_starts(word, S("ttl=")))
		return num_duration(str_skip(word, 4), &m->ttl, err);
	return cairn_fail(err, CAIRN_E_USAGE,
	                  "'%.*s': expected auto, off, ro, max=SIZE or ttl=TIME%s", STR(word),
	                  str_did_you_mean(word, modes, hint));
}

int build_mounts_parse(const char *text, struct build_mounts *ret, struct cairn_err *err)
{
	struct build_mounts m = { .mode = BUILD_MOUNTS_AUTO };
	str rest = str_of(text), word;

	while (text && str_next(&rest, ',', &word))
		if (parse_word(word, &m, err) < 0) {
			err->code = CAIRN_E_USAGE;
			return cairn_wrap(err, "--cache-mounts");
		}
	*ret = m;
	return 0;
}

/* What the option leaves open, cairn.yaml says. */
static void add_configured(const struct build_run *r, struct build_mounts *m)
{
	const struct workspace_cache_mounts *c = &r->ctx->config->cache_mounts;

	if (!m->has_mode && !c->enabled)
		m->mode = BUILD_MOUNTS_OFF;
	m->max = m->max ? m->max : c->max_size;
	m->ttl = m->ttl ? m->ttl : c->ttl;
}

int build_mounts_open(struct build_run *r, struct cairn_err *err)
{
	struct mount_cache_opts o = { .store = r->store,
		                      .pool = r->pool,
		                      .observer = &r->observer,
		                      .platform = r->gopts.platform };
	struct build_mounts m;
	struct remote **to;

	TRY(build_mounts_parse(r->o->cache_mounts, &m, err));
	add_configured(r, &m);
	if (!r->caches || m.mode == BUILD_MOUNTS_OFF || store_read_only(r->store))
		return 0;
	o.from = r->caches->remotes;
	o.n_from = r->caches->n;
	to = arena_array(r->a, struct remote *, r->caches->n_targets + 1);
	for (size_t i = 0; i < r->caches->n_targets && m.mode == BUILD_MOUNTS_AUTO; i++)
		to[o.n_to++] = r->caches->targets[i].remote;
	o.to = to;
	o.max_bytes = m.max;
	o.ttl_ns = m.ttl < INT64_MAX ? (int64_t)m.ttl : INT64_MAX;
	if (!o.n_from && !o.n_to)
		return 0;
	r->mounts = mount_cache_new(&o);
	r->eopts.mounts = r->mounts;
	return 0;
}

void build_mounts_finish(struct build_run *r, int result)
{
	struct mount_cache_wait wait = { .cancel_fd = r->cancel_fd,
		                         .tick = r->oopts.tick,
		                         .tick_ctx = r->oopts.tick_ctx };
	enum interrupt_cause cause = interrupt_cause(r->interrupt);

	if (!r->mounts)
		return;
	if (result ==
	    CAIRN_E_CANCELLED) { /* as with steps: a machine that goes has some time left */
		if (cause == INTERRUPT_NONE || cause == INTERRUPT_USER)
			return;
		wait.cancel_fd = -1;
		wait.deadline = interrupt_deadline(r->interrupt);
	}
	mount_cache_finish(r->mounts, &wait);
}
