#include <termios.h>
#include <unistd.h>

#include "commands.h"
#include "settings.h"
#include "transfer.h"
#include "util/fs.h"

struct login_opts {
	const char *config;
	const char *user;
	const char *password; /* as docker takes it; warned about */
	bool password_stdin;
};

#define LINE_MAX_ (64 * 1024) /* bytes of a user name or password */

/* "docker.io" for the ways people and config.json call Docker Hub; a URL becomes its host. */
static int registry_name(struct cli_call *call, char **ret, struct cairn_err *err)
{
	str s = str_of(call->argc > 0 ? call->argv[0] : REFERENCE_DOCKER_IO), host, rest;
	cleanup_free char *probe = NULL, *host_text = NULL;
	struct reference ref;

	if (str_search(s, S("://")) >= 0)
		s = str_skip(s, (size_t)str_search(s, S("://")) + 3);
	(void)str_cut(s, '/', &host, &rest);
	host_text = str_dup(host);
	probe = xasprintf("%.*s/x", STR(host));
	if (reference_parse(str_of(probe), &ref, err) < 0 ||
	    (strcmp(ref.path, "x") != 0 && strcmp(ref.domain, host_text) != 0))
		return cairn_fail(err, CAIRN_E_USAGE, "'%.*s' is not the name of a registry",
		                  STR(host));
	*ret = xstrdup(ref.domain);
	return 0;
}

