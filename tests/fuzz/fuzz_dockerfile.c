/* Parse, lint, type and print any text; triggers parse again to what they were. */
#include <assert.h>
#include <stdint.h>

#include "dockerfile/dockerfile.h"
#include "util/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const struct dockerfile *df, const struct dockerfile_node *n)
{
	unsigned lines = 1;

	for (size_t i = 0; i < df->text.len; i++)
		lines += df->text.ptr[i] == '\n';
	assert(n->line >= 1 && n->line <= n->end_line && n->end_line <= lines);
	assert(n->name.len && n->text.len);
	for (size_t i = 0; i < n->n_flags; i++)
		assert(str_starts(n->flags_raw[i], S("--")));
	for (size_t i = 0; i < n->n_heredocs; i++)
		assert(n->heredocs[i].content.len <= n->heredocs[i].raw.len);
}

static void check_instr(const struct instr *in)
{
	cleanup_arena struct arena *arena = arena_new();
	struct cairn_err err;
	struct instr again;

	/* triggers have the default escape, so only without it in the text */
	if (in->kind == INSTR_ONBUILD && str_find(in->word.word, '\\') < 0 &&
	    str_find(in->word.word, '`') < 0)
		(void)instr_parse_line(in->word.word, "trigger", arena, &again, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_strbuf struct strbuf b;
	cleanup_json json_t *j = NULL;
	struct instr_list list = { 0 };
	struct cairn_err err = { 0 };

	strbuf_init(&b, SIZE_MAX / 2);
	if (dockerfile_parse(str_n((const char *)data, size), "Dockerfile", &df, &err) < 0) {
		assert(err.code == CAIRN_E_SYNTAX);
		return 0;
	}
	for (size_t i = 0; i < df->n_nodes; i++)
		check_node(df, &df->nodes[i]);
	j = dockerfile_to_json(df);
	json_write(j, &b);
	if (dockerfile_instrs(df, &list, &err) < 0) {
		assert(err.code == CAIRN_E_SYNTAX && err.line >= 1);
		return 0;
	}
	for (size_t i = 0; i < list.len; i++)
		check_instr(&list.ptr[i]);
	return 0;
}
