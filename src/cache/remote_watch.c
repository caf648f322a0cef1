/* A remote that does not answer: how long calls wait, and who is told. */
#include "remote_priv.h"

#include "util/vec.h"

#define HASHED_A_SECOND (1u << 20) /* bytes, by the slowest */
#define PATIENCE_MAX    (60 * CLOCK_SEC)

int64_t remote_send_patience(uint64_t size)
{
	uint64_t seconds = size / HASHED_A_SECOND;

	if (seconds > (uint64_t)((PATIENCE_MAX - REMOTE_WRITE_PATIENCE) / CLOCK_SEC))
		return PATIENCE_MAX;
	return REMOTE_WRITE_PATIENCE + (int64_t)seconds * CLOCK_SEC;
}

int remote_begin(struct remote *r, int64_t patience, struct health_call *call,
                 struct cairn_err *err)
{
	if (health_begin(r->health, r->http, r->name, patience, call, err) < 0)
		return cairn_wrap(err, "cache %s", r->name);
	return 0;
}

int remote_end(struct remote *r, struct health_call *call, int rc, struct cairn_err *err)
{
	return health_end(call, rc, err) < 0 ? cairn_wrap(err, "cache %s", r->name) : 0;
}

/* A server, and how it is. */
struct watched {
	char *server; /* owned */
	struct health *health;
};

struct remote_watch {
	VEC(struct watched) list;
};

struct remote_watch *remote_watch_new(void)
{
	return xcalloc(1, sizeof(struct remote_watch));
}

void remote_watch_free(struct remote_watch *w)
{
	if (!w)
		return;
	vec_foreach (s, &w->list) {
		free(s->server);
		health_unref(s->health);
	}
	vec_free(&w->list);
	free(w);
}

/* What they depend on: a registry, else the place itself. Owned. */
static char *server_of(const struct remote *r)
{
	const char *repository = remote_repository(r);

	return repository ? str_dup(str_n(repository, strcspn(repository, "/")))
	                  : xasprintf("%s %s", r->name, r->server ? r->server : "");
}

static struct health *health_of(struct remote_watch *w, const struct remote *r)
{
	cleanup_free char *server = server_of(r);

	vec_foreach (s, &w->list)
		if (strcmp(s->server, server) == 0)
			return s->health;
	vec_push(&w->list,
	         (struct watched){ steal_ptr(&server), health_new(&(struct health_opts){ 0 }) });
	return vec_last(&w->list)->health;
}

void remote_watch(struct remote_watch *w, struct remote *const *list, size_t n,
                  void (*warn)(void *ctx, str text), void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		list[i]->health = health_ref(health_of(w, list[i]));
		health_listen(list[i]->health, warn, ctx);
	}
}

bool remote_told(const struct remote *r, const struct cairn_err *err)
{
	return err->code == CAIRN_E_TRANSIENT && health_told(r->health);
}

bool remote_ready(const struct remote *r)
{
	return health_ready(r->health);
}

void remote_retry(struct remote *r)
{
	health_retry(r->health);
}

int remote_visit(struct remote *r, int (*visit)(void *ctx, struct cairn_err *err), void *ctx,
                 struct cairn_err *err)
{
	struct health_call call;

	TRY(health_begin(r->health, r->http, r->name, PATIENCE_MAX, &call, err));
	return health_end(&call, visit(ctx, err), err);
}
