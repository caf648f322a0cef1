#include "build_opts.h"
#include "commands.h"
#include "settings.h"
#include "util/mem.h"

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct cli_build_opts *o = call->opts;

	o->context = call->argv[0];
	if (o->quiet)
		o->progress = PROGRESS_QUIET;
	return build_run(o, call->ctx, &call->exit_code, err);
}

#define T struct cli_build_opts

static const struct cli_opt opts[] = {
	{ "add-host", 0, OPT_LIST(T, add_hosts), .arg = "HOST:IP",
	  .help = "Add a line to /etc/hosts of RUN steps" },
	{ "build-arg", 0, OPT_LIST(T, build_args), .arg = "KEY[=VALUE]",
	  .help = "Set an ARG; without a value, from the environment" },
	{ "build-context", 0, OPT_LIST(T, contexts), .arg = "NAME=PATH",
	  .help = "Folder or image that COPY --from=NAME and FROM NAME mean" },
	{ "cache-from", 0, OPT_LIST(T, cache_from), .arg = "TYPE",
	  .help = "Cache to read: type=registry,ref=REF, type=s3,bucket=B,region=R, type=local,src=DIR, or a "
	          "REF; may be repeated" },
	{ "cache-mounts", 0, OPT_STRING(T, cache_mounts),
	  .arg = "auto|off|ro[,max=SIZE][,ttl=TIME]",
	  .help = "Contents of RUN --mount=type=cache: restored from the caches that are read and saved to "
	          "those that are written (auto), only restored (ro), or neither (off); at most SIZE a mount, "
	          "unless unused for TIME (default: auto, or as cairn.yaml says)" },
	{ "cache-to", 0, OPT_LIST(T, cache_to), .arg = "TYPE",
	  .help = "Cache to write, while the build runs: as --cache-from (local: dest=DIR), with mode=min|max "
	          "and more; may be repeated" },
	{ "check", 0, OPT_FLAG(T, check),
	  .help = "Look for mistakes in the Dockerfile, do not build" },
	SETTINGS_OPTION(T, config),
	{ "file", 'f', OPT_STRING(T, file), .arg = "FILE", .hint = CLI_HINT_FILE,
	  .help = "The Dockerfile (default: PATH/Dockerfile; - is standard input)" },
	{ "iidfile", 0, OPT_STRING(T, iidfile), .arg = "FILE", .hint = CLI_HINT_FILE,
	  .help = "Write the image id to this file" },
	{ "jobs", 'j', OPT_UINT(T, jobs), .arg = "N",
	  .help = "Steps that may run at once (default: the number of CPUs)" },
	{ "label", 0, OPT_LIST(T, labels), .arg = "KEY=VALUE", .help = "Set a label of the image" },
	{ "metadata-file", 0, OPT_STRING(T, metadata_file), .arg = "FILE", .hint = CLI_HINT_FILE,
	  .help = "Write digests and names of the result to this file, as JSON" },
	{ "network", 0, OPT_STRING(T, network), .arg = "default|none|host",
	  .help = "Network of RUN steps (default is the host's)" },
	{ "no-cache", 0, OPT_FLAG(T, no_cache),
	  .help = "Run every step, even where a result is known" },
	{ "no-cache-filter", 0, OPT_LIST(T, no_cache_filter), .arg = "STAGE[,STAGE]",
	  .help = "The same for the steps of these stages" },
	{ "output", 'o', OPT_LIST(T, outputs), .arg = "TYPE", .hint = CLI_HINT_DIR,
	  .help = "Where the result goes: type=registry|oci|docker|tar|local|store[,dest=PATH], or a folder, "
	          "or - for a tar on standard output; may be repeated (default: type=store)" },
	{ "platform", 0, OPT_LIST(T, platforms), .arg = "OS/ARCH",
	  .help = "Platform of the image (default: this machine's)" },
	{ "progress", 0, OPT_ENUM(T, progress, progress_modes),
	  .help = "How to show what happens (default: tty on a terminal, else plain)" },
	{ "pull", 0, OPT_FLAG(T, pull), .help = "Ask the registry for newer base images" },
	{ "push", 0, OPT_FLAG(T, push), .help = "Push the image to where its names say" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print nothing but the image id" },
	{ "secret", 0, OPT_LIST(T, secrets), .arg = "id=ID[,src=FILE|,env=NAME]",
	  .help = "Secret for RUN --mount=type=secret; never part of the image" },
	{ "shm-size", 0, OPT_BYTES(T, shm_size), .arg = "BYTES",
	  .help = "Size of /dev/shm in RUN steps (default: 64m)" },
	{ "ssh", 0, OPT_LIST(T, ssh), .arg = "default|ID[=SOCKET]",
	  .help = "SSH agent for RUN --mount=type=ssh" },
	{ "tag", 't', OPT_LIST(T, tags), .arg = "NAME[:TAG]", .help = "Name the image" },
	{ "target", 0, OPT_STRING(T, target), .arg = "STAGE",
	  .help = "Build this stage (default: the last)" },
	{ "ulimit", 0, OPT_LIST(T, ulimits), .arg = "NAME=SOFT[:HARD]",
	  .help = "Resource limit of RUN steps, as in nofile=1024" },
	{ "allow", 0, OPT_UNSUPPORTED(true, "RUN steps have no extra rights to allow") },
	{ "annotation", 0, OPT_UNSUPPORTED(true, "use --label") },
	{ "attest", 0, OPT_UNSUPPORTED(true, "") },
	{ "builder", 0, OPT_UNSUPPORTED(true, "cairn has no builder instances, leave it out") },
	{ "call", 0, OPT_UNSUPPORTED(true, "use --check") },
	{ "cgroup-parent", 0, OPT_UNSUPPORTED(true, "") },
	{ "debug", 'D', OPT_UNSUPPORTED(false, "") },
	{ "load", 0, OPT_UNSUPPORTED(false, "use -o type=docker,dest=- | docker load") },
	{ "no-resolve-image-config", 0, OPT_UNSUPPORTED(false, "") },
	{ "policy", 0, OPT_UNSUPPORTED(true, "") },
	{ "provenance", 0, OPT_UNSUPPORTED(true, "") },
	{ "sbom", 0, OPT_UNSUPPORTED(true, "") },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn build -t app .",
	  "build the Dockerfile of this folder and keep the image as app:latest" },
	{ "cairn build -f docker/api.Dockerfile --target test .",
	  "another Dockerfile, and only up to a stage" },
	{ "cairn build -o type=oci,dest=app.tar .", "write an OCI archive" },
	{ "cairn build --build-arg VERSION=1.2 --secret id=token,src=token.txt .",
	  "pass an argument and a secret" },
	{ 0 },
};

const struct cli_cmd cmd_build = {
	.name = "build",
	.group = "Building",
	.summary = "Build an image from a Dockerfile",
	.description =
		"PATH is the folder whose files COPY and ADD can name. A .dockerignore file in it, or "
		"FILE.dockerignore beside the Dockerfile, keeps files out.\n\n"
		"A step whose inputs did not change is not run again. Steps that do not depend on each other "
		"run at the same time. Every finished step is kept at once: a build that fails or is "
		"interrupted continues where it stopped.\n\n"
		"The options are those of docker buildx build, spelled the same.",
	.args = "[OPTIONS] PATH",
	.min_args = 1,
	.max_args = 1,
	.hint = CLI_HINT_DIR,
	.needs = CLI_NEED_HOME,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
