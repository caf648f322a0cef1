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

teardown() {
	[ -z "${IMDS_PID:-}" ] || kill "$IMDS_PID" 2>/dev/null || true
	remove_stores
}

# Answers as https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html says;
# the notice is there from the N-th question on.
start_imds() { # PATH-OF-NOTICE BODY [N]
	python3 - "$BATS_TEST_TMPDIR/port" "$1" "$2" "${3:-1}" <<-'EOD' &
	import http.server, os, sys
	asked = 0
	class Imds(http.server.BaseHTTPRequestHandler):
	    def answer(self, status, body=""):
	        self.send_response(status)
	        self.send_header("Content-Length", str(len(body)))
	        self.end_headers()
	        self.wfile.write(body.encode())
	    def do_PUT(self):
	        ok = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
	        self.answer(200 if ok else 400, "token")
	    def do_GET(self):
	        if self.headers.get("X-aws-ec2-metadata-token") != "token":
	            self.answer(401)
	            return
	        global asked
	        asked += self.path == sys.argv[2]
	        there = self.path == sys.argv[2] and asked >= int(sys.argv[4])
	        self.answer(200, sys.argv[3]) if there else self.answer(404)
	    def log_message(self, *args):
	        pass
	server = http.server.HTTPServer(("127.0.0.1", 0), Imds)
	with open(sys.argv[1] + ".new", "w") as f:
	    f.write(str(server.server_port))
	os.rename(sys.argv[1] + ".new", sys.argv[1])
	server.serve_forever()
	EOD
	IMDS_PID=$!
	until [ -e "$BATS_TEST_TMPDIR/port" ]; do sleep 0.05; done
	AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$(<"$BATS_TEST_TMPDIR/port")
	export AWS_EC2_METADATA_SERVICE_ENDPOINT
}

@test "a spot notice: the running step ends, no further one starts, exit code 75" {
	sed -i 's/sleep 3/sleep 7/' "$CTX/Dockerfile" # longer than from one question to the next
	start_imds /latest/meta-data/spot/instance-action '{"action":"terminate","time":"2026-11-22T10:00:00Z"}' 2
	run "$CAIRN" build --progress=plain "$CTX"
	echo "$output"
	[ "$status" -eq 75 ]
	[[ $output == *"spot interruption"* ]]
	[[ $output == *second* ]]
	! grep -qE '^#[0-9]+ [0-9.]+ third' <<<"$output" || false
	unset AWS_EC2_METADATA_SERVICE_ENDPOINT
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"cached, 1 run"* ]]
}

@test "a rebalance recommendation does the same" {
	start_imds /latest/meta-data/events/recommendations/rebalance '{"noticeTime":"2026-11-22T10:00:00Z"}'
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 75 ]
	[[ $output == *"rebalance recommendation"* ]]
}

@test "no notice: nothing happens; AWS_EC2_METADATA_DISABLED: nobody is asked" {
	start_imds /nothing ''
	run "$CAIRN" build --progress=plain "$CTX"
	[ "$status" -eq 0 ]
	kill "$IMDS_PID"
	rm "$BATS_TEST_TMPDIR/port"
	start_imds /latest/meta-data/spot/instance-action '{"action":"terminate","time":"2026-11-22T10:00:00Z"}'
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
