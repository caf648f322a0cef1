/* Images of batch files: docker-bake.json, compose files. */
#include "image_repos.h"

void test_images__bake(void **state)
{
	static const struct image_repo repos[] = {
		/* variables, inherits, groups, what a default group leaves out */
		{ { D("a"),
		    D("b"),
		    { "bake.json",
		      "{\"variable\": {\"TAG\": {\"default\": \"v${N}\"}, \"N\": {\"default\": 1}, \"E\": {}},\n"
		      " \"group\": {\"default\": {\"targets\": [\"app\"]}},\n"
		      " \"target\": {\n"
		      "  \"_common\": {\"args\": {\"A\": \"1\", \"B\": \"2\", \"C\": \"3\"}, "
		      "\"platforms\": [\"linux/arm64\"], \"labels\": {\"l\": \"x\"}},\n"
		      "  \"app\": {\"inherits\": [\"_common\"], \"context\": \"a\", \"tags\": "
		      "[\"r.io/app:${TAG}\"],\n"
		      "   \"args\": {\"B\": null, \"D\": \"${E}\"}, \"contexts\": {\"base\": \"target:base\"}, "
		      "\"secret\": [\"id=t\", {\"id\": \"u\", \"env\": \"U\"}],\n"
		      "   \"cache-to\": [\"type=inline\"]},\n"
		      "  \"base\": {\"context\": \"b\"},\n"
		      "  \"lint\": {\"inherits\": [\"base\"], \"dockerfile-inline\": \"FROM base\\n\", "
		      "\"target\": null}\n"
		      " }}\n" } },
		  "bake.json",
		  "base b b/Dockerfile by-name\n"
		  "lint b <inline> by-name < base\n"
		  "app a a/Dockerfile a:A=1 a:C=3 a:D= c:base=image:base l:l=x t:r.io/app:v1 "
		  "p:linux/arm64 s:id=t s:id=u,env=U g:default < base\n",
		  0 },
		/* a matrix, also of objects */
		{ { D("a"),
		    { "bake.json",
		      "{\"target\": {\"app\": {\"name\": \"app-${tgt}-${item.v}\", \"context\": \"a\",\n"
		      "  \"matrix\": {\"tgt\": [\"x\", \"y\"], \"item\": [{\"v\": \"1\"}, {\"v\": 2}]},\n"
		      "  \"target\": \"${tgt}\", \"args\": {\"V\": \"${item.v}\"}}}}" } },
		  "bake.json",
		  "app-x-1 a a/Dockerfile @x a:V=1 g:app\n"
		  "app-x-2 a a/Dockerfile @x a:V=2 g:app\n"
		  "app-y-1 a a/Dockerfile @y a:V=1 g:app\n"
		  "app-y-2 a a/Dockerfile @y a:V=2 g:app\n",
		  0 },
		/* what bake --print writes */
		{ { D("a"),
		    { "bake.json",
		      "{\n\t\"group\": {\n\t\t\"default\": {\n\t\t\t\"targets\": [\n\t\t\t\t\"app\"\n\t\t\t]\n"
		      "\t\t}\n\t},\n\t\"target\": {\n\t\t\"app\": {\n\t\t\t\"context\": \"https://x.org/r.git#m:d\",\n"
		      "\t\t\t\"dockerfile\": \"Dockerfile\",\n\t\t\t\"output\":[{\"type\":\"registry\"}]\n"
		      "\t\t}\n\t}\n}\n" } },
		  "bake.json",
		  "app https://x.org/r.git#m:d Dockerfile g:default\n",
		  0 },
	};

	(void)state;
	image_repos_check_quiet(repos, ARRAY_SIZE(repos));
}

void test_images__bake_mistakes(void **state){
#define TARGET(text) { { D("a"), { "bake.json", "{\"target\": {\n" text "\n}}" } }, "bake.json"
	static const struct image_repo
		repos[] = { { { { "bake.json", "target \"x\" {}\n" } },
	                      "bake.json",
	                      "this is no JSON",
	                      1 },
	                    { { { "bake.json", "{\"target\": {" } }, "bake.json", "", 2 },
	                    TARGET("\"a\": {\"contxt\": \"a\"}"),
	                    "did you mean 'context'?",
	                    2 },
	TARGET("\"a\": {\"context\": [1]}"), "expected a text, not a list", 2
},
	TARGET("\"a\": {\"context\": \"a\",\n\"tags\": [\"x:${T}\"]}"),
	"the variable 'T' has no value", 3
}
, TARGET("\"a\": {\"context\": \"${upper(\\\"x\\\")}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"context\": \"${v ? 1 : 2}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"context\": \"%{if x}\"}"), "buildx bake --print", 2
}
, TARGET("\"a\": {\"inherits\": [\"b\"]}, \"base\": {}"), "there is no target 'b'", 2
}
, TARGET("\"a\": {\"inherits\": [\"b\"]},\n\"b\": {\"inherits\": [\"a\"]}"), "inherits from itself",
	2
}
, TARGET("\"a\": {\"matrix\": {\"x\": [\"1\"]}}"), "needs a 'name'", 2
}
, TARGET("\"a\": {\"name\": \"q\", \"matrix\": {\"x\": [\"1\", \"2\"]}}"),
	"two targets have the name 'q'", 2
}
, TARGET("\"a\": {\"name\": \"q\", \"matrix\": {\"x\": []}}"), "expected a list of values", 2
}
, TARGET("\"a\": {\"context\": \"gone\"}"), "the context 'gone' is not there", 2
}
, TARGET("\"a\": 1"), "expected a mapping of keys", 2
}
,
	{ { D("a"),
	    { "bake.json", "{\"group\": {\"g\": {\"targets\": [\"ap\"]}},\n"
	                   "\"target\": {\"app\": {\"context\": \"a\"}}}" } },
	  "bake.json",
	  "group 'g': there is no image 'ap'; did you mean 'app'?",
	  1 },
}
;

