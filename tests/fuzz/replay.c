/* tests/fuzz/replay.c - run a fuzz target over the files of its corpus.
 *
 * usage: fuzz-replay-X FILE|DIRECTORY...
 *
 * Every build runs each corpus this way, with any compiler; with -Dfuzz=true (clang)
 * the same targets are linked with libFuzzer: build/tests/fuzz/fuzz-X tests/fuzz/corpus/X.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "util/fs.h"

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dirfd, const char *path, unsigned *count)
{
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	uint8_t *exact;

	strbuf_init(&b, INPUT_MAX);
	if (fs_read_file(dirfd, path, &b, &err) < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, err.msg);
		return -1;
	}
	/* A copy of exactly this size: a sanitizer sees one byte too far. */
	exact = xmalloc(b.len);
	memcpy(exact, b.ptr, b.len);
	(void)LLVMFuzzerTestOneInput(exact, b.len);
	free(exact);
	(*count)++;
	return 0;
}

static int replay(const char *path, unsigned *count)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return replay_file(AT_FDCWD, path, count);
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && replay_file(dirfd(dir), e->d_name, count) < 0)
			rc = -1;
	(void)closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int rc = 0;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		if (replay(argv[i], &count) < 0)
			rc = 1;
	(void)printf("%u inputs\n", count);
	return count ? rc : 1;
}
