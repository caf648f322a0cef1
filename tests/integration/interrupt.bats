#!/usr/bin/env bats
# A build whose machine is about to go: signals, and spot notices of a stand-in for EC2's IMDSv2.
load common

setup() {
	setup_suite_dirs
	import_base
	cat >"$CTX/Dockerfile" <<-'EOD'
	FROM base
	RUN echo first
	RUN sleep 3; echo second
	RUN echo third
	EOD
}

# A stand-in for IMDSv2: files in $NOTICES are its notices.
start_imds() {
	local log=$BATS_TEST_TMPDIR/imds
	start_server "$log.err" python3 "$BATS_TEST_DIRNAME/aws_server.py" "$log"
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$PORT
	NOTICES=$log.d QUESTIONS=$log
}

@test "a spot notice: the running step ends, no further one starts, exit code 75" {
	sed -i 's/sleep 3/sleep 7/' "$CTX/Dockerfile" # longer than from one question to the next
	start_imds
	{
		wait_for grep -q 'spot/instance-action 404' "$QUESTIONS"
		touch "$NOTICES/stop"
	} 3>&- &
	run "$CAIRN" build --progress=plain "$CTX"
	echo "$output"
	[ "$status" -eq 75 ]
	[[ $output == *"spot interruption"* ]]
	[[ $output == *second* ]]
	! grep -qE '^#[0-9]+ [0-9.]+ third' <<<"$output" || false
	rm "$NOTICES/stop"
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"cached, 1 run"* ]]
}

@test "a rebalance recommendation does the same" {
	start_imds
	touch "$NOTICES/rebalance"
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 75 ]
	[[ $output == *"rebalance recommendation"* ]]
}

@test "no notice: nothing happens; AWS_EC2_METADATA_DISABLED: nobody is asked" {
	start_imds
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	touch "$NOTICES/stop"
	AWS_EC2_METADATA_DISABLED=true run "$CAIRN" build --no-cache --progress=plain "$CTX"
	[ "$status" -eq 0 ]
}

@test "SIGTERM: exit code 75, finished steps are kept, in less than two seconds" {
	"$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/out" 2>&1 &
	pid=$!
	until grep -q ' RUN sleep 3' "$BATS_TEST_TMPDIR/out"; do sleep 0.05; done
	sleep 0.3
	begin=$(date +%s%N)
	kill -TERM "$pid"
	rc=0
	wait "$pid" || rc=$?
	took=$((($(date +%s%N) - begin) / 1000000))
	cat "$BATS_TEST_TMPDIR/out"
	[ "$rc" -eq 75 ]
	[ "$took" -lt 2000 ]
	grep -q "stopped by SIGTERM; finished steps are kept" "$BATS_TEST_TMPDIR/out"
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"cached, 2 run"* ]]
}