(void)state;
image_repos_check_bad(repos, ARRAY_SIZE(repos));
#undef TARGET
}

void test_images__compose(void **state)
{
	static const struct image_repo repos[] = {
		{ { D("x/api"),
		    D("x/web"),
		    D("b"),
		    { "x/.env", "# tags\nTAG='7'\nexport REG=r.io # ours\nEMPTY=\n" },
		    { "x/compose.yaml",
		      "x-build: &build\n"
		      "  args: &args {A: 1, B: \"${NOPE:-${TAG}}\"}\n"
		      "services:\n"
		      "  api:\n"
		      "    build: api\n"
		      "    image: ${REG:?no registry}/api:$TAG\n"
		      "    command: [\"sh\", \"-c\", \"echo $${x} ${\"]\n"
		      "    depends_on: [db]\n"
		      "  db: {image: \"postgres:16\"}\n"
		      "  nothing:\n"
		      "  web:\n"
		      "    platform: linux/arm64\n"
		      "    build:\n"
		      "      <<: *build\n"
		      "      context: ../b\n"
		      "      x-mine: 1\n"
		      "      target: ${EMPTY:+t}\n"
		      "      additional_contexts: {api: \"service:api\", w: web}\n"
		      "      labels: [\"k=v\"]\n"
		      "      tags: [\"r.io/web:1\"]\n"
		      "      secrets: [tok, {source: tok, target: other}]\n"
		      "  two:\n"
		      "    build:\n"
		      "      context: web\n"
		      "      dockerfile_inline: |\n"
		      "        FROM r.io/web:1\n"
		      "      args: [TAG, CAIRN_TEST_UNSET, X=1]\n"
		      "secrets:\n"
		      "  tok: {environment: TOKEN}\n" } },
		  "x/compose.yaml",
		  "api x/api x/api/Dockerfile t:r.io/api:7\n"
		  "web b b/Dockerfile a:A=1 a:B=7 c:api=image:api c:w=x/web l:k=v t:r.io/web:1 "
		  "p:linux/arm64 s:id=tok,env=TOKEN s:id=other,env=TOKEN < api\n"
		  "two x/web <inline> a:TAG=7 a:X=1 < web\n",
		  0 },
	};

	(void)state;
	image_repos_check_quiet(repos, ARRAY_SIZE(repos));
}

void test_images__compose_mistakes(void **state){
#define SERVICE(text) { { D("a"), { "compose.yaml", "services:\n" text "\n" } }, "compose.yaml"
	static const struct image_repo repos[] = { { { { "compose.yaml", "a: 1\n" } },
	                                             "compose.yaml",
	                                             "this is no compose file",
	                                             0 },
	                                           SERVICE("  a: {build: {contxt: a}}"),
	                                           "did you mean 'context'?",
	                                           2 },
	SERVICE("  a: {build: [a]}"), "expected a folder or a mapping", 2
},
	SERVICE("  a: {build: \"$\"}"), "a dollar stands before no name", 2
}
, SERVICE("  a:\n    build: \"${X:?set X}\""), "X: set X", 3
}
, SERVICE("  a: {build: {secrets: [s]}}"), "the file has no secret 's'", 2
}
, SERVICE("  a: {build: *x}"), "there is no anchor &x", 2
}
, SERVICE("  a: {<<: 1, build: a}"), "only mappings can be merged", 2
}
, SERVICE("  a: {build: gone}"), "the context 'gone' is not there", 2
}
, SERVICE("  a: {build: ../..}"), "outside of the repository", 2
}
, SERVICE("  a: &a {b: *a}"), "there is no anchor &a", 2
}
,
	/* aliases of aliases of aliases */
	{ { { "compose.yaml",
	      "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
	      "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
	      "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n" } },
	  "compose.yaml",
	  "more than 200000 values",
	  6 },
}
;

(void)state;
image_repos_check_bad(repos, ARRAY_SIZE(repos));
#undef SERVICE
}