/* A line of standard input without its end. */
static int read_line(const char *what, char **ret, struct cairn_err *err)
{
	char *line = xcalloc(1, LINE_MAX_);
	size_t n = 0;
	char c;

	while (n < LINE_MAX_ - 1 && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		line[n++] = c;
	while (n && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	*ret = line;
	return n ? 0 : cairn_fail(err, CAIRN_E_USAGE, "no %s was given", what);
}

/* All of standard input, which may be a key of several lines, without its last line end. */
static int read_all(char **ret, struct cairn_err *err)
{
	char *text = xcalloc(1, LINE_MAX_);
	size_t n = 0;
	int rc = fs_read_full(STDIN_FILENO, text, LINE_MAX_ - 1, &n, "standard input", err);

	*ret = text;
	TRY(rc);
	if (n && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n && text[n - 1] == '\r')
		text[--n] = '\0';
	return n ? 0 : cairn_fail(err, CAIRN_E_USAGE, "standard input has no password");
}

static int ask(struct cli_call *call, const char *what, bool hidden, char **ret,
               struct cairn_err *err)
{
	struct termios was, quiet;
	int rc;

	if (!isatty(STDIN_FILENO))
		return cairn_fail(err, CAIRN_E_USAGE, "%s: standard input is no terminal; use %s",
		                  what, hidden ? "--password-stdin" : "--username");
	(void)fprintf(call->ctx->err, "%s: ", what);
	(void)fflush(call->ctx->err);
	if (hidden && tcgetattr(STDIN_FILENO, &was) == 0) {
		quiet = was;
		quiet.c_lflag &= (tcflag_t)~ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		rc = read_line(what, ret, err);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		(void)fputc('\n', call->ctx->err);
		return rc;
	}
	return read_line(what, ret, err);
}

struct checking {
	struct registry *registry;
	const char *name;
	const struct credentials *creds;
};

static int check(void *ctx, struct cairn_err *err)
{
	const struct checking *c = ctx;
	struct cairn_err why;
	int r = registry_check_login(c->registry, c->name, c->creds, err);

	if (r != CAIRN_E_TRANSIENT && r != CAIRN_E_TIMEOUT)
		return r;
	why = *err;
	return cairn_fail(err, r,
	                  "%s does not answer, so the login was not tried and not kept; check the "
	                  "name and the network (%s)",
	                  c->name, why.msg);
}

static int check_login(struct cli_call *call, const char *name, const struct credentials *creds,
                       struct cairn_err *err)
{
	cleanup_transfer struct transfer *t = NULL;
	struct checking c = { .name = name, .creds = creds };
	struct transfer_work work = { .run = check, .ctx = &c };

	TRY(transfer_new(call->ctx, "login", true, &t, err));
	c.registry = transfer_registry(t);
	return transfer_run(t, &work, err);
}

static int config_dir(char **ret, struct cairn_err *err)
{
	*ret = credentials_dir();
	return *ret ? 0
	            : cairn_fail(err, CAIRN_E_USAGE,
	                         "no place for config.json: set DOCKER_CONFIG or HOME");
}

static int check_options(const struct login_opts *o, struct cairn_err *err)
{
	const char *given = o->password ? "--password" : "--password-stdin";

	if (o->password && o->password_stdin)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "give either --password or --password-stdin, not both");
	if (!o->user && (o->password || o->password_stdin))
		return cairn_fail(err, CAIRN_E_USAGE, "%s needs --username", given);
	if (o->password && !*o->password)
		return cairn_fail(err, CAIRN_E_USAGE, "the password is empty");
	return 0;
}

static int get_login(struct cli_call *call, struct credentials *ret, struct cairn_err *err)
{
	const struct login_opts *o = call->opts;

	TRY(check_options(o, err));
	if (o->user)
		ret->user = xstrdup(o->user);
	else
		TRY(ask(call, "user name", false, &ret->user, err));
	if (strchr(ret->user, ':'))
		return cairn_fail(err, CAIRN_E_USAGE, "a user name has no ':'");
	if (o->password_stdin)
		return read_all(&ret->secret, err);
	if (!o->password)
		return ask(call, "password", true, &ret->secret, err);
	(void)fputs(
		"cairn: warning: --password can be read by everybody on this machine and stays in "
		"the shell's history; use --password-stdin\n",
		call->ctx->err);
	ret->secret = xstrdup(o->password);
	return 0;
}

static int run_login(struct cli_call *call, struct cairn_err *err)
{
	const struct login_opts *o = call->opts;
	struct credentials creds cleanup_credentials = { .kind = CREDENTIALS_BASIC };
	cleanup_free char *name = NULL, *dir = NULL, *where = NULL;

	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(registry_name(call, &name, err));
	TRY(config_dir(&dir, err));
	TRY(get_login(call, &creds, err));
	TRY(check_login(call, name, &creds, err));
	TRY(credentials_store(dir, str_of(name), &creds, &where, err));
	(void)fprintf(call->ctx->out, "Logged in to %s; kept in %s\n", name, where);
	return 0;
}

static int run_logout(struct cli_call *call, struct cairn_err *err)
{
	cleanup_free char *name = NULL, *dir = NULL;
	bool was = false;

	TRY(registry_name(call, &name, err));
	TRY(config_dir(&dir, err));
	TRY(credentials_erase(dir, str_of(name), &was, err));
	(void)fprintf(call->ctx->out, was ? "Logged out of %s\n" : "Not logged in to %s\n", name);
	return 0;
}

#define T struct login_opts

static const struct cli_opt login_options[] = {
	SETTINGS_OPTION(T, config),
	{ "username", 'u', OPT_STRING(T, user), .arg = "NAME",
	  .help = "User name (default: asked for)" },
	{ "password-stdin", 0, OPT_FLAG(T, password_stdin),
	  .help = "Read the password from standard input" },
	{ "password", 'p', OPT_STRING(T, password), .arg = "TEXT",
	  .help = "Password; everybody on this machine can read command lines, so rather use "
	          "--password-stdin" },
	{ 0 },
};

static const struct cli_example login_examples[] = {
	{ "cairn login -u me --password-stdin registry.example <token", "without a terminal" },
	{ 0 },
};

const struct cli_cmd cmd_login = {
	.name = "login",
	.group = "Registries",
	.summary = "Log in to a registry",
	.description =
		"Tries the login and keeps it as docker does: with the credential helper that "
		"config.json names (credHelpers, credsStore), else in config.json itself, readable by "
		"you alone. Its other members stay. Without REGISTRY: Docker Hub.\n\n"
		"ECR needs no login: without one cairn makes a token from AWS credentials.",
	.args = "[OPTIONS] [REGISTRY]",
	.max_args = 1,
	.opts = login_options,
	.opts_size = sizeof(T),
	.run = run_login,
	.examples = login_examples,
};

const struct cli_cmd cmd_logout = {
	.name = "logout",
	.group = "Registries",
	.summary = "Forget the login of a registry",
	.description = "Removes it from the credential helper and from config.json.",
	.args = "[REGISTRY]",
	.max_args = 1,
	.run = run_logout,
};
