#include "harness.h"

#include "net/aws_error.h"
#include "net/xml.h"

static int note(void *ctx, const char *path, str text, struct cairn_err *err)
{
	if (str_is(text, "stop"))
		return cairn_fail(err, CAIRN_E_DENIED, "stopped");
	strbuf_printf(ctx, "%s=%.*s|", path, STR(text));
	return 0;
}

static int parse(str text, struct strbuf *out, struct cairn_err *err)
{
	return xml_parse(text, note, out, err);
}

void test_xml__elements(void **state)
{
	struct strbuf out cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	strbuf_init(&out, 1000);
	assert_ok(parse(S("<?xml version=\"1.0\"?>\n<a xmlns=\"x\" xmlns:n=\"y\"><n:b c='d'>1&amp;2"
	                  "<!-- no --><![CDATA[<3>]]></n:b><e/><b>&#x41;</b></a>"),
	                &out, &err));
	assert_str(strbuf_view(&out), "a/b=1&2<3>|a/e=|a/b=A|a=|");
}

void test_xml__refused(void **state)
{
	static const char *const cases[] = {
		"",
		"text",
		"<a>",
		"<a></b>",
		"<a/><b/>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY x \"xxxxxxxx\">]><a>&x;</a>",
		"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
		"<a>&unknown;</a>",
		"<a>\xff</a>",
		"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a/>",
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;

		strbuf_init(&out, 1000);
		if (parse(str_of(cases[i]), &out, &err) != CAIRN_E_SYNTAX)
			fail_msg("'%s' is accepted", cases[i]);
	}
}

void test_xml__bounds(void **state)
{
	struct strbuf out cleanup_strbuf, text cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	strbuf_init(&out, 1000);
	strbuf_init(&text, XML_VALUE_MAX + 100);
	strbuf_cstr(&text, "<a>");
	for (size_t i = 0; i <= XML_VALUE_MAX; i++)
		strbuf_char(&text, 'x');
	strbuf_cstr(&text, "</a>");
	assert_fails(parse(strbuf_view(&text), &out, &err), CAIRN_E_SYNTAX);
	strbuf_clear(&text);
	strbuf_char(&text, '<');
	for (size_t i = 0; i < XML_PATH_MAX; i++)
		strbuf_char(&text, 'x');
	strbuf_cstr(&text, "/>");
	assert_fails(parse(strbuf_view(&text), &out, &err), CAIRN_E_SYNTAX);
	assert_fails(parse(S("<a><b>stop</b><c>no</c></a>"), &out, &err), CAIRN_E_DENIED);
	assert_int_equal(out.len, 0);
}

void test_xml__path_ends(void **state)
{
	(void)state;
	assert_true(xml_path_ends("Error/Code", "Error/Code"));
	assert_true(xml_path_ends("A/Error/Code", "Error/Code"));
	assert_false(xml_path_ends("AnError/Code", "Error/Code"));
	assert_false(xml_path_ends("Code", "Error/Code"));
}

void test_xml__errors_of_services(void **state)
{
	static const struct {
		int status;
		const char *header, *body; /* "name: value" or NULL */
		enum aws_error_kind kind;
		const char *code, *message, *region;
	} cases[] = {
		{ 403, NULL,
		  "<Error><Code>AccessDenied</Code><Message>no\x1b[31m\n</Message></Error>",
		  AWS_ERROR_OTHER, "", "", "" }, /* not XML: a control character */
		{ 403, NULL,
		  "<Error><Code>AccessDenied</Code><Message>no\xc2\x9b\nway</Message></Error>",
		  AWS_ERROR_REFUSED, "AccessDenied", "no   way", "" },
		{ 400, NULL,
		  "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>",
		  AWS_ERROR_OTHER, "AuthorizationHeaderMalformed", "", "eu-west-1" },
		{ 301, "x-amz-bucket-region: eu-north-1", "", AWS_ERROR_OTHER, "", "",
		  "eu-north-1" },
		{ 301, "x-amz-bucket-region: evil.example", "", AWS_ERROR_OTHER, "", "", "" },
		{ 400, "x-amzn-errortype: ThrottlingException:http://x", "{\"message\":\"slow\"}",
		  AWS_ERROR_BUSY, "ThrottlingException", "slow", "" },
		{ 400, NULL, "{\"__type\":\"a.b#InvalidSignatureException\",\"Message\":\"m\"}",
		  AWS_ERROR_SIGNATURE, "InvalidSignatureException", "m", "" },
		{ 400, NULL, "{\"__type\":[1],\"message\":{}}", AWS_ERROR_OTHER, "", "", "" },
		{ 404, NULL, "", AWS_ERROR_MISSING, "", "", "" },
		{ 500, NULL, "<html>", AWS_ERROR_BUSY, "", "", "" },
		{ 401, NULL, "<html></html>", AWS_ERROR_REFUSED, "", "", "" },
		{ 418, NULL, "{", AWS_ERROR_OTHER, "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_response r cleanup_http_response;
		struct aws_error e;
		str name, value;

		http_response_init(&r);
		strbuf_init(&r.body, 10000);
		r.status = cases[i].status;
		strbuf_cstr(&r.body, cases[i].body);
		if (cases[i].header) {
			(void)str_cut(str_of(cases[i].header), ':', &name, &value);
			vec_push(&r.fields,
			         (struct http_field){ str_dup(name), str_dup(str_trim(value)) });
		}
		aws_error_read(&r, &e);
		if (i == 0) /* what was read before the mistake does not matter */
			continue;
		assert_string_equal(e.code, cases[i].code);
		assert_string_equal(e.message, cases[i].message);
		assert_string_equal(e.region, cases[i].region);
		if (e.kind != cases[i].kind)
			fail_msg("case %zu: kind %d", i, (int)e.kind);
	}
}
