#!/usr/bin/env bats
# cairn plan and cairn up: what needs building, by content.
load common

setup() {
	setup_suite_dirs
	export GIT_CONFIG_GLOBAL=/dev/null
	mkdir -p base/src app/src
	echo a >base/src/a
	echo b >app/src/b
	echo r >app/README.md
	printf 'FROM scratch\nCOPY src /base\n' >base/Dockerfile
	printf 'FROM base\nCOPY src /app\n' >app/Dockerfile
}

verdicts() { # "app=build base=skip"
	"$CAIRN" plan --json "$@" | jq -r '[.images[] | "\(.name)=\(.verdict)"] | sort | join(" ")'
}

up() {
	run "$CAIRN" up "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "200 states of a repository of 12 images: the plan is the truth" {
	mkdir "$BATS_TEST_TMPDIR/truth"
	run "$BATS_TEST_DIRNAME/../tools/plan-truth" "$CAIRN" "$BATS_TEST_TMPDIR/truth" --commits "${PLAN_COMMITS:-200}"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "what is built is not built again, and a revert is known" {
	[ "$(verdicts)" = "app=build base=build" ]
	up
	[ "$(verdicts)" = "app=skip base=skip" ]
	echo two >app/src/b
	[ "$(verdicts)" = "app=build base=skip" ]
	up
	echo b >app/src/b
	[ "$(verdicts)" = "app=retag base=skip" ]
	up
	[[ $output == *"0 built, 1 retagged"* ]]
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "a comment, a README, a file outside every COPY build nothing" {
	up
	echo '# comment' >>app/Dockerfile
	echo more >>app/README.md
	echo x >base/other
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "a change travels along the graph, and what is built by hand counts" {
	up
	echo two >base/src/a
	[ "$(verdicts)" = "app=build base=build" ]
	"$CAIRN" build -q -t base base
	[ "$(verdicts)" = "app=build base=skip" ]
	"$CAIRN" build -q -t app app
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "an image stands on the one that was planned, whatever the store calls so" {
	up
	printf 'FROM scratch\nLABEL other=1\n' | "$CAIRN" build -q -t base -f - app
	echo two >app/src/b
	up
	run "$CAIRN" inspect app
	[[ $output != *'"other"'* ]]
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "an image that was removed is built again" {
	up
	"$CAIRN" rmi app
	[ "$(verdicts)" = "app=build base=skip" ]
}

@test "state travels with a cache that machines share, for images that were pushed only" {
	printf 'cache: local://%s\n' "$BATS_TEST_TMPDIR/cache" >cairn.yaml
	up
	CAIRN_HOME=$BATS_TEST_TMPDIR/other
	[ "$(verdicts)" = "app=build base=build" ]
	up
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "an image that fails stops what stands on it, and nothing else" {
	mkdir lone
	printf 'FROM scratch\nLABEL a=b\n' >lone/Dockerfile
	printf 'FROM scratch\nCOPY missing /\n' >base/Dockerfile
	run "$CAIRN" up
	[ "$status" -eq 6 ]
	[[ $output == *"base/Dockerfile:2: 'missing' is not in"* ]]
	[ "$(verdicts)" = "app=build base=build lone=skip" ]
}

@test "nothing to do has an exit code when it is asked for" {
	up --exit-code
	run "$CAIRN" up --exit-code
	[ "$status" -eq 13 ]
	up
}

@test "--format github: a matrix, and an empty one" {
	export GITHUB_OUTPUT=$BATS_TEST_TMPDIR/out GITHUB_STEP_SUMMARY=$BATS_TEST_TMPDIR/summary
	"$CAIRN" plan --format github
	grep -qx 'any=true' "$GITHUB_OUTPUT"
	[ "$(sed -n 's/^matrix=//p' "$GITHUB_OUTPUT" | jq -r '[.include[].image] | join(" ")')" = "base app" ]
	grep -q '^| app | build |' "$GITHUB_STEP_SUMMARY"
	"$CAIRN" up -q
	rm "$GITHUB_OUTPUT"
	"$CAIRN" plan --format github
	grep -qx 'any=false' "$GITHUB_OUTPUT"
	grep -qx 'matrix={"include":\[\]}' "$GITHUB_OUTPUT"
}

@test "--format codebuild: a graph" {
	run "$CAIRN" plan --format codebuild
	[[ $output == *"build-graph:"*"CAIRN_IMAGE: \"app\""*"depend-on:"* ]]
	"$CAIRN" up -q
	run "$CAIRN" plan --format codebuild
	[ "$output" = "# nothing to build" ]
}

@test "bad input: a clear line each" {
	printf 'images:\n  a:\n    contxt: app\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *"cairn.yaml:3:5:"*contxt*context* ]]
	printf 'images:\n  a:\n    context: nowhere\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 4 ]
	[[ $output == *nowhere* ]]
	printf 'images:\n  app: {context: app}\n  base: {context: base, depends: app}\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *app*base* ]]
	printf 'images:\n  app: {context: app}\n  app: {context: base}\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *app* ]]
}

@test "git says which file and which commit" {
	git init -q -b main .
	git config user.email a@example.com
	git config user.name A
	git add -A
	git commit -qm first
	up -q
	first=$(git rev-parse HEAD)
	echo two >app/src/b
	git commit -qam 'change b'
	run "$CAIRN" plan --base "$first"
	[[ $output == *"app/src/b changed"* ]]
	run "$CAIRN" plan --base "$first" --explain app
	[[ $output == *"change b"* ]]
	echo three >app/src/c
	CODEBUILD_WEBHOOK_PREV_COMMIT=$first run "$CAIRN" plan
	[[ $output == *"app/src/b and 1 more changed"* ]]
	run "$CAIRN" plan --base 1234567890123456789012345678901234567890
	[ "$status" -eq 0 ]
	[[ $output == *"not in this clone"* ]]
}

@test "which steps will hit and which will run" {
	printf 'FROM scratch\nCOPY src /one\nCOPY other /two\n' >app/Dockerfile
	echo o >app/other
	up -q
	echo two >app/other
	run "$CAIRN" plan --explain app
	echo "$output"
	[[ $output == *"cached "*"COPY src /one"*"would run"*"COPY other /two"* ]]
	[ "$("$CAIRN" plan --json | jq -c '[.images[] | select(.name == "app").steps[].result]')" = '["hit","run"]' ]
}

@test "a registry and a cache: another machine skips, retags without bytes, and builds on what was pushed" {
	need_tools docker-registry
	start_registry
	printf 'FROM %s/base:1\nCOPY src /app\n' "$REG" >app/Dockerfile
	cat >cairn.yaml <<-END
	cache: registry://$REG/cache
	images:
	  base: {context: base, tags: "$REG/base:1"}
	  app: {context: app, tags: ["$REG/app:1"]}
	END
	up --push
	export CAIRN_HOME=$BATS_TEST_TMPDIR/other
	[ "$(verdicts)" = "app=skip base=skip" ]
	sed -i 's/app:1"/app:1", "'"$REG"'\/app:new"/' cairn.yaml
	[ "$(verdicts)" = "app=retag base=skip" ]
	up --push
	[ "$(verdicts)" = "app=skip base=skip" ]
	echo two >app/src/b
	[ "$(verdicts)" = "app=build base=skip" ]
	up --push
	[ "$(verdicts)" = "app=skip base=skip" ]
	export CAIRN_HOME=$BATS_TEST_TMPDIR/third
	[ "$(verdicts)" = "app=skip base=skip" ]
}
