#include "build_report.h"

#include <sys/random.h>

#include "build_asked.h"
#include "build_cache.h"
#include "build_priv.h"
#include "table.h"
#include "util/clock.h"
#include "util/num.h"
#include "util/pool.h"

#define REASON_COLUMNS 400

/* --- in the store ------------------------------------------------------------------ */

enum slot {
	SLOT_PARTS,  /* a subject's report with parts, to compare with */
	SLOT_TARGET, /* the target's key in that report */
	SLOT_LAST,   /* of all builds; where an image came out, only its digest */
	SLOT_IMAGE,  /* of an image */
	SLOT_NAMED,  /* of a Dockerfile: the subject of its last build that had a name */
};

static struct digest slot_key(enum slot slot, const struct digest *of)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report", 1);
	digest_field_u64(&f, "slot", (uint64_t)slot);
	digest_field_digest(&f, "of", of);
	return digest_fields_end(&f);
}

static const struct digest all; /* what SLOT_LAST is of */

static struct digest subject_called(const struct build_run *r, const char *text)
{
	char platform[PLATFORM_TEXT_MAX];
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.subject", 1);
	digest_field_str(&f, "name", str_of(text));
	digest_field_str(&f, "target", r->gopts.target);
	digest_field_str(&f, "platform", str_of(platform_text(&r->gopts.platform, platform)));
	return digest_fields_end(&f);
}

/* What stays the same from build to build. */
static struct digest subject_of(const struct build_run *r)
{
	char name[REFERENCE_TEXT_MAX];
	struct cairn_err ignored;
	struct reference ref;

	if (r->o->tags.len && reference_parse(str_of(r->o->tags.ptr[0]), &ref, &ignored) == 0)
		return subject_called(r, reference_name(&ref, name));
	return subject_called(r, r->path);
}

static int put(struct store *s, const struct digest *key, str payload, struct cairn_err *err)
{
	struct store_record rec = {
		.key = *key, .kind = STORE_RECORD_FACT, .created = clock_now(), .payload = payload
	};

	return store_record_put(s, &rec, STORE_SUPERSEDE, NULL, err);
}

static int put_digest(struct store *s, enum slot slot, const struct digest *of,
                      const struct digest *d, struct cairn_err *err)
{
	struct digest key = slot_key(slot, of);

	return put(s, &key, str_n((const char *)d->b, DIGEST_LEN), err);
}

static int find_digest(struct store *s, enum slot slot, const struct digest *of, struct digest *ret,
                       bool *ret_found, struct cairn_err *err)
{
	struct digest key = slot_key(slot, of);
	struct store_found f = { 0 };

	TRY(store_records_find(s, &key, 1, &f, err));
	*ret_found = f.found && f.len == DIGEST_LEN;
	if (*ret_found)
		memcpy(ret->b, f.payload, DIGEST_LEN);
	store_found_done(&f);
	return 0;
}

static int put_report(struct store *s, enum slot slot, const struct digest *of,
                      const struct report *r, struct cairn_err *err)
{
	struct digest key = slot_key(slot, of);
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, REPORT_MAX);
	report_encode(r, &text);
	return put(s, &key, strbuf_view(&text), err);
}

static int find_report(struct store *s, enum slot slot, const struct digest *of, struct arena *a,
                       struct report **ret, struct cairn_err *err)
{
	struct digest key = slot_key(slot, of), image;
	struct report *r = arena_new_of(a, struct report);
	struct store_found f = { 0 };
	struct cairn_err ignored;

	TRY(store_records_find(s, &key, 1, &f, err));
	if (slot == SLOT_LAST && f.found && f.len == DIGEST_LEN) {
		memcpy(image.b, f.payload, DIGEST_LEN);
		store_found_done(&f);
		return find_report(s, SLOT_IMAGE, &image, a, ret, err);
	}
	if (f.found && report_decode(str_n(f.payload, f.len), a, r, &ignored) == 0)
		*ret = r;
	store_found_done(&f);
	return 0;
}

int build_report_find(struct store *s, const struct digest *image, struct arena *a,
                      struct report **ret, struct cairn_err *err)
{
	return find_report(s, image ? SLOT_IMAGE : SLOT_LAST, image ? image : &all, a, ret, err);
}

