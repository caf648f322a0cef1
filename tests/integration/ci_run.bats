#!/usr/bin/env bats
# cairn ci run: images on runners of three kinds, against the stand-ins of CodeBuild and of GitHub.

load common

setup() {
	need_tools python3 git jq pgrep
	setup_suite_dirs
	unset GH_TOKEN
	git init -q -b main .
	git config user.name t
	git config user.email t@example.com
}

# Images without a runner would rather go anywhere than here: 9 USD a minute.
repository() { # NAME...: images; runners on standard input
	local name
	{
		echo "images:"
		for name; do
			mkdir -p "$name"
			printf 'FROM scratch\nCOPY f /f\n' >"$name/Dockerfile"
			echo "$name" >"$name/f"
			echo "  $name: { context: $name${RUNNER_OF[$name]:+, runner: ${RUNNER_OF[$name]}}${DEPENDS[$name]:+, depends: ${DEPENDS[$name]}} }"
		done
		echo "runners:"
		echo '  local: { price: "9" }'
		cat
	} >cairn.yaml
	git add . && git commit -qm images
}
declare -gA RUNNER_OF=() DEPENDS=()

start_aws() { # OPTION...: aws_server.py
	AWS_LOG=$BATS_TEST_TMPDIR/aws.log
	: >"$AWS_LOG"
	start_server "$AWS_LOG.err" python3 "$BATS_TEST_DIRNAME/aws_server.py" "$AWS_LOG" --phase 0.05 "$@"
	export AWS_ACCESS_KEY_ID=AKIAUSER AWS_SECRET_ACCESS_KEY=user/secret+key
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=http://127.0.0.1:$PORT
}

start_github() { # OPTION...: github_standin.py
	GITHUB_LOG=$BATS_TEST_TMPDIR/github.log
	: >"$GITHUB_LOG"
	start_server "$GITHUB_LOG.err" python3 "$BATS_TEST_DIRNAME/github_standin.py" "$GITHUB_LOG" "$@"
	export GITHUB_API_URL=http://127.0.0.1:$PORT GITHUB_REPOSITORY=o/r GITHUB_TOKEN=good-token
}

ci_run() { # ARGUMENT...
	run "$CAIRN" ci run --poll 50ms --back-off 50ms "$@"
	echo "$output" >&2
}

CODEBUILD='{ driver: codebuild, project: images, compute: BUILD_GENERAL1_LARGE, vcpu: 8, memory: 16g, disk: 64g, price: "0.02" }'

@test "three images on three drivers, those first on which others stand; what was started is kept in the history" {
	start_aws
	start_github
	RUNNER_OF=([base]=cb [api]=gh [tool]=local) DEPENDS=([api]=base)
	repository base api tool <<-END
	  cb: $CODEBUILD
	  gh: { driver: github, labels: [self-hosted, "codebuild-x-\${{ github.run_id }}-\${{ github.run_attempt }}"], vcpu: 2, memory: 7g, disk: 14g, price: "0.006" }
	END
	ci_run
	[ "$status" = 0 ]
	[[ $output == *"started   base on cb (images:"* ]]
	[[ $output == *"base | ["*"] BUILD"* ]]
	[[ $output == *"api | building api of $(git rev-parse HEAD | cut -c 1-7)"* ]]
	[[ $output == *"built     tool on local in"* ]]
	[[ $output == *"3 built, 0 retagged, 0 unchanged, 0 failed, 0 not built"* ]]
	# the child begins when the parent is built
	[ "$(grep -nE "^(built     base|started   api)" <<<"$output" | cut -d: -f2 | cut -c 1-7 | tr -d '\n')" = "built  started" ]
	[ "$(grep -c StartBuild "$AWS_LOG")" = 1 ]
	[ "$(grep -c dispatches "$GITHUB_LOG")" = 1 ]
	ok images
	[[ $output == *tool* ]]
	ok report --json
	[[ $output == *cb* ]]
}

