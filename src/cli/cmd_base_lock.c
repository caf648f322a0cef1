/* cairn base lock, cairn base update. */
#include <time.h>

#include "base_images.h"
#include "commands.h"
#include "table.h"
#include "util/num.h"

struct lock_opts {
	const char *config;
	bool check, json, prune;
};

/* A tag that is to be looked at, and what came of it. */
struct pin {
	struct base_asked asked;
	struct digest old; /* none: not pinned yet */
	bool changed;
	struct base_facts before, after;
};

struct pins {
	struct pin *ptr;
	size_t len;
	size_t changed, failed;
};

/* --- which ------------------------------------------------------------------------- */

static bool named(const struct cli_call *call, const struct reference *ref)
{
	for (int i = 0; i < call->argc; i++)
		if (base_wanted(call->argv[i], ref))
			return true;
	return call->argc == 0;
}

/* Each word has to mean something. */
static int check_words(const struct cli_call *call, const struct base_images *b,
                       struct cairn_err *err)
{
	for (int i = 0; i < call->argc; i++) {
		struct reference ref;
		bool found = false;

		TRY(transfer_reference(call->argv[i], &ref, err));
		vec_foreach (use, &b->scan->images)
			found |= digest_none(&use->ref.digest) &&
			         base_wanted(call->argv[i], &use->ref);
		if (!found)
			return cairn_fail(err, CAIRN_E_NOT_FOUND,
			                  "no Dockerfile names a tag of '%s'; 'cairn base list' "
			                  "shows those that are named",
			                  call->argv[i]);
	}
	return 0;
}

/* renew: also tags that are pinned. */
static void list_pins(const struct cli_call *call, const struct base_images *b, bool renew,
                      struct arena *a, struct pins *ret)
{
	ret->ptr = arena_array(a, struct pin, b->scan->images.len + 1);
	vec_foreach (use, &b->scan->images) {
		const struct digest *old = base_lock_find(b->lock, &use->ref);
		struct pin *p = &ret->ptr[ret->len];

		if (!digest_none(&use->ref.digest) || (old && !renew) || !named(call, &use->ref))
			continue;
		p->asked = (struct base_asked){ .ref = use->ref, .name = use->name };
		if (old)
			p->old = *old;
		ret->len++;
	}
}

/* --- asking ---------------------------------------------------------------------------- */

struct details {
	struct registry *registry;
	struct pins *pins;
};

static int ask_details(void *ctx, struct cairn_err *err)
{
	struct details *d = ctx;

	(void)err;
	for (size_t i = 0; i < d->pins->len; i++) {
		struct pin *p = &d->pins->ptr[i];

		if (!p->changed || digest_none(&p->old))
			continue;
		base_facts(d->registry, &p->asked.ref, &p->old, &p->before);
		base_facts(d->registry, &p->asked.ref, &p->asked.digest, &p->after);
	}
	return 0;
}

static int ask(const struct base_images *b, struct transfer *t, struct arena *a, struct pins *pins,
               struct cairn_err *err)
{
	struct base_asked *asked = arena_array(a, struct base_asked, pins->len + 1);
	struct details d = { transfer_registry(t), pins };
	struct transfer_work work = { .run = ask_details, .ctx = &d };

	for (size_t i = 0; i < pins->len; i++)
		asked[i] = pins->ptr[i].asked;
	TRY(base_ask(b, t, asked, pins->len, err));
	for (size_t i = 0; i < pins->len; i++) {
		struct pin *p = &pins->ptr[i];

		p->asked = asked[i];
		p->changed = p->asked.ok && !digest_eq(&p->asked.digest, &p->old);
		pins->changed += p->changed;
		pins->failed += !p->asked.ok;
		if (!p->asked.ok) {
			char name[REFERENCE_TEXT_MAX];

			base_warn(b, "%s: %s", base_shown(p->asked.name, name), p->asked.err.msg);
		}
	}
	return pins->changed ? transfer_run(t, &work, err) : 0;
}

/* --- telling -------------------------------------------------------------------------- */

static const char *day(const struct base_facts *f, char buf[16])
{
	time_t at = (time_t)(f->created / 1000000000);
	struct tm tm;

	if (!f->known || !f->created || !gmtime_r(&at, &tm) || !strftime(buf, 16, "%Y-%m-%d", &tm))
		(void)snprintf(buf, 16, "-");
	return buf;
}

