/* `runners:`; the catalogue that is built in (data/runners.yaml) is read by the same tables. */
#include "config_priv.h"

#include "util/num.h"

static const char *const drivers[] = {
	[RUNNER_UNKNOWN] = "", /* nobody can write it */
	[RUNNER_LOCAL] = "local",
	[RUNNER_GITHUB] = "github",
	[RUNNER_CODEBUILD] = "codebuild",
	[RUNNER_CODEBUILD_RUNNER] = "codebuild-runner",
	NULL,
};

static const char *const roundings[] = {
	[RUNNER_MINUTE] = "minute",
	[RUNNER_SECOND] = "second",
	NULL,
};

static const char *const archs[] = {
	[RUNNER_ANY_ARCH] = "any",
	[RUNNER_AMD64] = "amd64",
	[RUNNER_ARM64] = "arm64",
	NULL,
};

const char *runner_driver_name(enum runner_driver d)
{
	return d > RUNNER_UNKNOWN && d < RUNNER_DRIVERS_ ? drivers[d] : "unknown";
}

const char *runner_arch_name(enum runner_arch a)
{
	return (unsigned)a < RUNNER_ARCHS_ ? archs[a] : "unknown";
}

static int check_price(const struct conf_reader *r, const struct conf_node *n, void *value,
                       struct cairn_err *err)
{
	const str *text = value;
	struct cairn_err ignored;
	uint64_t price;

	if (num_money(*text, &price, &ignored) < 0)
		return conf_fail(r, n, err,
		                 "'%.*s' is no price; write USD per minute, as 0.005 (at most six "
		                 "digits after the point)",
		                 STR(*text));
	return 0;
}

static int finish_runner(const struct conf_reader *r, const struct conf_node *n, void *object,
                         struct cairn_err *err)
{
	struct workspace_runner *runner = object;

	(void)r;
	(void)n;
	runner->has_price = runner->price_text.len > 0;
	if (runner->has_price)
		TRY(num_money(runner->price_text, &runner->price, err));
	return 0;
}

static int check_name(const struct conf_reader *r, const struct conf_pair *p, struct cairn_err *err)
{
	bool ok = p->key.len > 0 && p->key.len < 100;

	for (size_t i = 0; i < p->key.len; i++) {
		char c = p->key.ptr[i];

		ok = ok && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		            (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-');
	}
	return ok ? 0
	          : conf_fail(r, p, err,
	                      "'%.*s' is no name of a runner; it may have letters, digits, '.', "
	                      "'_' and '-'",
	                      STR(p->key));
}

static void place(void *object, unsigned line, unsigned col)
{
	struct workspace_runner *r = object;

	r->line = line;
	r->col = col;
}

#define AT(field) offsetof(struct workspace_runner, field)

static const struct conf_field runner_fields[] = {
	{ "driver", CONF_F_ENUM, AT(driver), .choices = drivers, .help = "How it is started" },
	{ "compute", CONF_F_STRING, AT(compute), .help = "CodeBuild's compute type",
	  .example = "BUILD_GENERAL1_LARGE" },
	{ "environment", CONF_F_STRING, AT(environment), .help = "CodeBuild's environment type",
	  .example = "LINUX_CONTAINER" },
	{ "project", CONF_F_STRING, AT(project), .example = "images",
	  .help = "CodeBuild's project that 'cairn ci run' starts (default: the one it runs in)" },
	{ "region", CONF_F_STRING, AT(region), .example = "eu-central-1",
	  .help = "Of CodeBuild's project (default: that of the credentials)" },
	{ "labels", CONF_F_STRINGS, AT(labels), .help = "What runs-on has to say",
	  .example = "ubuntu-latest" },
	{ "repository", CONF_F_STRING, AT(repository), .example = "owner/name",
	  .help = "GitHub repository whose workflow 'cairn ci run' starts (default: this one)" },
	{ "workflow", CONF_F_STRING, AT(workflow), .example = "build-containers.yml",
	  .help = "File of that workflow (default: build-containers.yml)" },
	{ "image", CONF_F_STRING, AT(image), .help = "Image of the build environment",
	  .example = "aws/codebuild/standard:7.0" },
	{ "vcpu", CONF_F_UINT, AT(vcpu), .min = 1, .max = 4096, .help = "Processors" },
	{ "memory", CONF_F_BYTES, AT(memory), .help = "Memory that a build can use",
	  .example = "16g" },
	{ "disk", CONF_F_BYTES, AT(disk), .help = "Disk that a build can use", .example = "64g" },
	{ "price", CONF_F_STRING, AT(price_text), .check = check_price, .help = "USD per minute",
	  .example = "0.005" },
	{ "rounding", CONF_F_ENUM, AT(rounding), .choices = roundings,
	  .help = "What time is rounded up to on the bill (default: minute)" },
	{ "start_latency", CONF_F_DURATION, AT(latency), .example = "45s",
	  .help = "From asking for it to the first step" },
	{ "concurrency", CONF_F_UINT, AT(concurrency), .min = 1, .max = 10000,
	  .help = "How many run at one time (default: 1 of local, 20 of others)" },
	{ "arch", CONF_F_ENUM, AT(arch), .choices = archs, .help = "Architecture" },
	{ "gpu", CONF_F_BOOL, AT(gpu), .help = "It has a GPU" },
	{ "spot", CONF_F_BOOL, AT(spot), .help = "It may be taken away" },
	{ "interruptions", CONF_F_UINT, AT(interruptions), .max = 1000,
	  .help = "Of a hundred hours of a spot machine, how often it is taken away" },
	{ "privileged", CONF_F_BOOL, AT(privileged), .help = "Builds run privileged" },
	{ "source", CONF_F_STRING, AT(source), .help = "Where the figures come from" },
	{ "date", CONF_F_STRING, AT(date), .help = "Of when they are", .example = "2026-11-22" },
	{ "unconfirmed", CONF_F_STRINGS, AT(unconfirmed),
	  .help = "Figures that nobody has confirmed" },
	{ 0 },
};

const struct conf_object config_runner_object = {
	.fields = runner_fields,
	.size = sizeof(struct workspace_runner),
	.finish = finish_runner,
	.check_name = check_name,
	.place = place,
};