@test "out of memory: the next larger machine; a step that fails: no other attempt, and what stands on it is not built" {
	start_aws
	RUNNER_OF=([bad]=broken) DEPENDS=([child]=bad)
	repository app bad child <<-END
	  broken: { driver: codebuild, project: broken, compute: BUILD_GENERAL1_LARGE, vcpu: 8, memory: 16g, disk: 64g, price: "0.1" }
	  little: { driver: codebuild, project: hungry, compute: BUILD_GENERAL1_SMALL, vcpu: 2, memory: 4g, disk: 64g, price: "0.005" }
	  larger: { driver: codebuild, project: hungry, compute: BUILD_GENERAL1_LARGE, vcpu: 2, memory: 16g, disk: 64g, price: "0.02" }
	END
	ci_run --json --no-logs
	[ "$status" = 6 ]
	json=$(grep '^{' <<<"$output")
	[ "$(jq -r '.images[] | select(.image == "app") | .result, (.attempts[] | .runner, .outcome)' <<<"$json" | xargs)" = "built little out-of-memory larger ok" ]
	[ "$(jq -r '.images[] | select(.image == "app") | .attempts[1].fallback' <<<"$json")" = "little: out of memory: the next larger one" ]
	[ "$(jq -r '.images[] | select(.image == "bad") | .result, (.attempts | length)' <<<"$json" | xargs)" = "failed 1" ]
	[ "$(jq -r '.images[] | select(.image == "child") | .result, .why' <<<"$json" | xargs)" = "not built image bad failed" ]
	[[ $output == *"BUILD: Error while executing command: cairn up. Reason: exit status 1"* ]]
	[[ $output == *"1 of 3 images failed"* ]]
	# what was seen is not tried again
	echo more >>app/f
	git commit -qam more
	[ "$("$CAIRN" plan --json app | jq -r '.images[].route | .runner, (.options[] | select(.runner == "little") | .refusal)' | xargs)" = "larger has too little memory" ]
}

@test "a build elsewhere of which both sides tell is one record" {
	local attempt of_app='.builds[] | select(.image == "app")'
	start_aws
	repository app <<<"  cb: $CODEBUILD"
	ci_run
	[ "$("$CAIRN" report --json | jq -r "$of_app | .runner, .steps" | xargs)" = "cb 0" ]
	attempt=$("$CAIRN" report --json | jq -r "$of_app | .attempt")
	# what the machine there does, with a cache that brings its record here
	CAIRN_ATTEMPT=$attempt CAIRN_RUNNER=cb "$CAIRN" up -q app
	[ "$("$CAIRN" report --json | jq -r "$of_app | .runner, .steps, .queue_ns > 0" | xargs)" = "cb 1 true" ]
}

@test "what is not in the commit, or not pushed, is not built elsewhere: warnings" {
	start_aws
	RUNNER_OF=([here]=local [there]=cb)
	repository here there other <<<"  cb: $CODEBUILD"
	echo new >here/f
	ci_run --dry-run
	[[ $output != *warning* ]]
	echo new >there/f
	git mv there/Dockerfile there/D && git mv there/D there/Dockerfile
	touch "there/a file"
	ci_run
	[ "$status" = 0 ]
	[ "$(grep -c warning <<<"$output")" = 1 ]
	[[ $output == *"cairn: warning: there is built elsewhere from commit $(git rev-parse HEAD | cut -c 1-12), which has not what is here: there/f, there/a file"* ]]
	git add . && git commit -qm more
	git init -q --bare "$BATS_TEST_TMPDIR/origin"
	git remote add origin "$BATS_TEST_TMPDIR/origin"
	ci_run --dry-run
	[ "$(grep -c "warning: commit $(git rev-parse HEAD | cut -c 1-12) is on no branch of a remote" <<<"$output")" = 1 ]
	git push -q origin main
	ci_run --dry-run
	[[ $output != *warning* ]]
}

