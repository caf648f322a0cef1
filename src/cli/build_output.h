/* cli/build_output.h - what becomes of a built image: outputs, SOURCE_DATE_EPOCH, metadata. */
#ifndef CAIRN_CLI_BUILD_OUTPUT_H
#define CAIRN_CLI_BUILD_OUTPUT_H

#include "build_opts.h"
#include "engine/engine.h"
#include "util/map.h"

struct build_outputs {
	struct outputs_opts *opts;   /* to be filled */
	const char *const *insecure; /* "host:port" that an output wants plain HTTP with */
	size_t n_insecure;
};

/* Fill outputs, n, has_epoch and epoch of *ret->opts from the options; everything lives in a.
 *
 * build_args  SOURCE_DATE_EPOCH is taken from it (the environment's must be in it already)
 *
 * Fails with CAIRN_E_USAGE, also for a level that the compression does not have and for an
 * epoch that is no number. */
int build_outputs(const struct cli_build_opts *o, const struct map *build_args, struct arena *a,
                  struct build_outputs *ret, struct cairn_err *err);

/* Does an output take standard output? */
bool build_outputs_stdout(const struct outputs_opts *o);

/* What --metadata-file gets, as `docker buildx build` writes it:
 *
 *	containerimage.config.digest  id of the image
 *	containerimage.descriptor     of the manifest, when an output has one
 *	containerimage.digest         its digest
 *	image.name                    names in full, joined by commas
 *	cairn                         {"steps":N,"cached":N,"seconds":S}
 *
 * names    as people write them; ends with NULL
 * wall_ns  how long the build took
 * text     gets the JSON */
void build_metadata(const struct engine_image *im, const struct outputs_result *outputs,
                    const char *const *names, int64_t wall_ns, struct strbuf *text);

#endif
