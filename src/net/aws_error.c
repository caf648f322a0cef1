#include "aws_error.h"

#include "util/json.h"
#include "xml.h"

/* https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the common errors of
 * the other services. */
static const struct {
	const char *code;
	enum aws_error_kind kind;
} kinds[] = {
	{ "ExpiredToken", AWS_ERROR_EXPIRED },
	{ "ExpiredTokenException", AWS_ERROR_EXPIRED },
	{ "InvalidToken", AWS_ERROR_EXPIRED },
	{ "TokenRefreshRequired", AWS_ERROR_EXPIRED },
	{ "RequestExpired", AWS_ERROR_SKEW },
	{ "RequestTimeTooSkewed", AWS_ERROR_SKEW },
	{ "RequestInTheFuture", AWS_ERROR_SKEW },
	{ "InvalidSignatureException", AWS_ERROR_SIGNATURE },
	{ "SignatureDoesNotMatch", AWS_ERROR_SIGNATURE },
	{ "AuthFailure", AWS_ERROR_SIGNATURE },
	{ "AccessDenied", AWS_ERROR_REFUSED },
	{ "AccessDeniedException", AWS_ERROR_REFUSED },
	{ "AllAccessDisabled", AWS_ERROR_REFUSED },
	{ "AccountProblem", AWS_ERROR_REFUSED },
	{ "IncompleteSignature", AWS_ERROR_REFUSED },
	{ "InvalidAccessKeyId", AWS_ERROR_REFUSED },
	{ "InvalidClientTokenId", AWS_ERROR_REFUSED },
	{ "InvalidIdentityToken", AWS_ERROR_REFUSED },
	{ "MissingAuthenticationToken", AWS_ERROR_REFUSED },
	{ "NotAuthorized", AWS_ERROR_REFUSED },
	{ "OptInRequired", AWS_ERROR_REFUSED },
	{ "UnauthorizedOperation", AWS_ERROR_REFUSED },
	{ "UnrecognizedClientException", AWS_ERROR_REFUSED },
	{ "IDPCommunicationError", AWS_ERROR_BUSY },
	{ "InternalError", AWS_ERROR_BUSY },
	{ "PriorRequestNotComplete", AWS_ERROR_BUSY },
	{ "RequestLimitExceeded", AWS_ERROR_BUSY },
	{ "RequestThrottled", AWS_ERROR_BUSY },
	{ "RequestThrottledException", AWS_ERROR_BUSY },
	{ "RequestTimeout", AWS_ERROR_BUSY },
	{ "ServerException", AWS_ERROR_BUSY },
	{ "ServiceUnavailable", AWS_ERROR_BUSY },
	{ "SlowDown", AWS_ERROR_BUSY },
	{ "Throttling", AWS_ERROR_BUSY },
	{ "ThrottlingException", AWS_ERROR_BUSY },
	{ "ThrottledException", AWS_ERROR_BUSY },
	{ "TooManyRequestsException", AWS_ERROR_BUSY },
	{ "NoSuchBucket", AWS_ERROR_MISSING },
	{ "NoSuchKey", AWS_ERROR_MISSING },
	{ "NoSuchUpload", AWS_ERROR_MISSING },
	{ "RepositoryNotFoundException", AWS_ERROR_MISSING },
	{ "ResourceNotFoundException", AWS_ERROR_MISSING },
};

static const enum cairn_code codes[] = {
	[AWS_ERROR_OTHER] = CAIRN_E_SYSTEM,      [AWS_ERROR_EXPIRED] = CAIRN_E_AUTH,
	[AWS_ERROR_SKEW] = CAIRN_E_AUTH,         [AWS_ERROR_SIGNATURE] = CAIRN_E_AUTH,
	[AWS_ERROR_REFUSED] = CAIRN_E_AUTH,      [AWS_ERROR_BUSY] = CAIRN_E_TRANSIENT,
	[AWS_ERROR_MISSING] = CAIRN_E_NOT_FOUND,
};

