#include "codebuild.h"

#include <assert.h>

static const char *const statuses[] = {
	[CODEBUILD_IN_PROGRESS] = "IN_PROGRESS", [CODEBUILD_SUCCEEDED] = "SUCCEEDED",
	[CODEBUILD_FAILED] = "FAILED",           [CODEBUILD_FAULT] = "FAULT",
	[CODEBUILD_TIMED_OUT] = "TIMED_OUT",     [CODEBUILD_STOPPED] = "STOPPED",
};

const char *codebuild_status_name(enum codebuild_status s)
{
	return statuses[s];
}

/* --- answers ------------------------------------------------------------------------ */

static str text_of(struct arena *a, const json_t *o, const char *key)
{
	return arena_str(a, str_of(json_string_value(json_object_get(o, key))));
}

/* Seconds since 1970 with a fraction; some clients print them as a date, which nobody needs here.
 */
static int64_t time_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	double s = json_is_number(v) ? json_number_value(v) : 0;

	return s > 0 && s < 9e9 ? (int64_t)(s * 1e9) : 0;
}

static void read_phase(struct arena *a, const json_t *o, struct codebuild_phase *ret)
{
	const json_t *context = json_array_get(json_object_get(o, "contexts"), 0);
	const json_t *seconds = json_object_get(o, "durationInSeconds");
	double s = json_is_number(seconds) ? json_number_value(seconds) : 0;

	ret->name = text_of(a, o, "phaseType");
	ret->status = text_of(a, o, "phaseStatus");
	ret->message = text_of(a, context, "message");
	ret->seconds = s > 0 && s < 1e9 ? (uint64_t)s : 0;
}

static bool says_memory(str message)
{
	return str_search(message, S("exit status 137")) >= 0 ||
	       str_search(message, S("Cannot allocate memory")) >= 0 ||
	       str_search(message, S("out of memory")) >= 0;
}

static void read_build(struct arena *a, const json_t *o, struct codebuild_build *ret)
{
	const json_t *phases = json_object_get(o, "phases"), *logs = json_object_get(o, "logs");
	const char *status = json_string_value(json_object_get(o, "buildStatus"));
	size_t n = json_array_size(phases);

	ret->id = text_of(a, o, "id");
	ret->phase = text_of(a, o, "currentPhase");
	ret->started = time_of(o, "startTime");
	ret->ended = time_of(o, "endTime");
	ret->log_group = text_of(a, logs, "groupName");
	ret->log_stream = text_of(a, logs, "streamName");
	ret->url = text_of(a, logs, "deepLink");
	for (size_t i = 0; status && i < CODEBUILD_N_; i++)
		if (strcmp(status, statuses[i]) == 0)
			ret->status = (enum codebuild_status)i;
	ret->n_phases = n < CODEBUILD_PHASES_MAX ? n : CODEBUILD_PHASES_MAX;
	ret->phases = arena_array(a, struct codebuild_phase, ret->n_phases + 1);
	for (size_t i = 0; i < ret->n_phases; i++) {
		read_phase(a, json_array_get(phases, i), &ret->phases[i]);
		ret->out_of_memory |= says_memory(ret->phases[i].message);
	}
}

/* --- calls --------------------------------------------------------------------------- */

static int call(struct aws *aws, const char *region, const char *operation, const json_t *in,
                json_t **ret, char *ret_code, struct cairn_err *err)
{
	cleanup_free char *target = xasprintf("CodeBuild_20161006.%s", operation);
	cleanup_free char *what = xasprintf("CodeBuild (codebuild:%s)", operation);
	cleanup_strbuf struct strbuf body;
	struct aws_call c = {
		.service = "codebuild", .region = region, .target = target, .what = what
	};

	strbuf_init(&body, AWS_JSON_MAX);
	json_write(in, &body);
	c.body = strbuf_view(&body);
	return aws_call(aws, &c, ret, ret_code, err);
}

static void set_text(json_t *o, const char *key, str value)
{
	if (value.len)
		(void)json_object_set_new(o, key, json_str(value));
}

json_t *codebuild_request(const struct codebuild_start *s)
{
	json_t *o = json_object(), *env = json_array();

	set_text(o, "projectName", s->project);
	set_text(o, "sourceVersion", s->source_version);
	set_text(o, "buildspecOverride", s->buildspec);
	set_text(o, "imageOverride", s->image);
	set_text(o, "computeTypeOverride", s->compute_type);
	set_text(o, "environmentTypeOverride", s->environment_type);
	set_text(o, "idempotencyToken", s->token);
	if (s->privileged)
		(void)json_object_set_new(o, "privilegedModeOverride", json_true());
	if (s->timeout_minutes)
		(void)json_object_set_new(o, "timeoutInMinutesOverride",
		                          json_integer(s->timeout_minutes));
	for (size_t i = 0; i < s->n_env; i++) {
		json_t *v = json_object();

		set_text(v, "name", str_of(s->env[i].name));
		(void)json_object_set_new(v, "value", json_str(str_of(s->env[i].value)));
		set_text(v, "type", S("PLAINTEXT"));
		(void)json_array_append_new(env, v);
	}
	if (s->n_env)
		(void)json_object_set(o, "environmentVariablesOverride", env);
	json_decref(env);
	return o;
}

