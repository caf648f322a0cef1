#!/usr/bin/env bats
# Where a plan sends images, what it expects of them, and what is remembered of builds.
load common

setup() {
	setup_suite_dirs
	export GIT_CONFIG_GLOBAL=/dev/null
	unset CAIRN_RUNNER
	mkdir -p base/src app/src
	echo a >base/src/a
	echo b >app/src/b
	printf 'FROM scratch\nCOPY src /base\n' >base/Dockerfile
	printf 'FROM base\nCOPY src /app\n' >app/Dockerfile
}

runners() { # LINE...
	printf 'runners:\n' >cairn.yaml
	printf '  %s\n' "$@" >>cairn.yaml
}

route() { # IMAGE FILTER
	"$CAIRN" plan --json | jq -r --arg i "$1" ".images[] | select(.name == \$i) | .route | $2"
}

@test "without runners everything goes to this machine, for nothing" {
	run "$CAIRN" plan
	[[ $output == *"IMAGE "*"TIME "*"MEMORY "*"RUNNER "*"COST "*"WHY"* ]]
	[[ $output == *"base "*"build "*"~"*"local "*"\$0 "* ]]
	[ "$(route app '"\(.runner) \(.cost_micro_usd) \(.basis) \(.runner_up)"')" = "local 0 prior: light null" ]
	run "$CAIRN" plan --explain app
	[[ $output == *"the only runner; predicted from prior: light"* ]]
}

@test "records replace the prior, and steps have expected times" {
	"$CAIRN" up -q
	echo two >app/src/b
	[ "$(route app .basis)" = "1 build" ]
	[ "$("$CAIRN" plan --json | jq '.images[] | select(.name == "app") | .steps[0].expected_ns > 0')" = true ]
}

@test "the cheapest of the declared runners, the runner-up, and the sum" {
	runners 'codebuild-small: {}' 'codebuild-large: {}'
	[ "$(route app '"\(.runner) \(.runner_up) \(.options | length)"')" = "codebuild-small codebuild-large 2" ]
	[ "$("$CAIRN" plan --json | jq '.batch.cost_micro_usd == ([.images[].route.cost_micro_usd] | add)')" = true ]
	run "$CAIRN" plan
	[[ $output == *"codebuild-small   \$0."* ]]
	[[ $output == *"2 to build, 0 to retag, 0 unchanged; about "*", \$0."* ]]
	run "$CAIRN" plan --explain app
	[[ $output == *"runner     codebuild-small: "*"cheapest; predicted from prior: light"*"runner-up  codebuild-large: "* ]]
}

@test "an image that cannot be planned has no part in the sum" {
	local sum
	runners 'codebuild-small: {}'
	sum=$("$CAIRN" plan --json | jq -c .batch)
	mkdir broken
	printf 'FROM scratch\nCOPY missing /\n' >broken/Dockerfile
	run "$CAIRN" plan
	[[ $output =~ broken\ +build\ +-\ +-\ +-\ +-\ +-\ +cannot\ be\ planned:\  ]]
	[[ $output == *"2 to build, 0 to retag, 0 unchanged, 1 cannot be planned; about "* ]]
	[ "$("$CAIRN" plan --json | jq -c .batch)" = "$sum" ]
}

@test "--budget: the fastest within it" {
	runners 'slow: {driver: github, labels: s, vcpu: 2, memory: 7g, disk: 14g, price: "0.001"}' \
		'fast: {driver: github, labels: f, vcpu: 64, memory: 7g, disk: 14g, price: "0.02"}'
	echo 'RUN ["/long"]' >>base/Dockerfile
	[ "$(route app .runner)" = slow ]
	[ "$("$CAIRN" plan --json --budget 1 | jq -r '.images[0].route.runner')" = fast ]
	run "$CAIRN" plan --budget much
	[ "$status" -eq 2 ]
	[[ $output == *"--budget: 'much' is no amount of USD"* ]]
}

@test "a runner that cannot hold an image: one clear line" {
	runners 'tiny: {driver: codebuild, compute: C, vcpu: 1, memory: 1m, disk: 64g, price: "0.001"}'
	run "$CAIRN" plan
	[ "$status" -eq 0 ]
	[[ $output == *"app "*" none "* ]]
	[[ $output == *"no runner can hold 'app': it wants "*" of memory (prior: light) and the largest, tiny, has "* ]]
	[ "$(route app '"\(.runner) \(.options[0].refusal)"')" = "null has too little memory" ]
	[ "$("$CAIRN" plan --json | jq .batch.unplaced)" = 2 ]
}

@test "--format github: labels of the runner; only what GitHub can start" {
	local -x GITHUB_RUN_ID=77 GITHUB_RUN_ATTEMPT=2
	runners 'codebuild-small: {price: "0"}' \
		'here: {driver: codebuild-runner, labels: ["codebuild-p-${{ github.run_id }}-${{ github.run_attempt }}", "instance-size:small"], vcpu: 2, memory: 4g, disk: 64g, price: "0.005"}'
	run "$CAIRN" plan --format github
	[ "$(sed -n 's/^matrix=//p' <<<"$output" | jq -c '.include[0] | [.runner, .runs_on, .expected_seconds > 0]')" = \
		'["here",["codebuild-p-77-2","instance-size:small"],true]' ]
	runners 'github-2core: {}'
	run "$CAIRN" plan --format github
	[ "$(sed -n 's/^matrix=//p' <<<"$output" | jq -r '.include[0].runs_on')" = ubuntu-latest ]
	rm cairn.yaml
	run "$CAIRN" plan --format github
	[ "$(sed -n 's/^matrix=//p' <<<"$output" | jq -c '.include[0] | [.runner, .runs_on]')" = '["local",""]' ]
}