static const char *size(const struct base_facts *f, char buf[32])
{
	if (!f->known)
		return "-";
	return num_human_bytes(f->size, buf, 32);
}

/* "old -> new", or "-" where neither is known; owned. */
static char *from_to(const char *was, const char *is)
{
	return strcmp(was, "-") == 0 && strcmp(is, "-") == 0 ? xstrdup("-")
	                                                     : xasprintf("%s -> %s", was, is);
}

static void add_row(struct table *t, const struct pin *p)
{
	char name[REFERENCE_TEXT_MAX], hex[16], was[32], is[32];
	cleanup_free char *created = from_to(day(&p->before, was), day(&p->after, is));
	cleanup_free char *sizes = from_to(size(&p->before, was), size(&p->after, is));

	table_cell(t, base_shown(p->asked.name, name));
	table_cell(t, base_short(&p->old, hex));
	table_cell(t, base_short(&p->asked.digest, hex));
	table_cell(t, created);
	table_cell(t, sizes);
}

static void print_table(const struct base_images *b, const struct pins *pins)
{
	static const char *const headings[] = { "IMAGE", "OLD", "NEW", "CREATED", "SIZE", NULL };
	struct table *t = table_new(headings);

	for (size_t i = 0; i < pins->len; i++)
		if (pins->ptr[i].changed)
			add_row(t, &pins->ptr[i]);
	table_print(t, pins->changed ? b->ctx->out : NULL);
}

static json_t *facts_json(const struct digest *digest, const struct base_facts *f)
{
	json_t *o = json_object();
	char created[16];

	if (digest_none(digest)) {
		json_decref(o);
		return json_null();
	}
	json_object_set_new(o, "digest", json_string(digest_text(digest).s));
	if (f->known) {
		json_object_set_new(o, "created", json_string(day(f, created)));
		json_object_set_new(o, "size", json_integer((json_int_t)f->size));
	}
	return o;
}

static void print_json(const struct base_images *b, const struct pins *pins)
{
	cleanup_json json_t *list = json_array();

	for (size_t i = 0; i < pins->len; i++) {
		const struct pin *p = &pins->ptr[i];
		json_t *o = json_object();

		if (p->asked.ok) {
			json_object_set_new(o, "image", json_str(p->asked.name));
			json_object_set_new(o, "changed", json_boolean(p->changed));
			json_object_set_new(o, "old", facts_json(&p->old, &p->before));
			json_object_set_new(o, "new", facts_json(&p->asked.digest, &p->after));
			json_array_append_new(list, o);
		} else {
			json_decref(o);
		}
	}
	base_print_json(b, list);
}

/* --- lines that nothing needs -------------------------------------------------------- */

static bool is_used(const struct base_images *b, str name)
{
	vec_foreach (use, &b->scan->images)
		if (str_eq(use->name, name))
			return true;
	return false;
}

/* Told, or removed with --prune; how many were removed. */
static size_t look_at_unused(const struct base_images *b, bool prune)
{
	size_t kept = 0, n = b->lock->lines.len;

	for (size_t i = 0; i < n; i++) {
		struct base_lock_line line = b->lock->lines.ptr[i];
		char name[REFERENCE_TEXT_MAX];
		bool unused = !is_used(b, line.name);

		if (unused && !prune)
			base_warn(
				b,
				"%s pins %s, which no Dockerfile names; 'cairn base lock --prune' "
				"removes it",
				workspace_shown(b->lock_path), base_shown(line.name, name));
		if (!unused || !prune)
			b->lock->lines.ptr[kept++] = line;
	}
	b->lock->lines.len = kept;
	return n - kept;
}

/* --- the commands --------------------------------------------------------------------- */

