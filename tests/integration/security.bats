#!/usr/bin/env bats
# Attempts of a step, a context, an image or another user to get at what is not theirs. What the
# sandbox alone refuses is tried in sandbox.bats; docs/SECURITY.md lists both.

load common

setup() {
	setup_suite_dirs
	import_base
}

# Fails when the text stands anywhere in the files or below the directories.
nowhere() { # TEXT FILE...
	local text=$1
	shift
	! grep -rla -- "$text" "$@"
}

@test "secrets and proxies are in no store, output, progress or error" {
	echo secret-of-a-file >"$BATS_TEST_TMPDIR/secret"
	export VARIABLE=secret-of-a-variable
	local with=(--secret "id=f,src=$BATS_TEST_TMPDIR/secret" --secret id=v,env=VARIABLE
		--build-arg HTTP_PROXY=http://user:secret-of-a-proxy@127.0.0.1:1
		--metadata-file "$BATS_TEST_TMPDIR/meta" --progress=json)

	cat >Dockerfile <<-'EOF'
		FROM base
		RUN --mount=type=secret,id=f --mount=type=secret,id=v,env=V \
		    grep -q secret-of-a-f /run/secrets/f && test ${#V} = 20 && test -n "$HTTP_PROXY"
	EOF
	"$CAIRN" build "${with[@]}" -t x -o "type=oci,dest=$BATS_TEST_TMPDIR/x.tar" . \
		>"$BATS_TEST_TMPDIR/out" 2>&1 || { cat "$BATS_TEST_TMPDIR/out" && return 1; }
	"$CAIRN" history --json x >>"$BATS_TEST_TMPDIR/out"
	echo 'RUN --mount=type=secret,id=v,env=V false' >>Dockerfile
	run "$CAIRN" build "${with[@]}" .
	[ "$status" -ne 0 ]
	echo "$output" >>"$BATS_TEST_TMPDIR/out"
	local see=("$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/x.tar" "$BATS_TEST_TMPDIR/meta" "$CAIRN_HOME")
	nowhere secret-of-a-file "${see[@]}"
	nowhere secret-of-a-variable "${see[@]}"
	nowhere secret-of-a-proxy "${see[@]}"
}

@test "records have no value of a build argument" {
	build_ok --build-arg PASSWORD=value-of-an-arg <<-'EOF'
		FROM base
		ARG PASSWORD
		RUN echo "$PASSWORD" | wc -c
	EOF
	# The image's history has it, as with docker build: that is a blob, not a record.
	nowhere value-of-an-arg "$CAIRN_HOME"/db.sqlite*
}

@test "a step sees no other step, no path of the store, and not cairn" {
	echo secret-of-a-file >"$BATS_TEST_TMPDIR/secret"
	build_ok --secret "id=f,src=$BATS_TEST_TMPDIR/secret" <<-'EOF'
		FROM base AS a
		RUN --mount=type=secret,id=f echo here >/a; sleep 1
		FROM base AS b
		RUN sleep 0.3; echo /proc/[0-9]* >/pids; cat /proc/*/environ /proc/*/cmdline >/all; \
		    cat /proc/self/mountinfo >>/all; ls /proc/1/fd >/fds; ls /run/secrets >>/all 2>&1 || true
		FROM base
		COPY --from=a /a /
		COPY --from=b /pids /all /fds /
	EOF
	"$CAIRN" build --secret "id=f,src=$BATS_TEST_TMPDIR/secret" \
		-o "type=local,dest=$BATS_TEST_TMPDIR/o" .
	[ "$(tr ' ' '\n' <"$BATS_TEST_TMPDIR/o/pids" | head -1)" = /proc/1 ]
	nowhere "$CAIRN_HOME" "$BATS_TEST_TMPDIR/o"
	nowhere secret-of-a-file "$BATS_TEST_TMPDIR/o"
	nowhere sandbox-helper "$BATS_TEST_TMPDIR/o/all"
}

@test "a step cannot write to kernel settings, open devices or make namespaces" {
	build_ok <<-'EOF'
		FROM base
		RUN for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches \
		        /sys/kernel/uevent_helper /sys/fs/cgroup/x; do \
		        if (echo x >$f) 2>/dev/null; then echo "wrote $f"; exit 1; fi; done
		RUN for c in 'mount -t tmpfs x /tmp' 'mount -o remount,rw /sys' 'umount /proc' 'unshare -r id' \
		        'unshare -m id' 'unshare -n id' 'hostname x' 'dmesg'; do \
		        if $c >/dev/null 2>&1; then echo "did $c"; exit 1; fi; done
		RUN for d in /tmp /dev /dev/shm; do mknod $d/m c 1 1 2>/dev/null || continue; \
		        if head -c1 $d/m; then exit 1; fi; rm $d/m; done
	EOF
}

@test "a link of the context does not lead out of it" {
	echo words-of-the-host >"$BATS_TEST_TMPDIR/outside"
	ln -s "$BATS_TEST_TMPDIR/outside" abs
	ln -s ../outside rel
	ln -s .. dir
	local source
	for source in abs rel dir/outside; do
		run "$CAIRN" build --progress=plain -f - . <<-EOF
			FROM scratch
			COPY $source /got
		EOF
		echo "$source: $output"
		[ "$status" -ne 0 ]
		[[ $output == *"'$source' is not in the build context"* ]]
	done
	nowhere words-of-the-host "$CAIRN_HOME"
}

# A command while the step HELD of ./Dockerfile runs, when all keys are made.
meanwhile() { # COMMAND
	sed -i "s/HELD/$HELD/" Dockerfile
	{
		wait_for is_held
		sleep 1
		eval "$1"
		let_go
	} 3>&- &
}

@test "an archive that changes after its key was made is not unpacked under that key" {
	echo old >f && tar cf a.tar f
	echo new >f && tar cf b.tar f
	cat >Dockerfile <<-'EOF'
		FROM base
		RUN --mount=type=bind,target=/ctx HELD || true
		ADD a.tar /x/
	EOF
	meanwhile "cat b.tar >a.tar"
	run "$CAIRN" build --progress=plain -t x .
	wait
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"'a.tar' changed while the build ran"* ]]
}