@test "--format codebuild: the machine of each build" {
	runners 'codebuild-medium: {}' 'github-slim: {price: "0"}'
	run "$CAIRN" plan --format codebuild
	[[ $output == *"compute-type: BUILD_GENERAL1_MEDIUM"*"type: LINUX_CONTAINER"*"privileged-mode: true"*'CAIRN_RUNNER: "codebuild-medium"'* ]]
}

@test "a damaged history is no failure: it is told, and priors do" {
	"$CAIRN" up -q
	head -c 8192 /dev/zero | tr '\0' x >"$CAIRN_HOME/history.sqlite"
	echo two >app/src/b
	run "$CAIRN" plan
	[ "$status" -eq 0 ]
	[[ $output == *"nothing is predicted from records: the history "*" is damaged"* ]]
	[ "$(route app .basis)" = "prior: light" ]
}

build_app() { # HOME: the image app, changed
	date +%N%s >app/src/b
	CAIRN_HOME=$1 "$CAIRN" up -q
}

travels() { # CACHE: what A measured B predicts with
	printf 'cache: %s\n' "$1" >cairn.yaml
	build_app "$BATS_TEST_TMPDIR/A"
	echo three >app/src/b
	export CAIRN_HOME=$BATS_TEST_TMPDIR/B
	[ "$(route app .basis)" = "1 build" ]
	run "$CAIRN" report --json
	[ "$(jq -r '[.builds[].image] | sort | join(" ")' <<<"$output")" = "app base" ]
	unset CAIRN_HOME
	build_app "$BATS_TEST_TMPDIR/C"
	echo four >app/src/b
	[ "$(CAIRN_HOME=$BATS_TEST_TMPDIR/B route app .basis)" = "2 builds" ]
}

@test "records travel with a cache in a folder" {
	travels "local://$BATS_TEST_TMPDIR/cache"
}

@test "records travel with a cache in a registry" {
	need_tools docker-registry
	start_registry
	travels "registry://$REG/cache"
}

@test "writers at the same time lose nothing" {
	local i
	printf 'cache: local://%s\n' "$BATS_TEST_TMPDIR/cache" >cairn.yaml
	for i in 1 2 3 4 5 6 7 8; do
		printf 'FROM scratch\nLABEL i=%s\nCOPY src /x%s\n' "$i" "$i" >"base/$i.Dockerfile"
		CAIRN_HOME=$BATS_TEST_TMPDIR/$i "$CAIRN" build -q -t "image$i" -f "base/$i.Dockerfile" base &
	done
	wait
	CAIRN_HOME=$BATS_TEST_TMPDIR/reader run "$CAIRN" report --json
	[ "$(jq -r '[.builds[].image] | sort | join(" ")' <<<"$output")" = "image1 image2 image3 image4 image5 image6 image7 image8" ]
}

@test "a build of hits keeps a record, which no prediction is drawn from" {
	CAIRN_IMAGE=base "$CAIRN" build -q -t base base
	CAIRN_IMAGE=base "$CAIRN" build -q -t base base
	run "$CAIRN" report --json
	[ "$(jq -c '[.builds[] | [.hits, .steps]]' <<<"$output")" = "[[1,1],[0,1]]" ]
	run "$CAIRN" report
	[[ $output == *"2 builds, 0.0000 USD; 50 % of the steps were cached"* ]]
	echo two >base/src/a
	[ "$(route base .basis)" = "1 build" ]
}

@test "--explain tells why each step runs, as explain --dry-run does" {
	printf 'FROM scratch\nCOPY src /base\nCOPY other /other\n' >base/Dockerfile
	echo o >base/other
	"$CAIRN" up -q base
	echo two >base/other
	run "$CAIRN" plan --explain base
	[[ $output == *"cached     "*"COPY src /base"*"would run  "*"COPY other /other"*"other changed"* ]]
	[ "$("$CAIRN" plan --explain base --json | jq -r '.images[] | select(.name == "base") | .steps[1].reasons[0]')" = "other changed" ]
}

@test "a record has what moved, what it cost, what was predicted and why it was here" {
	printf 'cache: local://%s\nrunners:\n  mine: {driver: github, labels: x, vcpu: 2, memory: 4g, disk: 9g, price: "0.5"}\n' "$BATS_TEST_TMPDIR/cache" >cairn.yaml
	export CAIRN_RUNNER=mine
	CAIRN_FALLBACK="out of memory on small" "$CAIRN" build -q -t base base
	echo two >base/src/a
	"$CAIRN" build -q -t base base
	run "$CAIRN" report --json
	[ "$(jq -c '[.builds[] | [.runner, .cost_micro_usd, .predicted_ns > 0, .fallback]]' <<<"$output")" = \
		'[["mine",500000,true,""],["mine",500000,false,"out of memory on small"]]' ]
}