/* --- made --------------------------------------------------------------------------- */

static void describe(struct build_run *r, const struct engine_image *image, struct report *ret)
{
	char platform[PLATFORM_TEXT_MAX];

	*ret = (struct report){ .time = clock_now(),
		                .dockerfile = str_of(r->path),
		                .wall_ns = (uint64_t)(clock_monotonic() - r->started) };
	ret->platform = arena_str(r->a, str_of(platform_text(&r->gopts.platform, platform)));
	ret->names = arena_array(r->a, str, r->o->tags.len);
	for (size_t i = 0; i < r->o->tags.len; i++)
		ret->names[ret->n_names++] = str_of(r->o->tags.ptr[i]);
	if (image)
		ret->image = image->config_digest;
}

/* --- on other machines ---------------------------------------------------------------- */

static struct digest pointer_name(const struct digest *subject)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.pointer", 1);
	digest_field_digest(&f, "subject", subject);
	return digest_fields_end(&f);
}

void build_report_ask(struct build_run *r)
{
	const struct build_caches *c = r->caches;
	struct digest subject = subject_of(r), name = pointer_name(&subject);

	if (!c || !engine_work(r->build))
		return;
	for (size_t i = 0; i < c->n; i++)
		build_asked_begin(r, c->remotes[i], &name);
	for (size_t i = 0; r->publisher && i < c->n_targets; i++)
		build_asked_begin(r, c->targets[i].remote, &name);
}

/* What it said, or says now. */
static const struct asked_pointer *hear(struct build_run *r, struct remote *remote,
                                        const struct digest *subject)
{
	struct digest name = pointer_name(subject);

	build_asked_begin(r, remote, &name);
	return build_asked_get(r, remote, &name, -1);
}

/* The newest one that a cache knows: an empty machine has none of its own. */
static void find_elsewhere(struct build_run *r, const struct digest *subject, struct report **best)
{
	for (size_t i = 0; r->caches && i < r->caches->n; i++) {
		const struct asked_pointer *p = hear(r, r->caches->remotes[i], subject);
		struct report *rep = arena_new_of(r->a, struct report);
		struct cairn_err ignored;

		if (p->result < 0 || !p->found ||
		    report_decode(arena_str(r->a, strbuf_view(&p->text)), r->a, rep, &ignored) < 0)
			continue;
		if (!*best || rep->time > (*best)->time)
			*best = rep;
	}
}

/* A report on its way into a remote. */
struct telling {
	struct remote *remote;
	struct digest name;
	str text;
	const char *version;
};

/* Of two builds that end together either may be the one that others compare with. */
static int tell(void *ctx, struct cairn_err *err)
{
	const struct telling *t = ctx;
	struct remote_pointer p = { .document = t->text,
		                    .version = t->version,
		                    .look = REMOTE_LOOK_NEVER };
	cleanup_free char *version = NULL;
	cleanup_strbuf struct strbuf there;
	bool found = false, lost = false;

	strbuf_init(&there, REMOTE_POINTER_MAX);
	TRY(remote_pointer_put(t->remote, &t->name, &p, &lost, err));
	if (!lost)
		return 0;
	TRY(remote_pointer_get(t->remote, &t->name, &there, &version, &found, err));
	p.version = version;
	return remote_pointer_put(t->remote, &t->name, &p, &lost, err);
}

/* Others compare with this build now. Who fails here loses a reason, not a build. */
static void put_elsewhere(struct build_run *r, const struct digest *subject,
                          const struct report *rep)
{
	cleanup_strbuf struct strbuf text;
	str kept;

	strbuf_init(&text, REPORT_MAX);
	report_encode(rep, &text);
	kept = arena_str(r->a, strbuf_view(&text));
	for (size_t i = 0; r->caches && i < r->caches->n_targets; i++) {
		struct telling *t = arena_new_of(r->a, struct telling);
		struct remote *remote = r->caches->targets[i].remote;

		*t = (struct telling){ .remote = remote,
			               .name = pointer_name(subject),
			               .text = kept,
			               .version = hear(r, remote, subject)->version };
		pool_add(build_remote_teller(r), (struct pool_task){ .run = tell, .ctx = t });
	}
}