int codebuild_start(struct aws *aws, const struct codebuild_start *s, struct arena *a,
                    struct codebuild_build *ret, bool *ret_limit, struct cairn_err *err)
{
	cleanup_json json_t *in = codebuild_request(s), *out = NULL;
	struct codebuild_build b = { 0 };
	char code[64];
	int rc = call(aws, s->region, "StartBuild", in, &out, code, err);

	*ret_limit = strcmp(code, "AccountLimitExceededException") == 0;
	if (rc < 0 && *ret_limit)
		rc = err->code = CAIRN_E_TRANSIENT;
	TRY(rc);
	read_build(a, json_object_get(out, "build"), &b);
	if (!b.id.len)
		return cairn_fail(err, CAIRN_E_SYNTAX, "CodeBuild started a build without an id");
	*ret = b;
	return 0;
}

static json_t *ids_json(const str *ids, size_t n)
{
	json_t *o = json_object(), *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_str(ids[i]));
	(void)json_object_set_new(o, "ids", list);
	return o;
}

int codebuild_get(struct aws *aws, const char *region, const str *ids, size_t n, struct arena *a,
                  struct codebuild_build *ret, struct cairn_err *err)
{
	cleanup_json json_t *in = ids_json(ids, n), *out = NULL;
	const json_t *builds;

	assert(n >= 1 && n <= CODEBUILD_IDS_MAX);
	TRY(call(aws, region, "BatchGetBuilds", in, &out, NULL, err));
	builds = json_object_get(out, "builds");
	for (size_t i = 0; i < n; i++) {
		struct codebuild_build b = { 0 };

		for (size_t k = 0; k < json_array_size(builds) && !b.id.len; k++) {
			const json_t *o = json_array_get(builds, k);
			const char *id = json_string_value(json_object_get(o, "id"));

			if (id && str_is(ids[i], id))
				read_build(a, o, &b);
		}
		if (!b.id.len)
			return cairn_fail(err, CAIRN_E_NOT_FOUND,
			                  "CodeBuild does not know the build %.*s", STR(ids[i]));
		ret[i] = b;
	}
	return 0;
}

int codebuild_stop(struct aws *aws, const char *region, str id, struct cairn_err *err)
{
	cleanup_json json_t *in = json_object(), *out = NULL;

	set_text(in, "id", id);
	return call(aws, region, "StopBuild", in, &out, NULL, err);
}

/* --- logs ---------------------------------------------------------------------------- */

static json_t *log_request(const struct codebuild_build *b, const char *token)
{
	json_t *o = json_object();

	set_text(o, "logGroupName", b->log_group);
	set_text(o, "logStreamName", b->log_stream);
	set_text(o, "nextToken", str_of(token));
	(void)json_object_set_new(o, "startFromHead", json_true());
	return o;
}

static void add_lines(const json_t *events, struct strbuf *out)
{
	for (size_t i = 0; i < json_array_size(events); i++) {
		const char *m =
			json_string_value(json_object_get(json_array_get(events, i), "message"));

		strbuf_cstr(out, m ? m : "");
		if (!m || !str_ends(str_of(m), S("\n")))
			strbuf_char(out, '\n');
	}
}

/* One page: *ret_more = the token has moved, so that there may be another one. */
static int log_page(struct aws *aws, const char *region, const struct codebuild_build *b,
                    char **token, struct strbuf *out, bool *ret_more, struct cairn_err *err)
{
	cleanup_json json_t *in = log_request(b, *token), *answer = NULL;
	cleanup_strbuf struct strbuf body;
	struct aws_call c = { .service = "logs",
		              .region = region,
		              .target = "Logs_20140328.GetLogEvents",
		              .what = "CloudWatch Logs (logs:GetLogEvents)" };
	const char *next;
	char code[64];
	int rc;

	*ret_more = false;
	strbuf_init(&body, AWS_JSON_MAX);
	json_write(in, &body);
	c.body = strbuf_view(&body);
	rc = aws_call(aws, &c, &answer, code, err);
	if (rc < 0 && strcmp(code, "ResourceNotFoundException") == 0)
		return 0; /* nothing was written yet */
	TRY(rc);
	add_lines(json_object_get(answer, "events"), out);
	next = json_string_value(json_object_get(answer, "nextForwardToken"));
	if (next && (!*token || strcmp(next, *token) != 0)) {
		free(*token);
		*token = xstrdup(next);
		*ret_more = true;
	}
	return 0;
}

int codebuild_logs(struct aws *aws, const char *region, const struct codebuild_build *b,
                   char **token, struct strbuf *out, struct cairn_err *err)
{
	bool more = b->log_group.len && b->log_stream.len;

	for (unsigned page = 0; more && page < CODEBUILD_LOG_PAGES; page++)
		TRY(log_page(aws, region, b, token, out, &more, err));
	return 0;
}
