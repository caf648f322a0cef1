#include "harness.h"

#include "dockerfile/dockerfile.h"
#include "util/strbuf.h"

struct lint_case {
	const char *text, *want; /* want: "line rule: text" by lines */
};

static void check(const struct lint_case *c)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct cairn_err err = { 0 };
	struct strbuf b;

	strbuf_init(&b, 1 << 20);
	assert_ok(dockerfile_parse(str_of(c->text), "Dockerfile", &df, &err));
	for (size_t i = 0; i < df->n_warnings; i++)
		strbuf_printf(&b, "%s%u %s: %.*s", i ? "\n" : "", df->warnings[i].line,
		              df->warnings[i].rule, STR(df->warnings[i].text));
	if (strcmp(b.ptr, c->want) != 0)
		fail_msg("%s\n--- warns\n%s\n--- not\n%s", c->text, b.ptr, c->want);
	strbuf_done(&b);
}

void test_lint__rules(void **state)
{
	static const struct lint_case cases[] = {
		{ "FROM a AS b\nRUN x\nCMD [\"x\"]\n", "" },
		{ "FROM a AS Build\n",
		  "1 StageNameCasing: Stage name 'Build' should be lowercase" },
		{ "FROM a as b\n",
		  "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match" },
		{ "from a AS b\n",
		  "1 FromAsCasing: 'AS' and 'from' keywords' casing do not match" },
		{ "from a as b\n", "" },
		{ "FROM a\nRUN x \\\n\n y\n", "2 NoEmptyContinuation: Empty continuation line" },
		{ "FROM a\nRUN x\nrun y\n", "3 ConsistentInstructionCasing: Command 'run' should "
		                            "match the case of the command majority (uppercase)" },
		{ "from a\nrun x\nRun y\n", "3 ConsistentInstructionCasing: Command 'Run' should "
		                            "match the case of the command majority (lowercase)" },
		{ "FROM a AS b\nFROM c AS b\n", "2 DuplicateStageName: Duplicate stage name \"b\", "
		                                "stage names should be unique" },
		{ "FROM a AS scratch\n", "1 ReservedStageName: Stage name should not use the same "
		                         "name as reserved stage \"scratch\"" },
		{ "FROM a\nCMD x\n", "2 JSONArgsRecommended: JSON arguments recommended for CMD to "
		                     "prevent unintended behavior related to OS signals" },
		{ "FROM a\nENTRYPOINT x\n",
		  "2 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent "
		  "unintended behavior related to OS signals" },
		{ "FROM a AS b\nSHELL [\"x\"]\nCMD x\nFROM b\nENTRYPOINT x\n", "" },
		{ "FROM a\nMAINTAINER x\n", "2 MaintainerDeprecated: Maintainer instruction is "
		                            "deprecated in favor of using label" },
		{ "ARG VERSION=1\nFROM a:$VERSION$X\nFROM b:${Versoin:-1}\n",
		  "2 UndefinedArgInFrom: FROM argument 'X' is not declared\n"
		  "3 UndefinedArgInFrom: FROM argument 'Versoin' is not declared (did you "
		  "mean VERSION?)" },
		{ "ARG VERSION=1\nFROM a:${VERSOIN}\n",
		  "2 UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (did you mean "
		  "VERSION?)" },
		{ "FROM --platform=$BUILDPLATFORM a\n", "" },
		{ "FROM a\nWORKDIR x\nWORKDIR y\n",
		  "2 WorkdirRelativePath: Relative workdir \"x\" can have unexpected results if "
		  "the base image changes" },
		{ "FROM a AS b\nWORKDIR /x\nWORKDIR y\nFROM b\nWORKDIR z\n", "" },
		{ "FROM a\nCMD [\"x\"]\nCMD [\"y\"]\nCMD [\"z\"]\nFROM b\nCMD [\"x\"]\n",
		  "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used "
		  "in the same stage because only the last one will be used\n"
		  "3 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used "
		  "in the same stage because only the last one will be used" },
		{ "FROM a\nENV a b\nLABEL c d\n",
		  "2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy "
		  "\"ENV key value\" format\n"
		  "3 LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy "
		  "\"LABEL key value\" format" },
		{ "FROM --platform=$TARGETPLATFORM a\n",
		  "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in "
		  "FROM is redundant as this is the default behavior" },
		{ "FROM a\nARG API_KEY\nENV DB_PASSWORD=x MONKEY=y PUBLIC_KEY=z\n",
		  "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data "
		  "(ARG \"API_KEY\")\n"
		  "3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data "
		  "(ENV \"DB_PASSWORD\")" },
		{ "ARG TAG\nFROM busybox:${TAG}\n",
		  "2 InvalidDefaultArgInFrom: Default value for ARG busybox:${TAG} results in "
		  "empty or invalid base image name" },
		{ "ARG TAG=1\nARG IMG=busybox:$TAG\nFROM $IMG\nFROM x-$TARGETARCH\n", "" },
		{ "FROM --platform=linux/arm64 a\nFROM --platform=linux/arm64 a AS build-arm64\n",
		  "1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant "
		  "value \"linux/arm64\"" },
		{ "FROM a\nEXPOSE 80/TCP 127.0.0.1:81:80\n",
		  "2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be "
		  "lowercase\n"
		  "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or "
		  "host-port mapping, found '127.0.0.1:81:80'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

void test_lint__check_directive(void **state)
{
	static const struct lint_case cases[] = {
		{ "# check=skip=FromAsCasing\nFROM a as B\n",
		  "2 StageNameCasing: Stage name 'B' should be lowercase" },
		{ "#check=skip=FromAsCasing, StageNameCasing\nFROM a as B\n", "" },
		{ "# check=skip=all\nFROM a as B\n", "" },
		{ "# check=error=true;skip=all\nFROM a as B\n", "" },
		{ "# syntax=x\n# check=skip=all\nFROM a as B\n", "" },
		{ "FROM a\n# check=skip=JSONArgsRecommended\nCMD x\n", "" },
		{ "FROM a\n# check=skip=JSONArgsRecommended\n\nCMD x\n",
		  "4 JSONArgsRecommended: JSON arguments recommended for CMD to prevent "
		  "unintended behavior related to OS signals" },
		{ "# a comment\n# too\nFROM a AS b\n", "" },
		{ "# check=experimental=all\n# too\nFROM a AS b\n",
		  "3 InvalidDefinitionDescription: Comment for build stage should follow the "
		  "format: `# b <description>`" },
		{ "# check=experimental=InvalidDefinitionDescription\n# b is it\nFROM a AS b\n",
		  "" },
	};
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_dockerfile struct dockerfile *bad = NULL;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
	assert_ok(dockerfile_parse(S("# check=error=true\nFROM a\n"), "D", &df, &err));
	assert_true(df->check_error);
	assert_fails(dockerfile_parse(S("# check=skp=x\nFROM a\n"), "D", &bad, &err),
	             CAIRN_E_SYNTAX);
	assert_fails(dockerfile_parse(S("# check=foo\nFROM a\n"), "D", &bad, &err), CAIRN_E_SYNTAX);
}

void test_lint__copy_of_ignored_files(void **state)
{
	static const struct lint_case cases[] = {
		{ "COPY a.tmp /\n", "3 CopyIgnoredFile: Attempting to Copy file \"a.tmp\" that is "
		                    "excluded by .dockerignore" },
		{ "ADD x ./dir/sub/f /d/\n", "3 CopyIgnoredFile: Attempting to Add file "
		                             "\"./dir/sub/f\" that is excluded by .dockerignore" },
		{ "COPY [\"/a.tmp\", \"/\"]\n", "3 CopyIgnoredFile: Attempting to Copy file "
		                                "\"/a.tmp\" that is excluded by .dockerignore" },
		{ "COPY b keep.tmp . dir/in /d/\n", "" },
		{ "COPY --from=x a.tmp /\n", "" },
		{ "COPY *.tmp /\n", "" },
		{ "COPY ${X}.tmp /\n", "" },
		{ "ADD https://host/a.tmp /\n", "" },
		{ "RUN a.tmp /\n", "" },
		{ "# check=skip=CopyIgnoredFile\nCOPY a.tmp /\n", "" },
	};
	static const char on[] = "# check=experimental=CopyIgnoredFile\nFROM a\n";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_dockerfile struct dockerfile *df = NULL;
		cleanup_ignore struct ignore *set = NULL;
		cleanup_free char *text = xasprintf("%s%s", on, cases[i].text);
		struct cairn_err err = { 0 };
		struct strbuf b;

		strbuf_init(&b, 1 << 16);
		assert_ok(ignore_parse(S("*.tmp\n!keep.tmp\ndir/sub\n"), "x", &set, &err));
		assert_ok(dockerfile_parse(str_of(text), "Dockerfile", &df, &err));
		assert_int_equal(df->n_warnings, 0);
		assert_ok(dockerfile_check(df, set, &err));
		for (size_t k = 0; k < df->n_warnings; k++)
			strbuf_printf(&b, "%u %s: %.*s", df->warnings[k].line, df->warnings[k].rule,
			              STR(df->warnings[k].text));
		assert_string_equal(b.len ? b.ptr : "", cases[i].want);
		assert_ok(dockerfile_check(df, set, &err)); /* anew, not once more */
		assert_true(df->n_warnings <= 1);
		strbuf_done(&b);
	}
}

/* What is found later goes to its line, unless a comment says no. */
void test_lint__warnings_that_come_later(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "FROM a\nMAINTAINER x\nENV A=$B\nCMD x\n",
		  "2 MaintainerDeprecated, 3 UndefinedVar, 4 JSONArgsRecommended, " },
		{ "FROM a\n\nENV A=$B\n", "3 UndefinedVar, " },
		{ "# check=skip=Other,UndefinedVar\nFROM a\nENV A=$B\n", "" },
		{ "# check=skip=all\nFROM a\nENV A=$B\n", "" },
		{ "FROM a\n# check=skip=UndefinedVar\nENV A=$B\n", "" },
		{ "FROM a\n# check=skip=Other\nENV A=$B\n", "3 UndefinedVar, " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_dockerfile struct dockerfile *df = NULL;
		cleanup_strbuf struct strbuf b;
		struct cairn_err err = { 0 };

		strbuf_init(&b, 1 << 16);
		assert_ok(dockerfile_parse(str_of(cases[i].text), "Dockerfile", &df, &err));
		dockerfile_warn(df, 3, "UndefinedVar", S("text"));
		for (size_t k = 0; k < df->n_warnings; k++)
			strbuf_printf(&b, "%u %s, ", df->warnings[k].line, df->warnings[k].rule);
		assert_string_equal(b.len ? b.ptr : "", cases[i].want);
	}
}