void aws_error_text(char *to, size_t size, str from)
{
	size_t n = from.len < size - 1 ? from.len : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from.ptr[i] > ' ' && from.ptr[i] < 0x7f ? from.ptr[i] : ' ';
	to[n] = '\0';
}

bool aws_region_valid(str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      (c == '-' && i && i + 1 < name.len)))
			return false;
	}
	return name.len > 0 && name.len < AWS_REGION_MAX;
}

static void set_region(struct aws_error *e, str region)
{
	if (aws_region_valid(region))
		aws_error_text(e->region, sizeof(e->region), region);
}

static int on_element(void *ctx, const char *path, str text, struct cairn_err *err)
{
	struct aws_error *e = ctx;

	(void)err;
	text = str_trim(text);
	if (!e->code[0] && xml_path_ends(path, "Error/Code"))
		aws_error_text(e->code, sizeof(e->code), text);
	else if (!e->message[0] && xml_path_ends(path, "Error/Message"))
		aws_error_text(e->message, sizeof(e->message), text);
	else if (xml_path_ends(path, "Error/Region"))
		set_region(e, text);
	return 0;
}

/* "com.amazonaws.ecr#ThrottlingException:http://..." -> "ThrottlingException" */
static str bare_code(str s)
{
	ptrdiff_t at = str_rfind(s, '#');
	str head, tail;

	if (at >= 0)
		s = str_skip(s, (size_t)at + 1);
	(void)str_cut(s, ':', &head, &tail);
	return str_trim(head);
}

static void read_json(str body, struct aws_error *e)
{
	static const char *const code_names[] = { "__type", "code", "Code" };
	static const char *const message_names[] = { "message", "Message" };
	cleanup_json json_t *j = NULL;
	struct cairn_err ignored;
	const char *s;

	if (json_parse(body, "error", &j, &ignored) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(code_names) && !e->code[0]; i++) {
		s = json_string_value(json_object_get(j, code_names[i]));
		aws_error_text(e->code, sizeof(e->code), bare_code(str_of(s)));
	}
	for (size_t i = 0; i < ARRAY_SIZE(message_names) && !e->message[0]; i++) {
		s = json_string_value(json_object_get(j, message_names[i]));
		aws_error_text(e->message, sizeof(e->message), str_of(s));
	}
}

static enum aws_error_kind kind_of(const struct aws_error *e, int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(e->code, kinds[i].code) == 0)
			return kinds[i].kind;
	if (http_status_transient(status))
		return AWS_ERROR_BUSY;
	if (e->code[0])
		return AWS_ERROR_OTHER;
	return status == 401 || status == 403 ? AWS_ERROR_REFUSED
	       : status == 404                ? AWS_ERROR_MISSING
	                                      : AWS_ERROR_OTHER;
}

void aws_error_read(const struct http_response *r, struct aws_error *ret)
{
	struct aws_error e = { 0 };
	str body = str_trim(strbuf_view(&r->body));
	const char *type = http_header(r, "x-amzn-ErrorType");
	const char *region = http_header(r, "x-amz-bucket-region");
	struct cairn_err ignored;

	if (type)
		aws_error_text(e.code, sizeof(e.code), bare_code(str_of(type)));
	if (str_starts(body, S("{")))
		read_json(body, &e);
	else if (str_starts(body, S("<")))
		(void)xml_parse(body, on_element, &e, &ignored);
	if (region)
		set_region(&e, str_trim(str_of(region)));
	e.kind = kind_of(&e, r->status);
	*ret = e;
}

int aws_fail(const struct http_response *r, const char *what, struct cairn_err *err)
{
	struct aws_error e;
	char status[24];

	aws_error_read(r, &e);
	(void)snprintf(status, sizeof(status), "HTTP status %d", r->status);
	return cairn_fail(err, codes[e.kind], "%s: %s%s%s", what, e.code[0] ? e.code : status,
	                  e.message[0] ? ": " : "", e.message);
}
