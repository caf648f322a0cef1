#!/usr/bin/env bats
# CodeBuild, against the stand-in of codebuild_standin.py: signatures are checked, phases take their time.

load common

setup() {
	need_tools python3
	setup_suite_dirs
	TOOL=$SANDBOX_BIN/codebuild-tool
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	stop_servers
}

start() { # OPTION...: aws_server.py; LOG
	LOG=$BATS_TEST_TMPDIR/log
	: >"$LOG"
	start_server "$LOG.err" python3 "$BATS_TEST_DIRNAME/aws_server.py" "$LOG" "$@"
	export AWS_ACCESS_KEY_ID=AKIAUSER AWS_SECRET_ACCESS_KEY=user/secret+key
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=http://127.0.0.1:$PORT
}

@test "a build is started, followed through its phases, and read" {
	start --phase 0.05 --each
	id=$("$TOOL" start images IMAGE=app)
	[[ $id == images:* ]]
	"$TOOL" watch "$id" >out
	grep -q "^phase QUEUED" out
	grep -q "^phase COMPLETED" out
	grep -q "^PROVISIONING SUCCEEDED" out
	[ "$(tail -n 1 out)" = SUCCEEDED ]
	# each log line once, in order
	[ "$(grep -c "^\[" out)" = 7 ]
	[ "$(grep -o "\] .*" out | tr -d '\n')" = "] DOWNLOAD_SOURCE] INSTALL] PRE_BUILD] BUILD] POST_BUILD] UPLOAD_ARTIFACTS] FINALIZING" ]
}

@test "a build that fails, and one that is out of memory" {
	start --phase 0.03
	"$TOOL" watch "$("$TOOL" start images FAIL=BUILD)" >out
	grep -q "^BUILD FAILED Error while executing command: cairn up. Reason: exit status 1" out
	[ "$(tail -n 1 out)" = FAILED ]
	"$TOOL" watch "$("$TOOL" start images MEMORY=BUILD)" >out
	[ "$(tail -n 1 out)" = "FAILED memory" ]
}

@test "a build is stopped" {
	start --phase 60
	id=$("$TOOL" start images)
	"$TOOL" stop "$id"
	"$TOOL" stop "$id" # again is no mistake
	"$TOOL" watch "$id" >out
	[ "$(tail -n 1 out)" = STOPPED ]
}

@test "the account's limit, a project that is not there, a build that is not known" {
	start --phase 60 --builds 1
	"$TOOL" start images
	run "$TOOL" start images
	[ "$status" = 1 ]
	[[ $output == *limit* ]]
	[[ $output == *"-4: CodeBuild (codebuild:StartBuild): AccountLimitExceededException: Cannot have more than 1 builds in queue for the account"* ]]
	run "$TOOL" start missing
	[ "$output" = "-2: CodeBuild (codebuild:StartBuild): ResourceNotFoundException: Project cannot be found: missing" ]
	run "$TOOL" watch images:none
	[ "$output" = "-2: CodeBuild does not know the build images:none" ]
}

@test "credentials that expire while a build is followed are renewed" {
	start --phase 0.02 --each --uses 2
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$AWS_ENDPOINT_URL/creds AWS_CONTAINER_AUTHORIZATION_TOKEN=box-token
	"$TOOL" watch "$("$TOOL" start images)" >out
	[ "$(tail -n 1 out)" = SUCCEEDED ]
	[ "$(grep -c "GET /creds" "$LOG")" -ge 3 ]
}

@test "no credentials, and wrong ones" {
	start
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	run "$TOOL" start images
	[ "$status" = 1 ]
	[[ $output == "-5: "*"credentials"* ]]
	export AWS_ACCESS_KEY_ID=AKIAUSER AWS_SECRET_ACCESS_KEY=wrong
	run "$TOOL" start images
	[[ $output == "-5: CodeBuild (codebuild:StartBuild): SignatureDoesNotMatch"* ]]
}