@test "a link that takes a directory's place is not followed to an archive" {
	mkdir d "$BATS_TEST_TMPDIR/out"
	echo f >f && tar cf d/a.tar f
	cp d/a.tar "$BATS_TEST_TMPDIR/out"
	cat >Dockerfile <<-'EOF'
		FROM base
		RUN --mount=type=bind,target=/ctx HELD || true
		ADD d/a.tar /x/
	EOF
	meanwhile 'mv d e && ln -s "$BATS_TEST_TMPDIR/out" d'
	run "$CAIRN" build --progress=plain -t x .
	wait
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"open 'd/a.tar'"* ]]
}

@test "a base image whose links point to the host writes into the image only" {
	mkdir -p r1 r2/l "$BATS_TEST_TMPDIR/victim"
	ln -s "$BATS_TEST_TMPDIR/victim" r1/l
	echo owned >r2/l/f
	tar cf evil.tar -C r1 l -C ../r2 l/f
	run "$CAIRN" import evil.tar evil
	echo "$output"
	[ -z "$(ls "$BATS_TEST_TMPDIR/victim")" ]
	tar cf up.tar --absolute-names --transform "s|^f|../../../../../../$BATS_TEST_TMPDIR/victim/g|" -C r2/l f
	run "$CAIRN" import up.tar up
	[ "$status" -ne 0 ]
	[[ $output == *"climbs out of the image"* ]]
	[ -z "$(ls "$BATS_TEST_TMPDIR/victim")" ]
}

@test "nobody else can read the store" {
	build_ok <<-'EOF'
		FROM base
		RUN --mount=type=cache,target=/c echo x >/c/x && cp /bin/busybox /su && chmod 4755 /su
	EOF
	[ "$(stat -c %a "$CAIRN_HOME")" = 700 ]
	local dir
	for dir in blobs layers mounts tmp indexes contexts; do
		[ "$(stat -c %a "$CAIRN_HOME/$dir")" = 700 ]
	done
	mkdir -m 777 "$BATS_TEST_TMPDIR/home2"
	CAIRN_HOME=$BATS_TEST_TMPDIR/home2 "$CAIRN" import "$BATS_FILE_TMPDIR/base.tar" base
	[ "$(stat -c %a "$BATS_TEST_TMPDIR/home2")" = 700 ]
}

@test "a store of another user is refused" {
	[ "$(id -u)" = 0 ] || skip "needs root: to give a directory away"
	chown 12345 "$CAIRN_HOME"
	build_fails <<<'FROM base'
	[[ $output == *"belongs to user 12345"* ]]
	mkdir "$BATS_TEST_TMPDIR/home3" && chown 12345 "$BATS_TEST_TMPDIR/home3"
	CAIRN_HOME=$BATS_TEST_TMPDIR/home3 run "$CAIRN" import "$BATS_FILE_TMPDIR/base.tar" base
	[ "$status" -ne 0 ]
	[ -z "$(ls "$BATS_TEST_TMPDIR/home3")" ]
}

@test "every test that the security page names exists" {
	local page=$BATS_TEST_DIRNAME/../../docs/SECURITY.md file name n=0
	[ -f "$page" ] || skip "no docs beside the tests"
	while IFS='|' read -r file name; do
		grep -qF -- "$name" "$BATS_TEST_DIRNAME/../../$file" || {
			echo "$file has no '$name'"
			return 1
		}
		n=$((n + 1))
	done < <(sed -nE 's/^.*\| (tests[^:]*): `(.*)` \|$/\1|\2/p' "$page")
	[ "$n" -gt 20 ]
}
