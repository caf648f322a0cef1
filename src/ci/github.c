#include "github.h"

#include <inttypes.h>

#include "util/clock.h"

#define API_DEFAULT "https://api.github.com"
#define API_VERSION "2022-11-28"
#define ANSWER_MAX  (8u << 20)         /* bytes of an answer in JSON */
#define RUNS_LOOKED 100                /* newest runs of a workflow that are looked through */
#define RUNS_SINCE  (3600 * CLOCK_SEC) /* and no older ones; clocks may differ */
#define JOBS_LOOKED 30
#define TIME_LENGTH 28 /* "2026-11-22T08:22:00.1234567Z" in front of each line of a log */

static const char *env_of(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=' && (*envp)[n + 1])
			return *envp + n + 1;
	return NULL;
}

void github_init(struct github *g, struct http_client *http, char *const *envp)
{
	const char *api = env_of(envp, "GITHUB_API_URL"), *token = env_of(envp, "GITHUB_TOKEN");

	*g = (struct github){ .http = http,
		              .api = api ? api : API_DEFAULT,
		              .token = token ? token : env_of(envp, "GH_TOKEN") };
}

/* --- requests --------------------------------------------------------------------------- */

struct call {
	const char *method, *what; /* what: "dispatch a workflow", for messages */
	const char *url;           /* owned by the caller */
	const json_t *body;        /* NULL: none */
	bool once;
};

static bool rate_limited(const struct http_response *r)
{
	const char *left = http_header(r, "X-RateLimit-Remaining");

	return r->status == 429 || (r->status == 403 && ((left && strcmp(left, "0") == 0) ||
	                                                 http_header(r, "Retry-After")));
}

/* What it says, without what could steer a terminal. */
static void message_of(const struct http_response *r, char *buf, size_t size)
{
	cleanup_json json_t *j = NULL;
	struct cairn_err ignored;
	const char *text = NULL;

	if (json_parse(strbuf_view(&r->body), "the answer", &j, &ignored) == 0)
		text = json_string_value(json_object_get(j, "message"));
	(void)snprintf(buf, size, "%s", text ? text : "");
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

static int refuse(const struct call *c, const struct http_response *r, struct cairn_err *err)
{
	static const struct {
		int status;
		enum cairn_code code;
		const char *hint;
	} rows[] = {
		{ 401, CAIRN_E_AUTH,
		  ": the token of GITHUB_TOKEN or GH_TOKEN is wrong or has expired" },
		{ 403, CAIRN_E_AUTH, ": the token has to be allowed 'actions: write'" },
		{ 404, CAIRN_E_NOT_FOUND, ": it does not exist, or the token may not see it" },
		{ 422, CAIRN_E_SYNTAX, "" },
	};
	char message[200], url[HTTP_URL_MAX];

	message_of(r, message, sizeof(message));
	if (rate_limited(r))
		return cairn_fail(err, CAIRN_E_TRANSIENT, "GitHub: %s: rate limit: %s", c->what,
		                  message);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].status == r->status)
			return cairn_fail(err, rows[i].code, "GitHub: %s: %d %s (%.150s)%s",
			                  c->what, r->status, message, http_url_public(c->url, url),
			                  rows[i].hint);
	return cairn_fail(err,
	                  http_status_transient(r->status) ? CAIRN_E_TRANSIENT : CAIRN_E_SYSTEM,
	                  "GitHub: %s: %d %s", c->what, r->status, message);
}

