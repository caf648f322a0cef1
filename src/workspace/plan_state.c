#include "plan_state.h"

#include "util/clock.h"
#include "util/json.h"

#define KNOWN_MAX     65536u
#define KNOWN_VERSION 1

/* --- the document ----------------------------------------------------------------------- */

static void put_digest(json_t *j, const char *key, const struct digest *d)
{
	if (!digest_none(d))
		(void)json_object_set_new(j, key, json_string(digest_text(d).s));
}

static void put_text(json_t *j, const char *key, str s)
{
	if (s.len)
		(void)json_object_set_new(j, key, json_str(s));
}

void plan_known_encode(const struct plan_known *k, struct strbuf *out)
{
	cleanup_json json_t *j = json_object();
	char time[CLOCK_TEXT_MAX];

	(void)json_object_set_new(j, "version", json_integer(KNOWN_VERSION));
	put_digest(j, "config", &k->config);
	put_digest(j, "manifest", &k->manifest);
	put_text(j, "repository", k->repository);
	put_text(j, "time", str_of(clock_text(k->time, time)));
	put_text(j, "commit", k->commit);
	json_write(j, out);
}

static int get_digest(const json_t *j, const char *key, struct digest *ret, struct cairn_err *err)
{
	const char *text = NULL;

	TRY(json_get_str(j, key, &text, err));
	return text ? digest_parse(str_of(text), ret, err) : 0;
}

static int get_text(const json_t *j, const char *key, struct arena *a, str *ret,
                    struct cairn_err *err)
{
	const char *text = NULL;

	TRY(json_get_str(j, key, &text, err));
	*ret = text ? arena_str(a, str_of(text)) : S("");
	return 0;
}

static int decode(const json_t *j, struct arena *a, struct plan_known *k, struct cairn_err *err)
{
	int64_t version = 0;
	str time = S("");

	TRY(json_get_int(j, "version", 0, &version, err));
	TRY(get_digest(j, "config", &k->config, err));
	TRY(get_digest(j, "manifest", &k->manifest, err));
	TRY(get_text(j, "repository", a, &k->repository, err));
	TRY(get_text(j, "commit", a, &k->commit, err));
	TRY(get_text(j, "time", a, &time, err));
	TRY(clock_parse(time, &k->time, err));
	if (version != KNOWN_VERSION || digest_none(&k->config) || k->time <= 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "of another version, or incomplete");
	return 0;
}

int plan_known_decode(str text, struct arena *a, struct plan_known *ret, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	struct plan_known k = { .where = S("") };

	if (text.len > KNOWN_MAX || json_parse(text, "state", &j, err) < 0 || !json_is_object(j) ||
	    decode(j, a, &k, err) < 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "what is known of an image is damaged");
	*ret = k;
	return 0;
}

/* --- the store ------------------------------------------------------------------------------ */

static struct digest slot(const char *domain, const struct digest *of)
{
	struct digest_fields f;

	digest_fields_begin(&f, domain, 1);
	digest_field_digest(&f, "of", of);
	return digest_fields_end(&f);
}

struct digest plan_state_name(const struct digest *key)
{
	return slot("input-key", key);
}

static struct digest image_name(const struct digest *config)
{
	return slot("input-key.image", config);
}

static int find_here(struct store *s, const struct digest *keys, size_t n, struct arena *a,
                     struct plan_known *ret, struct cairn_err *err)
{
	struct digest *names = arena_array(a, struct digest, n);
	struct store_found *found = arena_array(a, struct store_found, n);
	struct cairn_err ignored;

	for (size_t i = 0; i < n; i++)
		names[i] = plan_state_name(&keys[i]);
	TRY(store_records_find(s, names, n, found, err));
	for (size_t i = 0; i < n; i++) {
		if (found[i].found && plan_known_decode(str_n(found[i].payload, found[i].len), a,
		                                        &ret[i], &ignored) == 0)
			ret[i].where = S("the store");
		store_found_done(&found[i]);
	}
	return 0;
}

/* Is what is known of any use: can the image be had? */
static int drop_gone(const struct plan_opts *o, struct plan_known *k, struct cairn_err *err)
{
	struct store_image image = { 0 };
	bool found = false;

	if (!k->time || (!digest_none(&k->manifest) && k->repository.len))
		return 0;
	if (o->store)
		TRY(store_image_find(o->store, &k->config, &image, &found, err));
	store_image_done(&image);
	if (!found)
		*k = (struct plan_known){ .gone = S("built before, but never pushed, and not on "
			                            "this machine") };
	else if (o->pushed)
		*k = (struct plan_known){ .gone = S("built before, but never pushed") };
	return 0;
}

static int put(struct store *s, const struct digest *key, str payload, struct cairn_err *err)
{
	struct store_record r = {
		.key = *key, .kind = STORE_RECORD_FACT, .created = clock_now(), .payload = payload
	};

	return store_record_put(s, &r, STORE_SUPERSEDE, NULL, err);
}

/* The same image: where it was pushed to before is still true. */
static void keep_pushed(const struct plan_known *old, struct plan_known *k)
{
	if (!old->time || !digest_eq(&old->config, &k->config) || !digest_none(&k->manifest))
		return;
	k->manifest = old->manifest;
	k->repository = old->repository;
}

bool plan_known_same(const struct plan_known *old, const struct plan_known *now)
{
	return old->time && digest_eq(&old->config, &now->config) &&
	       (digest_none(&now->manifest) || digest_eq(&old->manifest, &now->manifest));
}