/* A build without a name is compared with the last one of its Dockerfile, whatever that was
 * called. */
static int find_named(struct build_run *r, struct report **best, struct cairn_err *err)
{
	struct digest file = subject_called(r, r->path), named;
	struct report *rep = NULL;
	bool found = false;

	if (r->o->tags.len)
		return 0;
	TRY(find_digest(r->store, SLOT_NAMED, &file, &named, &found, err));
	if (found)
		TRY(find_report(r->store, SLOT_PARTS, &named, r->a, &rep, err));
	if (rep && (!*best || rep->time > (*best)->time))
		*best = rep;
	return 0;
}

/* With parts, and what they say about the build before. Hits have nothing to say: nobody is asked.
 */
static int compare(struct build_run *r, const struct digest *subject, bool hits, struct report *rep,
                   struct cairn_err *err)
{
	struct report *before = NULL;

	TRY(find_report(r->store, SLOT_PARTS, subject, r->a, &before, err));
	TRY(find_named(r, &before, err));
	if (!hits && interrupt_cause(r->interrupt) == INTERRUPT_NONE)
		find_elsewhere(r, subject, &before);
	if (before)
		memcpy(rep->salt, before->salt, sizeof(rep->salt));
	else if (getrandom(rep->salt, sizeof(rep->salt), 0) != (ssize_t)sizeof(rep->salt))
		return cairn_fail_sys(err, "random bytes");
	engine_report(r->build, true, rep, r->a);
	report_explain(rep, before, r->a);
	return 0;
}

int build_report_planned(struct build_run *r, struct report *ret, struct cairn_err *err)
{
	struct digest subject = subject_of(r);

	describe(r, NULL, ret);
	return compare(r, &subject, false, ret, err);
}

static bool all_hits(const struct report *r)
{
	for (size_t i = 0; i < r->n_steps; i++)
		if (r->steps[i].result != REPORT_HIT)
			return false;
	return true;
}

/* Is what builds of the subject are compared with a build of this target's key? */
static int is_current(struct store *s, const struct digest *subject, const struct digest *target,
                      bool *ret, struct cairn_err *err)
{
	struct digest current;
	bool found = false;

	TRY(find_digest(s, SLOT_TARGET, subject, &current, &found, err));
	*ret = found && digest_eq(&current, target);
	return 0;
}

static void drop_parts(struct report *r)
{
	for (size_t i = 0; i < r->n_steps; i++)
		r->steps[i].n_parts = 0;
}

static int put_named(struct build_run *r, const struct digest *subject, struct cairn_err *err)
{
	struct digest file = subject_called(r, r->path);

	return r->o->tags.len ? put_digest(r->store, SLOT_NAMED, &file, subject, err) : 0;
}

/* Only a build that changed something is worth naming what its keys are made of. */
int build_report_keep(struct build_run *r, const struct engine_image *image, struct cairn_err *err)
{
	struct digest subject = subject_of(r), target = engine_key(r->build);
	struct report rep;
	bool current = false, hits;

	if (store_read_only(r->store))
		return 0;
	describe(r, image, &rep);
	engine_report(r->build, false, &rep, r->a);
	hits = all_hits(&rep);
	if (hits)
		TRY(is_current(r->store, &subject, &target, &current, err));
	if (!current) {
		TRY(compare(r, &subject, hits, &rep, err));
		TRY(put_report(r->store, SLOT_PARTS, &subject, &rep, err));
		TRY(put_digest(r->store, SLOT_TARGET, &subject, &target, err));
		TRY(put_named(r, &subject, err));
		if (!hits && interrupt_cause(r->interrupt) == INTERRUPT_NONE)
			put_elsewhere(r, &subject, &rep);
		drop_parts(&rep);
	}
	if (!image)
		return put_report(r->store, SLOT_LAST, &all, &rep, err);
	TRY(put_report(r->store, SLOT_IMAGE, &rep.image, &rep, err));
	return put_digest(r->store, SLOT_LAST, &all, &rep.image, err);
}

/* --- shown ---------------------------------------------------------------------------- */