/* Send; an answer that is not 2xx is a failure, with the status in *ret_status. */
static int send(const struct github *g, const struct call *c, struct http_response *r,
                int *ret_status, struct cairn_err *err)
{
	const struct http_field fields[] = {
		{ "Accept", "application/vnd.github+json" },
		{ "X-GitHub-Api-Version", API_VERSION },
		{ "Content-Type", "application/json" },
	};
	cleanup_free char *auth = NULL;
	cleanup_strbuf struct strbuf body;
	struct http_request q = { .method = c->method,
		                  .url = c->url,
		                  .fields = fields,
		                  .n_fields = c->body ? 3 : 2,
		                  .max_body = GITHUB_LOG_MAX,
		                  .once = c->once };

	*ret_status = 0;
	strbuf_init(&body, ANSWER_MAX);
	if (!g->token)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "GitHub: %s: no token; set GITHUB_TOKEN or GH_TOKEN to one that "
		                  "is allowed 'actions: write'",
		                  c->what);
	auth = xasprintf("Bearer %s", g->token);
	q.authorization = auth;
	if (c->body)
		json_write(c->body, &body);
	q.body = strbuf_view(&body);
	if (http_send(g->http, &q, r, err) < 0)
		return cairn_wrap(err, "GitHub: %s", c->what);
	*ret_status = r->status;
	return r->status / 100 == 2 ? 0 : refuse(c, r, err);
}

static int get_json(const struct github *g, const char *url, const char *what, json_t **ret,
                    struct cairn_err *err)
{
	struct call c = { .method = "GET", .what = what, .url = url };
	struct http_response r cleanup_http_response;
	cleanup_json json_t *j = NULL;
	int status;

	http_response_init(&r);
	TRY(send(g, &c, &r, &status, err));
	TRY(json_parse(strbuf_view(&r.body), "GitHub's answer", &j, err));
	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "GitHub: %s: the answer is no JSON object",
		                  what);
	*ret = steal_ptr(&j);
	return 0;
}

/* --- answers ---------------------------------------------------------------------------- */

static str text_of(struct arena *a, const json_t *o, const char *key)
{
	return arena_str(a, str_of(json_string_value(json_object_get(o, key))));
}

static int64_t time_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	struct cairn_err ignored;
	int64_t ns = 0;

	return text && clock_parse(str_of(text), &ns, &ignored) == 0 ? ns : 0;
}

static void read_run(struct arena *a, const json_t *o, struct github_run *ret)
{
	const char *status = json_string_value(json_object_get(o, "status"));
	json_int_t id = json_integer_value(json_object_get(o, "id"));

	*ret = (struct github_run){ .id = id > 0 ? (uint64_t)id : 0,
		                    .url = text_of(a, o, "html_url"),
		                    .word = text_of(a, o, "status"),
		                    .conclusion = text_of(a, o, "conclusion"),
		                    .created = time_of(o, "created_at"),
		                    .started = time_of(o, "started_at"),
		                    .ended = time_of(o, "completed_at") };
	if (status && strcmp(status, "completed") == 0) {
		ret->status = GITHUB_COMPLETED;
		ret->word = ret->conclusion;
	} else if (status && strcmp(status, "in_progress") == 0) {
		ret->status = GITHUB_IN_PROGRESS;
	}
}

/* --- calls ------------------------------------------------------------------------------ */

char *github_dispatch_url(const struct github *g, const struct github_workflow *w)
{
	return xasprintf("%s/repos/%.*s/actions/workflows/%.*s/dispatches", g->api,
	                 STR(w->repository), STR(w->file));
}

json_t *github_dispatch_body(str ref, json_t *inputs)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "ref", json_str(ref));
	(void)json_object_set(o, "inputs", inputs);
	return o;
}

int github_dispatch(const struct github *g, const struct github_workflow *w, str ref,
                    json_t *inputs, struct cairn_err *err)
{
	cleanup_free char *url = github_dispatch_url(g, w);
	cleanup_json json_t *body = github_dispatch_body(ref, inputs);
	struct call c = { .method = "POST",
		          .what = "dispatch a workflow",
		          .url = url,
		          .body = body,
		          .once = true };
	struct http_response r cleanup_http_response;
	int status, rc;

	http_response_init(&r);
	rc = send(g, &c, &r, &status, err);
	if (rc == CAIRN_E_TRANSIENT && !status && err->sys != EHOSTUNREACH)
		rc = err->code = CAIRN_E_TIMEOUT; /* it may have arrived */
	return rc;
}