static int finish(struct cli_call *call, const struct base_images *b, const struct pins *pins,
                  size_t removed, struct cairn_err *err)
{
	const struct lock_opts *o = call->opts;
	bool change = pins->changed || removed;

	if (o->json)
		print_json(b, pins);
	else
		print_table(b, pins);
	for (size_t i = 0; i < pins->len && !o->check; i++)
		if (pins->ptr[i].changed)
			base_lock_set(b->lock, pins->ptr[i].asked.name, &pins->ptr[i].asked.digest);
	if (change && !o->check)
		TRY(base_lock_write(b->lock, b->lock_path, err));
	if (!o->json)
		(void)fprintf(call->ctx->out, "%s %s: %zu image%s, %zu %schanged%s\n",
		              workspace_shown(b->lock_path),
		              !change    ? "is up to date"
		              : o->check ? "is out of date"
		                         : "written",
		              b->lock->lines.len, b->lock->lines.len == 1 ? "" : "s",
		              pins->changed + removed, o->check ? "would be " : "",
		              removed ? " or removed" : "");
	if (pins->failed)
		return cairn_fail(err, CAIRN_E_SYSTEM, "%zu of %zu base images were not found",
		                  pins->failed, pins->len);
	call->exit_code = o->check && change ? 1 : 0;
	return 0;
}

static int run_pins(struct cli_call *call, bool renew, struct cairn_err *err)
{
	const struct lock_opts *o = call->opts;
	cleanup_transfer struct transfer *t = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct base_images b cleanup_base_images;
	struct pins pins = { 0 };
	size_t removed;

	TRY(base_images_open(call->ctx, o->config, &b, err));
	TRY(check_words(call, &b, err));
	TRY(transfer_new(call->ctx, "asking for base images", o->json, &t, err));
	removed = look_at_unused(&b, o->prune);
	list_pins(call, &b, renew, a, &pins);
	TRY(ask(&b, t, a, &pins, err));
	return finish(call, &b, &pins, removed, err);
}

static int run_lock(struct cli_call *call, struct cairn_err *err)
{
	return run_pins(call, false, err);
}

static int run_update(struct cli_call *call, struct cairn_err *err)
{
	return run_pins(call, true, err);
}

#define T struct lock_opts

static const struct cli_opt lock_opts[] = {
	SETTINGS_OPTION(T, config),
	{ "check", 0, OPT_FLAG(T, check),
	  .help = "Write nothing; exit with 1 when something is to be pinned" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "prune", 0, OPT_FLAG(T, prune), .help = "Remove images that no Dockerfile names" },
	{ 0 },
};

static const struct cli_opt update_opts[] = {
	SETTINGS_OPTION(T, config),
	{ "check", 0, OPT_FLAG(T, check),
	  .help = "Write nothing; exit with 1 when a tag has moved" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ 0 },
};

static const struct cli_example lock_examples[] = {
	{ "cairn base lock", "pin every tag that is not pinned yet" },
	{ "cairn base lock --check", "in CI: fail when somebody added an unpinned base image" },
	{ 0 },
};

static const struct cli_example update_examples[] = {
	{ "cairn base update", "let all tags mean what they mean today" },
	{ "cairn base update --check debian", "has a tag of debian moved?" },
	{ 0 },
};

const struct cli_cmd cmd_base_lock = {
	.name = "base lock",
	.group = "Registries",
	.summary = "Pin the tags of base images to digests",
	.description =
		"Writes cairn.lock: one line for every tag that a Dockerfile names, with the digest that "
		"it points to now, whatever the platform. 'cairn build' uses these and asks nobody what the "
		"tag means; put the file under version control. Tags that are pinned stay; "
		"'cairn base update' renews them. With IMAGE only tags of these.",
	.args = "[OPTIONS] [IMAGE...]",
	.max_args = CLI_ARGS_ANY,
	.opts = lock_opts,
	.opts_size = sizeof(T),
	.run = run_lock,
	.examples = lock_examples,
};

const struct cli_cmd cmd_base_update = {
	.name = "base update",
	.group = "Registries",
	.summary = "Renew the digests of cairn.lock, showing what changed",
	.description =
		"Asks the registries what the tags mean now (mirrors only where a registry does not answer: "
		"they may be behind), prints what moved (digests, days of their making "
		"and sizes for this machine's platform) and writes cairn.lock. With IMAGE only tags of "
		"these. Tags that are not pinned yet are pinned.",
	.args = "[OPTIONS] [IMAGE...]",
	.max_args = CLI_ARGS_ANY,
	.opts = update_opts,
	.opts_size = sizeof(T),
	.run = run_update,
	.examples = update_examples,
};