static const struct {
	const char *word, *color;
} results[REPORT_RESULTS_] = {
	[REPORT_RAN] = { "ran", "\033[33m" },
	[REPORT_HIT] = { "hit", "\033[32m" },
	[REPORT_WOULD] = { "would run", "\033[33m" },
	[REPORT_FAILED] = { "failed", "\033[31m" },
};

static void print_step(const struct report_step *s, bool color, FILE *out)
{
	char ns[32], bytes[32];

	(void)fprintf(out, "%s%-9s%s  %-.*s", color ? results[s->result].color : "",
	              results[s->result].word, color ? "\033[0m" : "", (int)s->name.len,
	              s->name.ptr);
	if (s->result == REPORT_HIT && s->from.len)
		(void)fprintf(out, "  from %.*s", STR(s->from));
	if (s->cost_ns && (s->result == REPORT_HIT || s->result == REPORT_RAN))
		(void)fprintf(out, "  %s%s", s->result == REPORT_HIT ? "saved " : "",
		              num_human_ns(s->cost_ns, ns, sizeof(ns)));
	if (s->bytes)
		(void)fprintf(out, ", %s", num_human_bytes(s->bytes, bytes, sizeof(bytes)));
	(void)fputc('\n', out);
}

static void print_reasons(const struct report_step *s, FILE *out)
{
	for (size_t i = 0; i < s->n_reasons; i++) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, REASON_COLUMNS);
		report_reason_text(&s->reasons[i], &text);
		(void)fprintf(out, "             %.*s\n", (int)text.len, text.ptr);
	}
}

static void print_sum(const struct report *r, FILE *out)
{
	size_t n[REPORT_RESULTS_] = { 0 }, misses;
	uint64_t saved = 0, bytes = 0;
	char a[32], b[32];

	for (size_t i = 0; i < r->n_steps; i++) {
		const struct report_step *s = &r->steps[i];

		if (str_is(s->kind, REPORT_KIND_BASE))
			continue;
		n[s->result]++;
		if (s->result == REPORT_HIT) {
			saved += s->cost_ns;
			bytes += s->bytes;
		}
	}
	misses = n[REPORT_RAN] + n[REPORT_WOULD] + n[REPORT_FAILED];
	(void)fprintf(out, "%zu hit%s, %zu miss%s", n[REPORT_HIT], n[REPORT_HIT] == 1 ? "" : "s",
	              misses, misses == 1 ? "" : "es");
	if (saved)
		(void)fprintf(out, "; the hits saved %s of work and %s of layers",
		              num_human_ns(saved, a, sizeof(a)),
		              num_human_bytes(bytes, b, sizeof(b)));
	(void)fputc('\n', out);
}

/* Nobody who plans a build without a name can know what others called it. */
static bool lacks_name(const struct report *r)
{
	if (r->n_names)
		return false;
	for (size_t i = 0; i < r->n_steps; i++)
		if (r->steps[i].result == REPORT_WOULD && r->steps[i].n_reasons &&
		    r->steps[i].reasons[0].kind == REPORT_FIRST)
			return true;
	return false;
}

static void print_head(const struct report *r, FILE *out)
{
	char ago[32];

	(void)fprintf(out, "%.*s", STR(r->dockerfile));
	for (size_t i = 0; i < r->n_names; i++)
		(void)fprintf(out, "%s%.*s", i ? ", " : " -> ", STR(r->names[i]));
	(void)fprintf(out, " (%.*s, %s)\n", STR(r->platform), table_ago(r->time, clock_now(), ago));
}

void build_report_print(const struct report *r, bool color, FILE *out)
{
	print_head(r, out);
	for (size_t i = 0; i < r->n_steps; i++) {
		print_step(&r->steps[i], color, out);
		print_reasons(&r->steps[i], out);
	}
	print_sum(r, out);
	if (lacks_name(r))
		(void)fputs("builds are compared with those of the same name: give -t NAME as "
		            "they do\n",
		            out);
}

void build_report_json(const struct report *r, FILE *out)
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, REPORT_MAX);
	report_encode(r, &text);
	(void)fprintf(out, "%.*s\n", (int)text.len, text.ptr);
}
