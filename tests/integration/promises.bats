#!/usr/bin/env bats
# What caches promise and do not keep, who writes them at the same time, and what was never fetched.
load common

setup_file() {
	need_tools docker-registry python3 jq skopeo
}

setup() {
	setup_suite_dirs
	start_registry
	echo hello >"$CTX/a.txt"
	seed_base
	CACHE=type=registry,ref=$REG/cache
	FROM=type=local,src=$BATS_TEST_TMPDIR/dir TO=type=local,dest=$BATS_TEST_TMPDIR/dir,mode=max
	machine one
}

dockerfile() {
	cat <<-END
	FROM $REG/base:1
	RUN cat /proc/sys/kernel/random/uuid >/when
	COPY a.txt /a.txt
	RUN cat /a.txt /when >/all
	CMD ["cat", "/all"]
	END
}

go() { # OPTION...
	build_ok --iidfile "$BATS_TEST_TMPDIR/id" "$@" < <(dockerfile)
}

image() { cat "$BATS_TEST_TMPDIR/id"; }

# Steps that ran, of a plain progress; in the last attempt.
ran() {
	awk '/building it again/ { delete name; delete hit } /^#[0-9]+ \[.*(RUN|COPY|WORKDIR)/ { name[$1] } /^#[0-9]+ CACHED/ { hit[$1] }
		END { for (n in name) k += !(n in hit); print k + 0 }' <<<"$output"
}

unpacked() {
	find "$CAIRN_HOME/layers" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}

@test "an image for which nothing had to run is used later, when no cache is named" {
	local all
	go -t one --cache-to "$CACHE,mode=max"
	all=$("$CAIRN" run one)

	machine two # pushed: nothing came here
	go --push -t "$REG/app:1" --cache-from "$CACHE"
	[ "$(ran)" -eq 0 ]
	[ "$(unpacked)" -eq 0 ]
	ok run "$REG/app:1"
	[ "$(tail -n 2 <<<"$output")" = "$all" ]
	ok run "$REG/app:1"
	[ "$output" = "$all" ]

	machine three # without a name nothing is fetched either
	go --cache-from "$CACHE"
	[ "$(unpacked)" -eq 0 ]
	ok run "$(image)"
	[ "$(tail -n 2 <<<"$output")" = "$all" ]

	machine four
	go --push -t "$REG/app:1" --cache-from "$CACHE"
	ok push "$REG/app:1" "$REG/copy:1"
	[ "$(unpacked)" -eq 0 ]
	skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$REG/copy:1" "dir:$BATS_TEST_TMPDIR/copy"

	machine five
	go --push -t "$REG/app:1" --cache-from "$CACHE"
	go -o "type=docker,dest=$BATS_TEST_TMPDIR/i.tar" -t x --cache-from "$CACHE"
	[ "$(ran)" -eq 0 ]
	skopeo --insecure-policy copy -q "docker-archive:$BATS_TEST_TMPDIR/i.tar" "dir:$BATS_TEST_TMPDIR/i"
	ok run x
	[ "$(tail -n 2 <<<"$output")" = "$all" ]

	machine six # with a name its files are fetched at once
	go -t x --cache-from "$CACHE"
	ok run x
	[ "$output" = "$all" ]
}

@test "layers that only a folder has: cairn run says what to do" {
	go --cache-to "$TO"
	machine two
	go --cache-from "$FROM"
	[ "$(ran)" -eq 0 ]
	run "$CAIRN" run "$(image)"
	[ "$status" -eq 125 ]
	[[ $output == *"--cache-from"* ]]
	go --cache-from "$FROM" -t x
	[ "$(ran)" -eq 0 ]
	ok run x
}