@test "an account at its limit: asked again, later, then another runner" {
	start_aws --builds 0
	start_github
	repository app <<-END
	  cb: $CODEBUILD
	  gh: { driver: github, labels: ubuntu-latest, vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	END
	ci_run --json
	[ "$status" = 0 ]
	[ "$(grep '^{' <<<"$output" | jq -r '.images[].attempts[] | .runner, .outcome' | xargs)" = "cb unavailable cb unavailable cb unavailable gh ok" ]
	[[ $output == *"AccountLimitExceededException: Cannot have more than 0 builds"* ]]
	[ "$(grep -c StartBuild "$AWS_LOG")" = 3 ]
}

@test "a spot machine that is taken away: again, from the cache; then on demand" {
	start_github --phase 0.03
	repository app <<-END
	  SPOT: { driver: github, labels: spot, spot: true, vcpu: 2, memory: 7g, disk: 14g, price: "0.001" }
	  sure: { driver: github, labels: ubuntu-latest, vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	END
	ci_run --json
	[ "$status" = 0 ]
	[ "$(grep '^{' <<<"$output" | jq -r '.images[].attempts[] | .runner, .outcome' | xargs)" = "SPOT interrupted SPOT interrupted sure ok" ]
}

@test "no more builds at one time than a runner has places" {
	start_aws --builds 1
	repository a b c <<-END
	  cb: { driver: codebuild, project: images, concurrency: 1, compute: BUILD_GENERAL1_LARGE, vcpu: 8, memory: 16g, disk: 64g, price: "0.02" }
	END
	ci_run
	[ "$status" = 0 ]
	[[ $output == *"3 built"* ]]
	[ "$(grep -c StartBuild "$AWS_LOG")" = 3 ] # none was refused
}

@test "a signal stops what was started, everywhere" {
	start_aws --phase 60
	start_github --phase 60
	RUNNER_OF=([a]=cb [b]=gh) DEPENDS=([c]=a)
	repository a b c <<-END
	  cb: $CODEBUILD
	  gh: { driver: github, labels: ubuntu-latest, vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	END
	"$CAIRN" ci run --poll 50ms >out 2>&1 3>&- &
	pid=$!
	wait_for grep -q "/runs/1 200" "$GITHUB_LOG"
	wait_for grep -q BatchGetBuilds "$AWS_LOG"
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	cat out
	[ "$code" = 75 ]
	grep -q "^stopped   a" out
	grep -q "^stopped   b" out
	grep -q "^stopped   c" out
	grep -q "200 StopBuild" "$AWS_LOG"
	grep -q "^POST .*/runs/1/cancel 202" "$GITHUB_LOG"
}

@test "a build of this machine is stopped with all that it started" {
	import_base
	repository app </dev/null
	printf 'FROM base\nRUN %s\n' "$HELD" >app/Dockerfile
	"$CAIRN" ci run >out 2>&1 3>&- &
	pid=$!
	wait_for grep -q "^started   app on local" out
	child=$(sed -n 's/^started .*(process \([0-9]*\)).*/\1/p' out)
	[ -n "$child" ]
	wait_for is_held
	kill -INT "$pid" 2>/dev/null || true
	code=0
	wait "$pid" || code=$?
	cat out
	[ "$code" = 75 ]
	wait_for not pgrep -g "$child" # far less than the step's time
	not is_held
}

@test "credentials that expire while a build is looked at: one line, and where it goes on" {
	start_aws --phase 60
	repository app <<-END
	  cb: $CODEBUILD
	END
	"$CAIRN" ci run --poll 50ms >out 2>&1 3>&- &
	pid=$!
	wait_for grep -q BatchGetBuilds "$AWS_LOG"
	mkdir -p "$AWS_LOG.d"
	touch "$AWS_LOG.d/expire"
	code=0
	wait "$pid" || code=$?
	cat out
	[ "$code" = 7 ]
	grep -q "^failed    app - CodeBuild (codebuild:BatchGetBuilds): ExpiredToken.*; the build goes on: https://console.aws.amazon.com/" out
	[ "$(grep -c StartBuild "$AWS_LOG")" = 1 ] # no second one beside it
}

@test "a build that somebody stops is not started again" {
	start_aws
	repository app <<<"  cb: ${CODEBUILD/images/quit}"
	ci_run --json
	[ "$status" = 6 ]
	[ "$(grep '^{' <<<"$output" | jq -r '.images[] | .result, (.attempts[] | .outcome)' | xargs)" = "failed failed" ]
	[[ $output == *"failed    app - on cb: it failed, and would again: STOPPED"* ]]
}

@test "a service that no longer answers: the build is asked to stop before it is started again" {
	start_aws --phase 60
	repository app <<<"  cb: $CODEBUILD"
	"$CAIRN" ci run --poll 50ms --back-off 50ms >out 2>&1 3>&- &
	pid=$!
	wait_for grep -q BatchGetBuilds "$AWS_LOG"
	mkdir -p "$AWS_LOG.d"
	touch "$AWS_LOG.d/down"
	wait_for grep -q "^again     app on cb: .*ServiceUnavailable.*; it was asked to stop: https://console.aws.amazon.com/" out
	grep -q StopBuild "$AWS_LOG"
	kill -INT "$pid"
	wait "$pid" || true
}

@test "a log that cannot be read says nothing about the build; one of many pages is read to its end" {
	start_aws
	start_github
	RUNNER_OF=([app]=cb [mute]=silent [big]=LOUD)
	repository app mute big <<-END
	  cb: $CODEBUILD
	  silent: ${CODEBUILD/images/silent}
	  LOUD: { driver: github, labels: ubuntu-latest, vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	END
	ci_run --poll 2s # the last look finds all of it
	[ "$status" = 0 ]
	[[ $output == *"3 built, 0 retagged, 0 unchanged, 0 failed"* ]]
	[ "$(grep -c "mute | cairn: warning: what it prints cannot be read: CloudWatch Logs (logs:GetLogEvents): AccessDenied" <<<"$output")" = 1 ]
	[[ $output == *"big | cairn: warning: what it prints cannot be read: GitHub: read a job's log: "* ]]
	[[ $output == *"app | ["*"] FINALIZING"* ]]
}

@test "no credentials, wrong ones, and what GitHub refuses" {
	start_github
	RUNNER_OF=([app]=gh)
	repository app <<-END
	  gh: { driver: github, labels: ubuntu-latest, vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	  cb: $CODEBUILD
	  nowhere: { driver: codebuild, compute: BUILD_GENERAL1_LARGE, price: "0.1", memory: 8g }
	END
	GITHUB_TOKEN='' ci_run
	[ "$status" = 7 ]
	[[ $output == *"failed    app - GitHub: dispatch a workflow: no token; set GITHUB_TOKEN or GH_TOKEN"* ]]
	[ ! -s "$GITHUB_LOG" ]
	GITHUB_TOKEN=wrong-token ci_run
	[ "$status" = 7 ]
	[[ $output == *"401 Bad credentials"*"is wrong or has expired"* ]]
	[[ $output != *wrong-token* ]]
	GITHUB_TOKEN=read-token ci_run
	[[ $output == *"403 Resource not accessible"*"'actions: write'"* ]]
	GITHUB_REPOSITORY=o/other ci_run
	[ "$status" = 6 ]
	[[ $output == *"404 Not Found"*"it does not exist, or the token may not see it"* ]]
	GITHUB_REF_NAME=gone ci_run
	[[ $output == *"422 No ref found for: gone"* ]]
	sed -i 's/runner: gh/runner: cb/' cairn.yaml
	export AWS_REGION=eu-west-1
	ci_run
	[ "$status" = 7 ]
	[[ $output == *"failed    app - CodeBuild (codebuild:StartBuild): "*credentials* ]]
	sed -i 's/runner: cb/runner: nowhere/' cairn.yaml
	ci_run
	[ "$status" = 6 ]
	[[ $output == *"the runner 'nowhere' names no project of CodeBuild; add 'project:' to it in cairn.yaml"* ]]
}

# On a narrow terminal: rows of what runs, cut to the width; they are gone in the end.
@test "a terminal has a table of what runs, and keeps none of it" {
	local screen wide=a-name-that-is-rather-long-for-an-image
	start_aws
	repository short "$wide" <<<"  cb: $CODEBUILD"
	touch short/new
	run python3 "$BATS_TEST_DIRNAME/terminal.py" 60 24 "^ short +(queued|running) +[0-9]" "$CAIRN" ci run --poll 50ms --no-logs
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"cairn: warning: short is built elsewhere"* ]]
	[ "$(grep -cE '^(started|built) +short on cb' <<<"$output")" = 2 ]
	[[ $output == *"2 built, 0 retagged, 0 unchanged, 0 failed, 0 no"* ]]
	not grep -E '^ (short|a-name)' <<<"$output"
	not grep -q $'\033' <<<"$output"
}

@test "--dry-run shows the requests and sends none" {
	start_aws
	start_github
	RUNNER_OF=([a]=cb [b]=gh [c]=local)
	repository a b c <<-END
	  cb: $CODEBUILD
	  gh: { driver: github, labels: [self-hosted, "x-\${{ github.run_id }}"], vcpu: 2, memory: 7g, disk: 14g, price: "0.03" }
	END
	ci_run --dry-run
	[ "$status" = 0 ]
	[[ $output == *"# a on cb
POST $AWS_ENDPOINT_URL/
X-Amz-Target: CodeBuild_20161006.StartBuild
{\"projectName\":\"images\",\"sourceVersion\":\"$(git rev-parse HEAD)\",\"computeTypeOverride\":\"BUILD_GENERAL1_LARGE\""* ]]
	[[ $output =~ '"CAIRN_ATTEMPT"'[^}]*'"'[0-9a-f]{24}'"' ]]
	[[ $output == *"# b on gh
POST $GITHUB_API_URL/repos/o/r/actions/workflows/build-containers.yml/dispatches
{\"ref\":\"main\",\"inputs\":{\"image\":\"b\""*'"labels":"[\"self-hosted\",\"x-{0}\"]"'* ]]
	[[ $output == *"# c on local
RUN cairn up -- c"* ]]
	[[ $output != *secret* && $output != *good-token* ]]
	[ ! -s "$AWS_LOG" ]
	[ ! -s "$GITHUB_LOG" ]
}
