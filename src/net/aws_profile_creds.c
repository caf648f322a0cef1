/* net/aws_profile_creds.c - credentials that a profile leads to. */
#include "aws_error.h"
#include "aws_priv.h"
#include "aws_profile.h"
#include "util/proc.h"

#define ROLE_DEPTH      8u /* source_profile of source_profile ... */
#define PROCESS_TIMEOUT (60 * (uint64_t)CLOCK_SEC)

/* A profile, and those it refers to. */
struct lookup {
	struct aws *a;
	const struct aws_profiles *p;
	unsigned depth;
};

static int from_profile(struct lookup *l, const char *name, bool with_role, struct aws_creds *ret,
                        bool *ret_found, struct cairn_err *err);

static int from_keys(const struct lookup *l, const char *name, struct aws_creds *ret,
                     bool *ret_found, struct cairn_err *err)
{
	const char *id = aws_profiles_get(l->p, name, "aws_access_key_id");
	const char *secret = aws_profiles_get(l->p, name, "aws_secret_access_key");
	const char *token = aws_profiles_get(l->p, name, "aws_session_token");
	cleanup_free char *source = xasprintf("the AWS profile '%.100s'", name);

	if (!id && !secret)
		return 0;
	*ret_found = true;
	return aws_creds_set(ret, str_of(id), str_of(secret), str_of(token), source, err);
}

/* The command is a line for the shell, as in the SDKs for Go, Java and JavaScript. */
static int from_process(const struct lookup *l, const char *name, struct aws_creds *ret,
                        bool *ret_found, struct cairn_err *err)
{
	const char *command = aws_profiles_get(l->p, name, "credential_process");
	const char *argv[] = { "sh", "-c", command, NULL };
	struct proc_opts o = { .argv = argv, .timeout_ns = PROCESS_TIMEOUT };
	struct proc_result r cleanup_proc_result;
	cleanup_free char *source =
		xasprintf("credential_process of the AWS profile '%.100s'", name);
	char text[200];
	int rc;

	proc_result_init(&r, AWS_CREDS_MAX);
	if (!command)
		return 0;
	rc = proc_run(&o, &r, err);
	if (rc < 0) {
		err->code = CAIRN_E_AUTH;
		return cairn_wrap(err, "%s", source);
	}
	aws_error_text(text, sizeof(text), str_trim(strbuf_view(&r.errors)));
	if (r.exit_code != 0)
		return cairn_fail(err, CAIRN_E_AUTH, "%s ended with exit code %d: %s", source,
		                  r.exit_code, text);
	*ret_found = true;
	return aws_creds_json(ret, strbuf_view(&r.output), "SessionToken", source, err);
}

/* credential_source: what the role is assumed with. */
static int from_named_source(const struct lookup *l, const char *profile, const char *what,
                             struct aws_creds *ret, struct cairn_err *err)
{
	static const struct {
		const char *name;
		int (*find)(struct aws *a, struct aws_creds *ret, bool *ret_found,
		            struct cairn_err *err);
	} named[] = {
		{ "Environment", aws_env_creds },
		{ "EcsContainer", aws_container_creds },
		{ "Ec2InstanceMetadata", aws_imds_creds },
	};
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (strcmp(what, named[i].name) != 0)
			continue;
		TRY(named[i].find(l->a, ret, &found, err));
		return found ? 0
		             : cairn_fail(err, CAIRN_E_AUTH,
		                          "AWS profile '%.100s': credential_source %s has no "
		                          "credentials",
		                          profile, what);
	}
	return cairn_fail(err, CAIRN_E_AUTH, "AWS profile '%.100s': no credential_source '%.40s'",
	                  profile, what);
}

static int base_creds(struct lookup *l, const char *name, struct aws_creds *ret,
                      struct cairn_err *err)
{
	const char *source = aws_profiles_get(l->p, name, "source_profile");
	const char *named = aws_profiles_get(l->p, name, "credential_source");
	bool found = false;

	if (!source == !named)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS profile '%.100s': role_arn needs either source_profile or "
		                  "credential_source",
		                  name);
	if (named)
		return from_named_source(l, name, named, ret, err);
	if (++l->depth > ROLE_DEPTH)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS profile '%.100s': more than %u source_profiles", name,
		                  ROLE_DEPTH);
	/* A profile may be its own source: its keys assume its role. */
	TRY(from_profile(l, source, strcmp(source, name) != 0, ret, &found, err));
	if (!found)
		return cairn_fail(
			err, CAIRN_E_AUTH, "AWS profile '%.100s': its source_profile '%.100s' %s",
			name, source,
			aws_profiles_has(l->p, source) ? "has no credentials" : "does not exist");
	return 0;
}

static int from_role(struct lookup *l, const char *name, struct aws_creds *ret, bool *ret_found,
                     struct cairn_err *err)
{
	struct aws_creds base cleanup_aws_creds = { 0 };
	cleanup_free char *source = xasprintf("the role of the AWS profile '%.100s'", name);
	struct aws_role role = {
		.arn = aws_profiles_get(l->p, name, "role_arn"),
		.session = aws_profiles_get(l->p, name, "role_session_name"),
		.external_id = aws_profiles_get(l->p, name, "external_id"),
		.duration = aws_profiles_get(l->p, name, "duration_seconds"),
		.token_file = aws_profiles_get(l->p, name, "web_identity_token_file"),
		.base = &base,
		.source = source,
	};

	if (!role.arn)
		return 0;
	if (aws_profiles_get(l->p, name, "mfa_serial"))
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS profile '%.100s': its role asks for a code (mfa_serial); "
		                  "export credentials with 'aws configure export-credentials "
		                  "--format env'",
		                  name);
	if (!role.token_file)
		TRY(base_creds(l, name, &base, err));
	*ret_found = true;
	return aws_sts_assume(l->a, &role, ret, err);
}

/* What needs a browser. */
static int refuse_sign_in(const struct lookup *l, const char *name, struct cairn_err *err)
{
	static const char *const keys[] = { "sso_session", "sso_start_url", "login_session" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (aws_profiles_get(l->p, name, keys[i]))
			return cairn_fail(err, CAIRN_E_AUTH,
			                  "AWS profile '%.100s' signs in with a browser (%s), "
			                  "which cairn does not do; export credentials with 'aws "
			                  "configure export-credentials --profile %.100s "
			                  "--format env'",
			                  name, keys[i], name);
	return 0;
}

static int from_profile(struct lookup *l, const char *name, bool with_role, struct aws_creds *ret,
                        bool *ret_found, struct cairn_err *err)
{
	if (with_role)
		TRY(from_role(l, name, ret, ret_found, err));
	if (!*ret_found)
		TRY(from_keys(l, name, ret, ret_found, err));
	if (!*ret_found)
		TRY(from_process(l, name, ret, ret_found, err));
	return *ret_found ? 0 : refuse_sign_in(l, name, err);
}

int aws_profile_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err)
{
	struct aws_profiles p cleanup_aws_profiles = { 0 };
	struct lookup l = { .a = a, .p = &p };
	const char *name;

	*ret_found = false;
	TRY(aws_profiles_load(a, &p, &name, err));
	return from_profile(&l, name, true, ret, ret_found, err);
}
