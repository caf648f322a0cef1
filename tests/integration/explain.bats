#!/usr/bin/env bats
# cairn explain: every miss has its reason, by name.
load common

setup() {
	setup_suite_dirs
	import_base
	mkdir "$CTX/src"
	echo one >"$CTX/src/a.c"
	echo run >"$CTX/src/run.sh"
	chmod 644 "$CTX"/src/*
	cat >"$CTX/Dockerfile" <<-'EOD'
	FROM base
	ARG V=1
	RUN echo $V
	COPY src /src
	RUN cat /src/a.c
	EOD
}

again() { # OPTION...
	"$CAIRN" build -q -t app "$@" "$CTX" >/dev/null
}

explained() { # OPTION...
	run "$CAIRN" explain "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

# The reasons of the step whose name holds this text.
reasons() { # TEXT
	awk -v want="$1" '/^[a-z0-9]/ { on = index($0, want) > 0; next } on { sub(/^ +/, ""); print }' <<<"$output"
}

@test "before any build there is nothing to explain" {
	run "$CAIRN" explain
	[ "$status" -eq 4 ]
	[[ $output == *"--dry-run"* ]]
}

@test "the first build of a Dockerfile" {
	again
	explained --last
	[ "$(reasons 'RUN echo')" = "never built: no earlier build is known, here or to the caches asked" ]
	[[ $output == *"0 hits, 3 misses"* ]]
}

@test "a file, a mode and what follows from them" {
	again
	echo two >"$CTX/src/a.c"
	chmod 755 "$CTX/src/run.sh"
	touch "$CTX/src/new.c"
	again
	explained
	[ "$(reasons 'COPY src')" = "src/a.c changed
src/new.c is new
mode of src/run.sh changed, its content did not" ]
	[ "$(reasons 'RUN cat')" = "follows from [3/4] COPY src /src" ]
	[[ $output == *$'\n'"hit "*"RUN echo"* ]]
}

@test "a variable, an instruction, a new one, --no-cache" {
	again
	again --build-arg V=2
	explained
	[ "$(reasons 'RUN echo')" = "variable V changed" ]
	sed -i 's/cat/wc/' "$CTX/Dockerfile"
	echo 'RUN true' >>"$CTX/Dockerfile"
	again --build-arg V=2
	explained
	[ "$(reasons 'RUN wc')" = "the instruction changed" ]
	[ "$(reasons 'RUN true')" = "never built: the instruction is new" ]
	again --no-cache
	explained
	[ "$(reasons 'RUN true')" = "--no-cache" ]
}

@test "a result that is gone" {
	again
	"$CAIRN" rmi app >/dev/null
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("DELETE FROM record WHERE kind IN (1, 2, 3, 4)")
db.commit()' "$CAIRN_HOME/db.sqlite"
	again
	explained
	[ "$(reasons 'RUN cat')" = "built before, but its result is no longer in any cache" ]
}

@test "nothing changed: hits, and the next change is still explained" {
	again
	again
	explained
	[[ $output == *"3 hits, 0 misses"* ]]
	echo two >"$CTX/src/a.c"
	again
	explained
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
}

@test "an image has the report of its own build" {
	again
	id=$(image_id app)
	echo two >"$CTX/src/a.c"
	again
	explained "$id"
	[ "$(reasons 'COPY src')" = "never built: no earlier build is known, here or to the caches asked" ]
	explained app
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
	run "$CAIRN" explain base
	[ "$status" -eq 4 ]
}

@test "a failed build is explained too" {
	again
	sed -i 's/cat .*/false/' "$CTX/Dockerfile"
	run again
	[ "$status" -ne 0 ]
	explained
	[[ $output == *"failed "*"RUN false"* ]]
	[ "$(reasons 'RUN false')" = "the instruction changed" ]
}

@test "--dry-run tells and builds nothing" {
	again
	echo two >"$CTX/src/a.c"
	explained --dry-run -t app "$CTX"
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
	[[ $output == *"would run"* ]]
	id=$(image_id app)
	explained --dry-run -t app "$CTX"
	[[ $output == *"would run"* ]]
	[ "$(image_id app)" = "$id" ]
}

@test "a build without a name is compared with those of its Dockerfile" {
	again
	echo two >"$CTX/src/a.c"
	explained --dry-run "$CTX"
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
	[[ $output != *"give -t"* ]]
	export CAIRN_HOME=$BATS_TEST_TMPDIR/empty
	import_base
	explained --dry-run "$CTX"
	[ "$(reasons 'COPY src')" = "never built: no earlier build is known, here or to the caches asked" ]
	[ "$(tail -n 1 <<<"$output")" = "builds are compared with those of the same name: give -t NAME as they do" ]
	explained --dry-run -t app "$CTX"
	[[ $output != *"give -t"* ]]
}

@test "--json: values of variables are not in it" {
	again --build-arg V=topsecret
	explained --json
	jq -e '.steps[] | select(.kind == "run") | .result == "ran"' <<<"$output"
	[[ $output != *topsecret* ]]
}

@test "an empty machine: what the build before on another machine was made of" {
	cache=type=local,dest=$BATS_TEST_TMPDIR/cache
	from=type=local,src=$BATS_TEST_TMPDIR/cache
	wait_for stores_are_idle "$CAIRN_HOME" # else files vanish while they are copied
	cp -a "$CAIRN_HOME" "$BATS_TEST_TMPDIR/other" # an import has a time: the same one for all
	cp -a "$CAIRN_HOME" "$BATS_TEST_TMPDIR/third"
	again --cache-to "$cache" --cache-from "$from"
	export CAIRN_HOME=$BATS_TEST_TMPDIR/other
	echo two >"$CTX/src/a.c"
	explained --dry-run -t app --cache-from "$from" "$CTX"
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
	again --cache-to "$cache" --cache-from "$from"
	explained
	[ "$(reasons 'COPY src')" = "src/a.c changed" ]
	[[ $output == *"hit "*"RUN echo"*"from $BATS_TEST_TMPDIR/cache"* ]]
	export CAIRN_HOME=$BATS_TEST_TMPDIR/third
	echo three >"$CTX/src/b.c"
	again --cache-to "$cache" --cache-from "$from"
	explained
	[ "$(reasons 'COPY src')" = "src/b.c is new" ]
}
