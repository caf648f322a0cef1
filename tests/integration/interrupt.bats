#!/usr/bin/env bats
# A build whose machine is about to go: signals, and spot notices of a stand-in for EC2's IMDSv2.
load common

setup() {
	setup_suite_dirs
	import_base
	cat >"$CTX/Dockerfile" <<-'EOD'
	FROM base
	RUN echo first
	RUN true; echo second
	RUN echo third
	EOD
}

# A stand-in for IMDSv2: files in $NOTICES are its notices.
start_imds() {
	local log=$BATS_TEST_TMPDIR/imds-${#SERVERS[@]}
	start_server "$log.err" python3 "$BATS_TEST_DIRNAME/aws_server.py" "$log"
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$PORT
	NOTICES=$log.d QUESTIONS=$log
}

# A build in which there is a notice while the second step runs; the step ends when that was heard. The build's exit
# code is in $status, what it said in $output.
noticed() { # FILE
	sed -i "s/RUN true/RUN $HELD || true/" "$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$!
	wait_for is_held
	touch "$NOTICES/$1"
	wait_for grep -q "no further one is started" "$BATS_TEST_TMPDIR/out" || true
	let_go
	status=0
	wait "$pid" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out")
	echo "$output"
}

@test "a spot notice: the running step ends, no further one starts, exit code 75" {
	start_imds
	noticed stop
	grep -q "spot/instance-action 200" "$QUESTIONS"
	[ "$status" -eq 75 ]
	[[ $output == *"spot interruption"* ]]
	wrote second
	not wrote third
	rm "$NOTICES/stop"
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"cached, 1 run"* ]]
}

@test "a rebalance recommendation does the same" {
	start_imds
	noticed rebalance
	grep -q "recommendations/rebalance 200" "$QUESTIONS"
	[ "$status" -eq 75 ]
	[[ $output == *"rebalance recommendation"* ]]
}

@test "no notice: nothing happens; AWS_EC2_METADATA_DISABLED: nobody is asked" {
	start_imds
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	start_imds # a new one: questions of that build may still be on their way to the other
	touch "$NOTICES/stop"
	AWS_EC2_METADATA_DISABLED=true run "$CAIRN" build --no-cache --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[ ! -e "$QUESTIONS" ]
}

@test "SIGTERM: exit code 75, finished steps are kept, the running one is not waited for" {
	sed -i "s/RUN true/RUN $HELD || true/" "$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_for is_held
	begin=$(date +%s%N)
	kill -TERM "$pid"
	rc=0
	wait "$pid" || rc=$?
	took=$((($(date +%s%N) - begin) / 1000000))
	output=$(<"$BATS_TEST_TMPDIR/out")
	echo "$output"
	[ "$rc" -eq 75 ]
	echo "$took ms" # a fraction of a second; a busy machine takes longer, and the step days
	[ "$took" -lt 100000 ]
	not wrote second
	[[ $output == *"stopped by SIGTERM; finished steps are kept"* ]]
	sed -i "s/$HELD || //" "$CTX/Dockerfile"
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"cached, 2 run"* ]]
}