# Blobs that entries and indexes of a repository describe as its own, and those that tagged manifests name.
unnamed_blobs() { # REPOSITORY
	python3 - "$REG" "$1" <<-'END'
	import json, sys, urllib.request
	reg, repo = sys.argv[1:]
	def get(path):
	    r = urllib.request.Request(f"http://{reg}/v2/{repo}/{path}", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
	    return json.load(urllib.request.urlopen(r))
	named, described = set(), set()
	for tag in get("tags/list")["tags"]:
	    if tag.startswith("cairn.pointer-"): # not an entry
	        continue
	    m = get("manifests/" + tag)
	    named |= {l["digest"] for l in m["layers"]}
	    for l in json.loads(m["annotations"]["io.cairn.document"]).get("layers", []):
	        described |= {l[k]["digest"] for k in ("blob", "index") if k in l and "data" not in l[k] and (k == "index" or not l.get("from"))}
	print(len(described - named), len(described))
	END
}

@test "who comes second does not count what its lost entry would have named" {
	dockerfile() { # each entry is there before the next one is made
		printf 'FROM %s/base:1\nRUN cat /proc/sys/kernel/random/uuid >/when\nRUN sleep 1; cat /when >/a\nRUN sleep 1; cat /when >/b\n' "$REG"
	}
	go --cache-to "$CACHE,mode=max"
	machine two # reads nothing: other results for the same keys
	go --cache-to "$CACHE,mode=max"
	[ "$(ran)" -eq 3 ]
	run unnamed_blobs cache
	echo "$output"
	[[ $output == "0 "* ]]
	[ "${output#0 }" -gt 6 ]
}

blobs() { # FIND-OPTION...
	find "$BATS_TEST_TMPDIR/dir/blobs/sha256" -type f "$@"
}

# The step runs again on the second machine; what it puts there is good for the third one.
mended() {
	machine two
	go --cache-from "$FROM" --cache-to "$TO" -t x
	echo "$output"
	[[ $output == *"building it again"* ]]
	[ "$(ran)" -ge 1 ]
	ok run x
	machine three
	go --cache-from "$FROM" -t x
	[[ $output != *warning* ]]
	[ "$(ran)" -eq 0 ]
	ok run x
	[ "$output" != "" ]
}

@test "an entry whose layer is gone is replaced by the result of the step that ran again" {
	go --cache-to "$TO" # every layer but the base's
	blobs -size +0 -delete
	mended
}

@test "the same for one whose layer is damaged: its blob is sent again, too" {
	local f
	dockerfile() { # makes the same layer each time
		printf 'FROM %s/base:1\nCOPY a.txt /a.txt\nCMD ["cat", "/a.txt"]\n' "$REG"
	}
	go --cache-to "$TO"
	while read -r f; do
		printf 'XXXX' | dd of="$f" bs=1 seek=20 conv=notrunc status=none
	done < <(blobs)
	mended
}

# A build whose step lasts until this is printed, or far too long: how it ended is in $status.
told_at_once() { # TEXT OPTION...
	local pid
	printf 'FROM %s/base:1\nRUN %s || true; echo slept\n' "$REG" "$HELD" >"$CTX/Dockerfile"
	: >"$BATS_TEST_TMPDIR/told"
	{
		wait_for is_held
		wait_for grep -qF "$1" "$BATS_TEST_TMPDIR/told" || true
		let_go
	} 3>&- &
	pid=$!
	status=0
	"$CAIRN" build --progress=plain "${@:2}" "$CTX" >"$BATS_TEST_TMPDIR/told" 2>&1 3>&- || status=$?
	wait "$pid"
	output=$(<"$BATS_TEST_TMPDIR/told")
	echo "$output"
	awk -v text="$1" 'index($0, text) && !said { said = NR } /slept/ && !slept && !/RUN/ { slept = NR }
		END { exit !(said && slept && said < slept) }' <<<"$output"
}

@test "a bucket that is not there, and credentials that may not write, are told of at once" {
	[ -n "$(s3_kind)" ] || skip "no S3 server here"
	start_s3
	local s3=endpoint_url=http://$S3,use_path_style=true
	export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER AWS_REGION=us-east-1
	told_at_once "nothing more is published to s3://nowhere" --cache-to "type=s3,bucket=nowhere,$s3"
	[ "$status" -ne 0 ]
	told_at_once "nothing more is published to s3://nowhere" --no-cache --cache-to "type=s3,bucket=nowhere,$s3,ignore-error=true"
	[ "$status" -eq 0 ]
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	HOME=$BATS_TEST_TMPDIR told_at_once "nothing more is published to s3://bucket" --no-cache --cache-to "type=s3,bucket=bucket,$s3"
	[ "$status" -ne 0 ]
}

@test "a registry that takes nothing is told of at once" {
	take_away
	sed -i 's/delete: {enabled: true}/maintenance: {readonly: {enabled: true}}/' "$REGISTRY_CONFIG"
	restart_registry
	told_at_once "nothing more is published to $REG/cache" --cache-to "$CACHE"
	[ "$status" -ne 0 ]
	[[ $output == *"will fail in the end"* ]]
	machine two # nothing is published: nobody asks
	build_ok <<-END
	FROM $REG/base:1
	RUN echo built
	END
}

@test "what is only written is not read: neither steps nor cache mounts" {
	local file
	file=$(printf 'FROM %s/base:1\nRUN --mount=type=cache,target=/m ls /m; cat /proc/sys/kernel/random/uuid >/m/x\n' "$REG")
	build_ok --cache-to "$TO" <<<"$file"
	machine two
	build_ok --cache-to "$TO" <<<"$file"
	[ "$(ran)" -eq 1 ]
	[[ $output != *"restored cache mount"* ]]
	machine three
	build_ok --cache-from "$FROM" <<<"${file/ls/ls -l}"
	[[ $output == *"restored cache mount"* ]]
}

# cairn build in the background, interrupted when a transfer has stalled, for ever; how it ended is in $status.
interrupted() { # SIGNAL OPTION...
	local begun pid
	: >"$PROXY_LOG"
	"$CAIRN" build --progress=plain "${@:2}" "$CTX" >"$BATS_TEST_TMPDIR/build.log" 2>&1 3>&- &
	pid=$!
	wait_for grep -q stalled "$PROXY_LOG"
	sleep 1
	begun=$(date +%s%N)
	kill -"$1" "$pid"
	status=0
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/build.log"
	took=$((($(date +%s%N) - begun) / 1000000))
	echo "status $status after $took ms"
}

@test "Ctrl-C ends a build whose upload or download stalls" {
	local fast=$REG
	start_proxy --stall 100000
	cat >"$CTX/Dockerfile" <<-END
	FROM $fast/base:1
	RUN head -c 3000000 /dev/urandom >/big
	RUN sleep 1
	COPY a.txt /b.txt
	END
	interrupted INT --cache-to "type=registry,ref=$REG/cache,mode=max"
	[ "$status" -eq 75 ]
	[ "$took" -lt 15000 ]
	machine two # the push waits for what is on its way into the cache
	interrupted INT --cache-to "type=registry,ref=$REG/cache,mode=max" --push -t "$REG/app:1"
	[ "$status" -eq 75 ]
	[ "$took" -lt 15000 ]

	machine three
	"$CAIRN" build -q --cache-to "type=registry,ref=$fast/cache,mode=max" "$CTX"
	machine four
	echo "RUN true" >>"$CTX/Dockerfile"
	for signal in INT TERM; do
		interrupted $signal --cache-from "type=registry,ref=$REG/cache"
		[ "$status" -eq 75 ]
		[ "$took" -lt 15000 ]
	done
}

@test "a warning of the plan comes once, whoever builds" {
	build_ok -t x <<-END
	FROM $REG/base:1 as Base
	COPY nothing* a.txt /x/
	RUN true
	END
	[ "$(grep -c "matches nothing" <<<"$output")" -eq 1 ]
	[ "$(grep -c "FromAsCasing" <<<"$output")" -eq 1 ]
	build_ok --cache-from type=registry,ref=$NOBODY/nowhere -t x <<-END
	FROM $REG/base:1
	COPY a.txt /y/
	RUN true
	END
	[[ $output == *$NOBODY/nowhere* ]]
	[ -z "$(grep nowhere <<<"$output" | sort | uniq -d)" ]
}
