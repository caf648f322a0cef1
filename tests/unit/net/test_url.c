#include "harness.h"

#include "net/net.h"

void test_url__join(void **state)
{
	static const struct {
		const char *base, *location, *want; /* want NULL = refused */
	} cases[] = {
		{ "http://a/b/c?q", "https://x.y/z?s=1#f", "https://x.y/z?s=1#f" },
		{ "http://a:5/b/c?q", "/d", "http://a:5/d" },
		{ "https://u:p@a/b/c", "d?e", "https://a/b/d?e" },
		{ "http://a", "d", "http://a/d" },
		{ "http://a/b?c", "?d", "http://a/b?d" },
		{ "https://a/b", "//c/d", "https://c/d" },
		{ "http://[::1]:80/b", "/c", "http://[::1]:80/c" },
		{ "http://a/b", "file:///etc/passwd", NULL },
		{ "http://a/b", "javascript:x", NULL },
		{ "http://a/b", "http://", NULL },
		{ "http://a/b", "http://a:x/", NULL },
		{ "http://a/b", "/c d", NULL },
		{ "http://a/b", "/c\r\nX: y", NULL },
		{ "ftp://a/b", "/c", NULL },
	};
	struct cairn_err err;
	char b[HTTP_URL_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].want) {
			assert_fails(http_url_join(cases[i].base, cases[i].location, b, &err),
			             CAIRN_E_SYNTAX);
			continue;
		}
		assert_ok(http_url_join(cases[i].base, cases[i].location, b, &err));
		assert_string_equal(b, cases[i].want);
	}
}

void test_url__too_long(void **state)
{
	cleanup_free char *location = xmalloc(HTTP_URL_MAX + 1);
	struct cairn_err err;
	char b[HTTP_URL_MAX];

	(void)state;
	memset(location, 'a', HTTP_URL_MAX);
	location[HTTP_URL_MAX] = '\0';
	assert_fails(http_url_join("http://a/", location, b, &err), CAIRN_E_SYNTAX);
}

void test_url__same_origin(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://a/b", "https://A:443/c?d", true },
		{ "http://a", "http://a:80", true },
		{ "https://a/b", "http://a/b", false },
		{ "https://a", "https://a:444", false },
		{ "https://a", "https://b", false },
		{ "https://a", "https://a.b", false },
		{ "https://a@b", "https://b", true },
		{ "https://a", "nonsense", false },
		{ "http://[::1]:5", "http://[::1]:5/", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (http_same_origin(cases[i].a, cases[i].b) != cases[i].same)
			fail_msg("%s %s", cases[i].a, cases[i].b);
}

void test_url__public(void **state)
{
	char b[HTTP_URL_MAX];

	(void)state;
	assert_string_equal(http_url_public("https://u:pw@a:1/b?X-Amz-Signature=secret", b),
	                    "https://a:1/b");
	assert_string_equal(http_url_public("pw", b), "(not a URL)");
}

void test_url__escape(void **state)
{
	struct strbuf b cleanup_strbuf;

	(void)state;
	strbuf_init(&b, 100);
	http_escape(&b, S("repository:a/b-c_d.e~f:pull,push \xc3"));
	assert_str(strbuf_view(&b), "repository%3Aa%2Fb-c_d.e~f%3Apull%2Cpush%20%C3");
}