int plan_state_put(struct store *s, const struct digest *key, const struct plan_known *k,
                   struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct digest name = plan_state_name(key), image = image_name(&k->config);
	struct plan_known old = { 0 }, now = *k;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, KNOWN_MAX);
	if (store_read_only(s))
		return 0;
	TRY(find_here(s, key, 1, a, &old, err));
	keep_pushed(&old, &now);
	plan_known_encode(&now, &text);
	TRY(strbuf_check(&text, "what is known of an image", err));
	TRY(put(s, &name, strbuf_view(&text), err));
	return put(s, &image, str_n((const char *)key->b, DIGEST_LEN), err);
}

int plan_state_input(struct store *s, const struct digest *config, struct digest *ret,
                     struct cairn_err *err)
{
	struct digest name = image_name(config);
	struct store_found f = { 0 };

	*ret = (struct digest){ 0 };
	TRY(store_records_find(s, &name, 1, &f, err));
	if (f.found && f.len == DIGEST_LEN)
		memcpy(ret->b, f.payload, DIGEST_LEN);
	store_found_done(&f);
	return 0;
}

/* --- remotes -------------------------------------------------------------------------------- */

/* What a remote answered for one key. */
struct answer {
	struct remote *remote;
	struct digest name;
	struct arena *arena; /* of the thread */
	struct plan_known known;
	struct cairn_err err;
	int result;
};

static int ask(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct answer *q = (struct answer *)ctx + i;
	cleanup_strbuf struct strbuf text;
	cleanup_free char *version = NULL;
	bool found = false;

	(void)ignored;
	strbuf_init(&text, KNOWN_MAX);
	q->result = remote_pointer_get(q->remote, &q->name, &text, &version, &found, &q->err);
	q->arena = arena_new();
	if (q->result == 0 && found)
		q->result = plan_known_decode(strbuf_view(&text), q->arena, &q->known, &q->err);
	return q->result == CAIRN_E_CANCELLED ? q->result : 0;
}

/* Takes over what was answered; *ret_warning gets the first failure. */
static void take(const struct answer *q, struct arena *a, struct plan_known *ret, str *ret_warning)
{
	if (q->result < 0 && !ret_warning->len)
		*ret_warning = str_of(arena_printf(a, "%s does not say what was built: %s",
		                                   remote_name(q->remote), q->err.msg));
	if (q->result < 0 || !q->known.time)
		return;
	*ret = q->known;
	ret->repository = arena_str(a, q->known.repository);
	ret->commit = arena_str(a, q->known.commit);
	ret->where = arena_str(a, str_of(remote_name(q->remote)));
}

struct question {
	const struct plan_opts *o;
	const struct digest *keys;
	size_t n;
	struct arena *a;
	struct plan_known *ret; /* n of them */
	str *warning;
};

/* One remote, for the keys that nobody knew so far. */
static int find_remote(const struct question *q, struct remote *remote, struct cairn_err *err)
{
	struct answer *asked = xcalloc(q->n + 1, sizeof(*asked));
	size_t *at = xcalloc(q->n + 1, sizeof(*at)), len = 0;
	int r;

	for (size_t i = 0; i < q->n; i++) {
		if (q->ret[i].time || digest_none(&q->keys[i]))
			continue;
		at[len] = i;
		asked[len++] =
			(struct answer){ .remote = remote, .name = plan_state_name(&q->keys[i]) };
	}
	r = pool_map(q->o->net ? q->o->net : q->o->pool, len, ask, asked, err);
	for (size_t k = 0; k < len; k++) {
		take(&asked[k], q->a, &q->ret[at[k]], q->warning);
		arena_free(asked[k].arena);
	}
	free(asked);
	free(at);
	return r;
}

int plan_state_find(const struct plan_opts *o, const struct digest *keys, size_t n, struct arena *a,
                    struct plan_known *ret, str *ret_warning, struct cairn_err *err)
{
	const struct question q = { o, keys, n, a, ret, ret_warning };

	*ret_warning = S("");
	if (o->store)
		TRY(find_here(o->store, keys, n, a, ret, err));
	for (size_t i = 0; i < n; i++)
		TRY(drop_gone(o, &ret[i], err));
	for (size_t i = 0; i < o->n_remotes; i++) {
		TRY(find_remote(&q, o->remotes[i], err));
		for (size_t k = 0; k < n; k++)
			if (str_is(ret[k].where, remote_name(o->remotes[i])))
				TRY(drop_gone(o, &ret[k], err));
	}
	return 0;
}

int plan_state_publish(struct remote *r, const struct digest *key, const struct plan_known *k,
                       const struct plan_state_there *there, struct cairn_err *err)
{
	struct digest name = plan_state_name(key);
	cleanup_arena struct arena *a = arena_new();
	struct plan_known old = { 0 }, now = *k;
	cleanup_free char *version = NULL;
	cleanup_strbuf struct strbuf asked, text;
	struct plan_state_there is = { 0 };
	struct remote_pointer p = { 0 };
	bool lost = false;

	strbuf_init(&asked, KNOWN_MAX);
	strbuf_init(&text, KNOWN_MAX);
	if (there) {
		is = *there;
	} else {
		TRY(remote_pointer_get(r, &name, &asked, &version, &is.found, err));
		is.text = strbuf_view(&asked);
		is.version = version;
	}
	if (is.found && plan_known_decode(is.text, a, &old, err) == 0)
		keep_pushed(&old, &now);
	if (plan_known_same(&old, &now))
		return 0;
	plan_known_encode(&now, &text);
	/* Who is there beside us built from the same input: what it says is as good. */
	p = (struct remote_pointer){ .document = strbuf_view(&text),
		                     .version = is.version,
		                     .look = REMOTE_LOOK_NEVER };
	return remote_pointer_put(r, &name, &p, &lost, err);
}
