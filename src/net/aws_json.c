#include "aws_json.h"

#include <stdio.h>

#include "aws_error.h"

static int read_answer(const struct aws_call *c, const struct http_response *r, json_t **ret,
                       struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	struct cairn_err why;
	int rc = json_parse(strbuf_view(&r->body), "the answer", &j, &why);

	if (rc < 0 && !c->secret)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s: %s", c->what, why.msg);
	if (rc < 0 || !json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s: the answer is no JSON object", c->what);
	*ret = steal_ptr(&j);
	return 0;
}

int aws_call(struct aws *a, const struct aws_call *c, json_t **ret, char ret_code[64],
             struct cairn_err *err)
{
	const struct http_field fields[] = {
		{ "Content-Type", "application/x-amz-json-1.1" },
		{ "X-Amz-Target", c->target },
	};
	struct http_response r cleanup_http_response;
	const char *region = c->region;
	char endpoint[AWS_ENDPOINT_MAX];
	cleanup_free char *url = NULL;
	struct http_request req = { .method = "POST",
		                    .fields = fields,
		                    .n_fields = ARRAY_SIZE(fields),
		                    .body = c->body,
		                    .max_body = AWS_JSON_MAX };

	if (ret_code)
		ret_code[0] = '\0';
	http_response_init(&r);
	if (!region)
		TRY(aws_region(a, &region, err));
	TRY(aws_endpoint(a, c->endpoint ? c->endpoint : c->service, region, endpoint, err));
	url = xasprintf("%s/", endpoint);
	req.url = url;
	if (aws_send(a, c->service, region, &req, &r, err) < 0)
		return cairn_wrap(err, "%s", c->what);
	if (r.status != 200) {
		struct aws_error e;

		aws_error_read(&r, &e);
		if (ret_code)
			(void)snprintf(ret_code, sizeof(e.code), "%s", e.code);
		return aws_fail(&r, c->what, err);
	}
	return read_answer(c, &r, ret, err);
}
