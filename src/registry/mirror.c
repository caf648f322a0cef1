#include "mirror.h"

#include <pthread.h>

#include "util/vec.h"

/* Who served a repository. */
struct served {
	char *repo; /* "docker.io/library/debian" */
	size_t mirror;
};

/* What was learned about one mirror. */
struct state {
	bool told; /* the user knows that it failed */
	bool down; /* it does not answer */
};

struct mirrors {
	const struct registry_opts *opts; /* borrowed */
	pthread_mutex_t lock;             /* of what follows */
	struct state *states;             /* one a mirror */
	VEC(struct served) served;
};

struct mirrors *mirrors_new(const struct registry_opts *opts)
{
	struct mirrors *m = xcalloc(1, sizeof(*m));

	m->opts = opts;
	m->states = xcalloc(opts->n_mirrors + 1, sizeof(*m->states));
	(void)pthread_mutex_init(&m->lock, NULL);
	return m;
}

void mirrors_free(struct mirrors *m)
{
	if (!m)
		return;
	vec_foreach (s, &m->served)
		free(s->repo);
	vec_free(&m->served);
	(void)pthread_mutex_destroy(&m->lock);
	free(m->states);
	free(m);
}

/* A domain as a part of a path, where a port's colon may not stand. */
static void path_part(const char *domain, char ret[REFERENCE_NAME_MAX + 1])
{
	size_t i;

	for (i = 0; domain[i]; i++)
		ret[i] = domain[i] == ':' || domain[i] == '[' || domain[i] == ']' ? '-' : domain[i];
	ret[i] = '\0';
}

int registry_mirror_name(const struct registry_mirror *m, const struct reference *ref,
                         struct reference *ret, struct cairn_err *err)
{
	cleanup_free char *text = NULL;
	char part[REFERENCE_NAME_MAX + 1];

	path_part(ref->domain, part);
	text = m->domain ? xasprintf("%s/%s", m->location, ref->path)
	                 : xasprintf("%s/%s/%s", m->location, part, ref->path);
	TRY(reference_parse(str_of(text), ret, err));
	memcpy(ret->tag, ref->tag, sizeof(ret->tag));
	ret->digest = ref->digest;
	return 0;
}

/* Docker Hub's API has a host of its own. */
static bool is_itself(const struct reference *name, const struct reference *ref)
{
	return strcmp(name->path, ref->path) == 0 &&
	       (strcmp(name->domain, ref->domain) == 0 ||
	        (strcmp(ref->domain, REFERENCE_DOCKER_IO) == 0 &&
	         strcmp(name->domain, "registry-1.docker.io") == 0));
}

static struct served *served_by(const struct mirrors *m, const char *repo)
{
	vec_foreach (s, &m->served)
		if (strcmp(s->repo, repo) == 0)
			return s;
	return NULL;
}

struct listing {
	struct place *ptr;
	size_t len;
	bool itself; /* the registry has its place in the order */
};

static void list_mirror(struct listing *l, const struct registry_mirror *m, size_t index,
                        const struct reference *ref)
{
	struct place *p = &l->ptr[l->len];
	struct cairn_err ignored;

	if (m->domain && strcmp(m->domain, ref->domain) != 0)
		return;
	if (registry_mirror_name(m, ref, &p->ref, &ignored) < 0)
		return; /* its name would be too long */
	p->mirror = index;
	if (is_itself(&p->ref, ref)) {
		if (l->itself)
			return;
		*p = (struct place){ *ref, MIRROR_NONE };
		l->itself = true;
	}
	l->len++;
}

static void list_itself(struct listing *l, const struct reference *ref)
{
	if (!l->itself)
		l->ptr[l->len++] = (struct place){ *ref, MIRROR_NONE };
	l->itself = true;
}

/* Copies first, or the copies last. */
static void list_all(const struct mirrors *m, struct listing *l, const struct reference *ref,
                     bool copies)
{
	for (size_t i = 0; i < m->opts->n_mirrors; i++)
		if (!m->states[i].down && !m->opts->mirrors[i].domain == copies)
			list_mirror(l, &m->opts->mirrors[i], i, ref);
}

static void to_front(struct listing *l, size_t mirror)
{
	for (size_t i = 0; i < l->len; i++) {
		struct place p = l->ptr[i];

		if (p.mirror != mirror)
			continue;
		memmove(&l->ptr[1], &l->ptr[0], i * sizeof(p));
		l->ptr[0] = p;
		return;
	}
}

struct place *mirrors_places(struct mirrors *m, const struct reference *ref, bool blobs,
                             size_t *ret_n)
{
	struct listing l = { .ptr = xcalloc(m->opts->n_mirrors + 2, sizeof(*l.ptr)) };
	char repo[REFERENCE_TEXT_MAX];
	const struct served *served;

	(void)reference_name(ref, repo);
	(void)pthread_mutex_lock(&m->lock);
	if (!blobs)
		list_all(m, &l, ref, true);
	list_all(m, &l, ref, false);
	list_itself(&l, ref);
	if (blobs)
		list_all(m, &l, ref, true);
	served = served_by(m, repo);
	if (served && (blobs || !digest_none(&ref->digest))) /* a tag keeps the user's order */
		to_front(&l, served->mirror);
	(void)pthread_mutex_unlock(&m->lock);
	*ret_n = l.len;
	return l.ptr;
}

void mirrors_served(struct mirrors *m, const struct reference *ref, const struct place *p)
{
	char repo[REFERENCE_TEXT_MAX];
	struct served *known;

	if (!m->opts->n_mirrors)
		return;
	(void)reference_name(ref, repo);
	(void)pthread_mutex_lock(&m->lock);
	known = served_by(m, repo);
	if (known)
		known->mirror = p->mirror;
	else
		vec_push(&m->served, (struct served){ xstrdup(repo), p->mirror });
	(void)pthread_mutex_unlock(&m->lock);
}

bool mirrors_pass_over(struct mirrors *m, const struct place *p, bool blob,
                       const struct cairn_err *err)
{
	const struct registry_mirror *mirror;
	cleanup_free char *text = NULL;
	bool silent, tell;

	if (err->code == CAIRN_E_CANCELLED || err->code == CAIRN_E_UNSUPPORTED)
		return false;
	if (p->mirror == MIRROR_NONE)
		return true;
	mirror = &m->opts->mirrors[p->mirror];
	(void)pthread_mutex_lock(&m->lock);
	/* That a copy of one image was not made is no failure. */
	silent = err->code == CAIRN_E_NOT_FOUND && (blob || !mirror->domain);
	tell = !m->states[p->mirror].told && !silent;
	m->states[p->mirror].told |= tell;
	/* One that sent a damaged layer is not asked when the caller tries again. */
	m->states[p->mirror].down |=
		err->code == CAIRN_E_TRANSIENT || (blob && err->code == CAIRN_E_DIGEST);
	(void)pthread_mutex_unlock(&m->lock);
	if (tell && m->opts->warn) {
		text = xasprintf("mirror %s is passed over: %s", mirror->location, err->msg);
		m->opts->warn(m->opts->warn_ctx, str_of(text));
	}
	return true;
}