int github_find(const struct github *g, const struct github_workflow *w, str needle,
                struct arena *a, struct github_run *ret, bool *ret_found, struct cairn_err *err)
{
	char since[CLOCK_TEXT_MAX];
	cleanup_free char *url = xasprintf(
		"%s/repos/%.*s/actions/workflows/%.*s/runs?event=workflow_dispatch&per_page=%d"
		"&created=%%3E%%3D%s",
		g->api, STR(w->repository), STR(w->file), RUNS_LOOKED,
		clock_text(clock_now() - RUNS_SINCE, since));
	cleanup_json json_t *j = NULL;
	const json_t *runs;

	*ret_found = false;
	TRY(get_json(g, url, "list a workflow's runs", &j, err));
	runs = json_object_get(j, "workflow_runs");
	for (size_t i = 0; i < json_array_size(runs) && !*ret_found; i++) {
		const json_t *o = json_array_get(runs, i);
		const char *title = json_string_value(json_object_get(o, "display_title"));

		if (!title || str_search(str_of(title), needle) < 0)
			continue;
		read_run(a, o, ret);
		*ret_found = ret->id != 0;
	}
	return 0;
}

int github_get(const struct github *g, str repository, uint64_t run, struct arena *a,
               struct github_run *ret, struct cairn_err *err)
{
	cleanup_free char *url =
		xasprintf("%s/repos/%.*s/actions/runs/%" PRIu64, g->api, STR(repository), run);
	cleanup_json json_t *j = NULL;

	TRY(get_json(g, url, "look at a run", &j, err));
	read_run(a, j, ret);
	return 0;
}

int github_job(const struct github *g, str repository, uint64_t run, struct arena *a,
               struct github_run *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *url =
		xasprintf("%s/repos/%.*s/actions/runs/%" PRIu64 "/jobs?per_page=%d", g->api,
	                  STR(repository), run, JOBS_LOOKED);
	cleanup_json json_t *j = NULL;
	const json_t *jobs;

	*ret_found = false;
	TRY(get_json(g, url, "list a run's jobs", &j, err));
	jobs = json_object_get(j, "jobs");
	for (size_t i = 0; i < json_array_size(jobs) && !*ret_found; i++) {
		read_run(a, json_array_get(jobs, i), ret);
		*ret_found = ret->id && !str_is(ret->conclusion, "skipped");
	}
	return 0;
}

static bool has_time(str line)
{
	return line.len > TIME_LENGTH && line.ptr[4] == '-' && line.ptr[10] == 'T' &&
	       line.ptr[TIME_LENGTH - 1] == 'Z' && line.ptr[TIME_LENGTH] == ' ';
}

int github_log(const struct github *g, str repository, uint64_t job, struct strbuf *out,
               struct cairn_err *err)
{
	cleanup_free char *url = xasprintf("%s/repos/%.*s/actions/jobs/%" PRIu64 "/logs", g->api,
	                                   STR(repository), job);
	struct call c = { .method = "GET", .what = "read a job's log", .url = url };
	struct http_response r cleanup_http_response;
	int status, rc;
	str rest, line;

	http_response_init(&r);
	rc = send(g, &c, &r, &status, err);
	if (rc < 0)
		return status == 404 || status == 410 ? 0 : rc;
	for (rest = strbuf_view(&r.body); str_next(&rest, '\n', &line);) {
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (has_time(line))
			line = str_skip(line, TIME_LENGTH + 1);
		if (!line.len && !rest.len)
			break;
		strbuf_str(out, line);
		strbuf_char(out, '\n');
	}
	return 0;
}

int github_cancel(const struct github *g, str repository, uint64_t run, struct cairn_err *err)
{
	cleanup_free char *url = xasprintf("%s/repos/%.*s/actions/runs/%" PRIu64 "/cancel", g->api,
	                                   STR(repository), run);
	struct call c = { .method = "POST", .what = "cancel a run", .url = url };
	struct http_response r cleanup_http_response;
	int status, rc;

	http_response_init(&r);
	rc = send(g, &c, &r, &status, err);
	return rc < 0 && status != 409 ? rc : 0; /* 409: it has ended */
}
