#!/usr/bin/env bats
# Each request of a push, a pull and a cache goes wrong: a sample of what tests/stress/faults does;
# ECR's manners. As root only: nothing here differs for a user, and it takes a minute.

load common

setup() {
	[ "$(id -u)" = 0 ] || skip "it runs as root"
	need_tools docker-registry skopeo zstd python3
}

faults() { # SAMPLE SCENARIO...
	CAIRN_PATIENCE=4 run timeout 1100 python3 "$BATS_TEST_DIRNAME/faults.py" -n "$1" -j 6 "$BATS_TEST_TMPDIR/faults" "${@:2}" 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a fault at a request of a pull, a push, a build, its caches: a sample" {
	faults 1
}

@test "ECR takes what is written, and its tokens end in the middle" {
	faults 1 ecr-pull ecr-push ecr-copy ecr-sync ecr-cold ecr-changed ecr-buildkit ecr-immutable
}
