/* net/aws_ecr.c - tokens for ECR's registries.
 *
 * https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "aws_error.h"
#include "aws_json.h"
#include "aws_priv.h"

#define RENEW_EARLY (900 * CLOCK_SEC) /* a push that has begun is to end with its token */
#define TOKEN_MAX   (64u << 10)
#define ACCOUNT_LEN 12u

static const char *const hosts[] = { ".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips." };
static const char *const domains[] = {
	".amazonaws.com", ".amazonaws.com.cn", ".on.aws",         ".on.amazonwebservices.com.cn",
	".c2s.ic.gov",    ".sc2s.sgov.gov",    ".csp.hci.ic.gov", ".cloud.adc-e.uk",
	".amazonaws.eu",
};

bool aws_ecr_domain(const char *domain, char ret_region[AWS_REGION_MAX])
{
	str s = str_of(domain), region = { 0 };

	for (size_t i = 0; i < s.len && i < ACCOUNT_LEN; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	s = str_skip(s, ACCOUNT_LEN);
	for (size_t i = 0; i < ARRAY_SIZE(hosts) && !region.ptr; i++)
		if (str_starts(s, str_of(hosts[i])))
			region = str_skip(s, strlen(hosts[i]));
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
		str end = str_of(domains[i]), name;

		if (!str_ends(region, end))
			continue;
		name = str_n(region.ptr, region.len - end.len);
		if (!aws_region_valid(name))
			continue;
		if (ret_region)
			(void)snprintf(ret_region, AWS_REGION_MAX, "%.*s", STR(name));
		return true;
	}
	return false;
}

/* base64("AWS:password") */
static int decode(const char *token, char **ret, struct cairn_err *err)
{
	cleanup_free unsigned char *plain = NULL;
	size_t len = strlen(token);
	str user, password;
	int n = -1;

	plain = xcalloc(1, len / 4 * 3 + 4);
	if (len && len <= TOKEN_MAX && len % 4 == 0)
		n = EVP_DecodeBlock(plain, (const unsigned char *)token, (int)len);
	/* EVP_DecodeBlock counts padding as bytes, which are NUL; the password has none. */
	if (n < 0 || !str_cut(str_of((char *)plain), ':', &user, &password) || !password.len)
		return cairn_fail(err, CAIRN_E_AUTH, "ECR sent a token that makes no sense");
	*ret = str_dup(password);
	explicit_bzero(plain, (size_t)n);
	return 0;
}

/* "expiresAt" is seconds since 1970 as a number with a fraction. */
static int read_answer(const json_t *j, struct aws_ecr_token *ret, struct cairn_err *err)
{
	const json_t *data = json_array_get(json_object_get(j, "authorizationData"), 0);
	const char *token = json_string_value(json_object_get(data, "authorizationToken"));
	const json_t *expires = json_object_get(data, "expiresAt");

	if (!token || !json_is_number(expires) || json_number_value(expires) < 0 ||
	    json_number_value(expires) > 9e9)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "ECR's answer has no authorizationToken or expiresAt");
	TRY(decode(token, &ret->password, err));
	ret->expires = (int64_t)json_number_value(expires) * CLOCK_SEC;
	return 0;
}

static int fetch(struct aws *a, const char *domain, struct aws_ecr_token *t, struct cairn_err *err)
{
	cleanup_free char *what = xasprintf("token for %.100s (ecr:GetAuthorizationToken)", domain);
	const struct aws_call call = {
		.service = "ecr",
		.endpoint = strstr(domain, "ecr-fips.") ? "ecr-fips" : "ecr",
		.region = t->region,
		.target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
		.what = what,
		.body = S("{}"),
		.secret = true,
	};
	cleanup_json json_t *j = NULL;

	TRY(aws_call(a, &call, &j, NULL, err));
	if (read_answer(j, t, err) < 0)
		return cairn_wrap(err, "token for %.100s", domain);
	return 0;
}

/* The region's place in the table; a->ecr_lock is held. */
static struct aws_ecr_token *place(struct aws *a, const char *region)
{
	vec_foreach (t, &a->ecr)
		if (strcmp(t->region, region) == 0)
			return t;
	vec_push(&a->ecr,
	         (struct aws_ecr_token){ .region = xstrdup(region), .password = xstrdup("") });
	return vec_last(&a->ecr);
}

int aws_ecr_login(struct aws *a, const char *domain, const char *refused, char **ret_password,
                  struct cairn_err *err)
{
	char region[AWS_REGION_MAX];
	struct aws_ecr_token *t;
	int rc = 0;

	if (!aws_ecr_domain(domain, region))
		return cairn_fail(err, CAIRN_E_USAGE, "%.100s is not a registry of ECR", domain);
	(void)pthread_mutex_lock(&a->ecr_lock);
	t = place(a, region);
	if (!t->password[0] || (refused && strcmp(refused, t->password) == 0) ||
	    aws_now(a) >= t->expires - RENEW_EARLY) {
		struct aws_ecr_token fresh = { .region = region };

		rc = fetch(a, domain, &fresh, err);
		if (rc == 0) {
			explicit_bzero(t->password, strlen(t->password));
			free(t->password);
			t->password = fresh.password;
			t->expires = fresh.expires;
		}
	}
	if (rc == 0)
		*ret_password = xstrdup(t->password);
	(void)pthread_mutex_unlock(&a->ecr_lock);
	return rc;
}
