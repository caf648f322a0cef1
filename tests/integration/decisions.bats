#!/usr/bin/env bats
# Cases in which a builder makes wrong images: one test each. docs/testing.md lists them.
load common

setup() {
	setup_suite_dirs
	import_base
}

config_of() { # IMAGE: as the registry would see it
	"$CAIRN" inspect --json "$1" | jq -c 'if type == "array" then .[0] else . end'
}

@test "results of one definition are never mixed: the deepest hit supplies its whole chain" {
	# D1 is random; D2 is built on its first result. After a forced D1, D2 must not stand on
	# the new D1 without having run on it.
	local df
	df=$(cat <<-'EOF'
	FROM base AS one
	RUN head -c 16 /dev/urandom | od >/r
	FROM one AS two
	RUN cp /r /copy
	EOF
	)
	build_ok -t first <<<"$df"
	build_ok -t forced --no-cache --target one <<<"$df"
	build_ok -t second <<<"$df"
	run "$CAIRN" run second sh -c 'cmp /r /copy && cat /r'
	[ "$status" -eq 0 ]
	# what stands on the two stages separately has one result of the common step
	build_ok -t both <<-'EOF'
	FROM base AS one
	RUN head -c 16 /dev/urandom | od >/r
	FROM one AS two
	RUN cp /r /copy
	FROM base
	COPY --from=one /r /r1
	COPY --from=two /r /copy /two/
	RUN cmp /r1 /two/r && cmp /r1 /two/copy
	EOF
}

@test "a forced result supersedes, also for the steps that stand on it" {
	local df
	df=$(cat <<-'EOF'
	FROM base AS one
	RUN head -c 16 /dev/urandom | od >/r
	FROM one AS two
	RUN cp /r /copy
	EOF
	)
	build_ok -t old <<<"$df"
	build_ok -t new --no-cache-filter one <<<"$df"
	[ "$("$CAIRN" run old cat /copy)" != "$("$CAIRN" run new cat /copy)" ]
	build_ok -t next <<<"$df"
	[ "$("$CAIRN" run next cat /copy)" = "$("$CAIRN" run new cat /copy)" ]
	build_ok -t all --no-cache <<<"$df"
	build_ok -t last <<<"$df"
	[ "$("$CAIRN" run last cat /copy)" = "$("$CAIRN" run all cat /copy)" ]
}

@test "a repeated step with an equal tree gives the older layers and times back" {
	local df
	df=$(printf 'FROM base\nRUN echo same >/f\n')
	build_ok -t one <<<"$df"
	build_ok -t two --no-cache <<<"$df"
	[ "$(image_id one)" = "$(image_id two)" ]
}

@test "unpacked layers keep the directories that lower layers have" {
	# An image whose layer has lib/foo, root/x and tmp/y without their parents, over links.
	local t=$BATS_TEST_TMPDIR
	build_ok -t merged <<-'EOF'
	FROM base
	RUN mkdir -p /usr/lib && ln -s usr/lib /lib && echo low >/usr/lib/low
	EOF
	build_ok -t arch <<-'EOF'
	FROM merged
	COPY <<X /lib/foo
	foo
	X
	COPY <<X /root/x
	x
	X
	COPY <<X /tmp/y
	y
	X
	EOF
	run "$CAIRN" run arch sh -c 'readlink /lib; cat /usr/lib/low /usr/lib/foo; stat -c %a /root /tmp'
	[ "$output" = "usr/lib
low
foo
700
1777" ]
}

@test "ADD of an archive without parent entries over links" {
	local t=$BATS_TEST_TMPDIR
	mkdir -p "$t/r/lib" "$t/r/tmp" "$t/r/root"
	echo foo >"$t/r/lib/foo"
	echo y >"$t/r/tmp/y"
	echo x >"$t/r/root/x"
	tar -C "$t/r" --owner=0 --group=0 -cf "$CTX/a.tar" lib/foo tmp/y root/x
	build_ok -t arch <<-'EOF'
	FROM base
	RUN mkdir -p /usr/lib && ln -s usr/lib /lib && echo low >/usr/lib/low
	ADD a.tar /
	EOF
	run "$CAIRN" run arch sh -c 'readlink /lib; cat /usr/lib/low /usr/lib/foo; stat -c %a /root /tmp'
	echo "$output"
	[ "$output" = "usr/lib
low
foo
700
1777" ]
}

# One Dockerfile of everything in which drivers differ; SOURCE_DATE_EPOCH makes times equal.
canonical_dockerfile() {
	cat <<-'EOF'
	FROM base
	RUN mkdir -p /d/sub /keep && echo 1 >/d/old && echo 2 >/d/sub/x && echo 3 >/keep/a && touch -d @1600000000 /d/old /d/sub/x /keep/a
	RUN rm -rf /d && mkdir /d && echo new >/d/new && touch -d @1600000000 /d/new
	RUN chown -R 0:0 /keep /bin /etc
	RUN touch /keep/t && rm /keep/t
	RUN echo h >/keep/h && touch -d @1600000000 /keep/h && ln /keep/h /keep/h2 && ln /keep/h /bin/h3
	RUN chmod 4755 /keep/a && chown 5:6 /keep/a && mkdir -m 1777 /sticky
	RUN dd if=/dev/zero of=/sparse bs=1 count=1 seek=3000000 2>/dev/null && touch -d @1600000000 /sparse
	RUN mkfifo /fifo && touch -d @1600000000 /fifo && ln -s nowhere /link && touch -h -d @1600000000 /link
	RUN mv /keep/a /keep/moved && rm -r /home && mkdir /home && ln -s /keep /home/keep
	RUN rm /keep/h && cp /keep/h2 /keep/h && touch -d @1600000000 /keep/h
	RUN mv /var /var2 && mkdir /var && rmdir /var2
	RUN true
	EOF
}

@test "every driver gives the same layers" {
	local driver home=$CAIRN_HOME
	export SOURCE_DATE_EPOCH=1650000000
	for driver in auto plain overlay overlay-userns; do
		export CAIRN_HOME=$home-$driver
		import_base
		canonical_dockerfile >"$CTX/Dockerfile"
		CAIRN_ROOTFS=$driver run "$CAIRN" build --progress=plain -t x "$CTX"
		if [ "$status" -eq 5 ] || [ "$status" -eq 9 ]; then # this one cannot be used here
			echo "no $driver: $output"
			[ "$driver" != auto ] && [ "$driver" != plain ]
			continue
		fi
		echo "$output"
		[ "$status" -eq 0 ]
		diff_ids x >"$BATS_TEST_TMPDIR/ids-$driver"
		[ -s "$BATS_TEST_TMPDIR/ids-$driver" ]
		diff "$BATS_TEST_TMPDIR/ids-auto" "$BATS_TEST_TMPDIR/ids-$driver"
	done
}

@test "root and user give the same layers" {
	[ "$(id -u)" = 0 ] || skip "needs root, to be both"
	local user
	user=$(awk -F: 'FNR == NR { u[$1]; next } $1 in u && $3 > 0 { print $1; exit }' /etc/subuid /etc/passwd)
	[ -n "$user" ] || skip "no user has subordinate ids"
	local t=$BATS_TEST_TMPDIR who
	t=$(mktemp -d)
	cp "$CAIRN" "$BATS_FILE_TMPDIR/base.tar" "$t/"
	canonical_dockerfile >"$t/Dockerfile"
	chmod -R a+rX "$t"
	chmod 1777 "$t"
	for who in root "$user"; do
		runuser -u "$who" -- env -i PATH="$PATH" HOME="$t" CAIRN_HOME="$t/home-$who" SOURCE_DATE_EPOCH=1650000000 sh -ec '
			cd "$0"
			./cairn import base.tar base >/dev/null
			./cairn build --progress=plain -t x . >"log-$1" 2>&1 || { cat "log-$1"; exit 1; }
			./cairn inspect --json x >"inspect-$1"' "$t" "$who"
	done
	diff "$t/inspect-root" "$t/inspect-$user"
	end_syncs "$t"
	rm -rf "$t"
}

# What a layer of an OCI layout holds.
entries() { # IMAGE N
	"$CAIRN" build -q -o type=oci,dest="$BATS_TEST_TMPDIR/oci.tar" "$CTX" >/dev/null
	mkdir -p "$BATS_TEST_TMPDIR/oci"
	tar -C "$BATS_TEST_TMPDIR/oci" -xf "$BATS_TEST_TMPDIR/oci.tar"
	local manifest
	manifest=$(jq -r '.manifests[0].digest' "$BATS_TEST_TMPDIR/oci/index.json")
	local layer
	layer=$(jq -r ".layers[$1].digest" "$BATS_TEST_TMPDIR/oci/blobs/${manifest/://}")
	tar --zstd -tf "$BATS_TEST_TMPDIR/oci/blobs/${layer/://}" 2>/dev/null ||
		tar -tzf "$BATS_TEST_TMPDIR/oci/blobs/${layer/://}"
}

@test "the canonical form: whiteouts only for what is below, directories only as ancestors" {
	build_ok <<-'EOF'
	FROM base
	RUN mkdir -p /d/sub && echo 1 >/d/old && echo 2 >/d/sub/x
	RUN rm -rf /d && mkdir /d && echo new >/d/new
	RUN touch /etc/t && rm /etc/t
	RUN chown -R 0:0 /bin /etc /d
	RUN touch /etc/group2; rm /etc/group
	EOF
	run entries 2
	echo "$output"
	[ "$(LC_ALL=C sort <<<"$output")" = "d/
d/.wh.old
d/.wh.sub
d/new" ]
	run entries 3
	[ -z "$output" ] || [ "$output" = "./" ]
	run entries 4
	[ -z "$output" ] || [ "$output" = "./" ]
	run entries 5
	[ "$(LC_ALL=C sort <<<"$output")" = "etc/
etc/.wh.group
etc/group2" ]
}

@test "file capabilities are the same from every driver" {
	local setcap
	setcap=$(command -v setcap || ls /usr/sbin/setcap /sbin/setcap 2>/dev/null | head -1)
	[ -n "$setcap" ] || skip "no setcap here (package libcap2-bin)"
	local root=$BATS_TEST_TMPDIR/root lib driver home=$CAIRN_HOME
	mkdir -p "$root"
	tar -C "$root" -xf "$BATS_FILE_TMPDIR/base.tar" 2>/dev/null || true
	cp -L "$setcap" "$root/bin/setcap"
	for lib in $(ldd "$setcap" | grep -oE '/[^ ]+'); do
		mkdir -p "$root/$(dirname "$lib")"
		cp -L "$lib" "$root/$lib"
	done
	tar --owner=0 --group=0 --sort=name --mtime=@1600000000 -C "$root" -cf "$BATS_TEST_TMPDIR/caps.tar" .
	export SOURCE_DATE_EPOCH=1650000000
	for driver in auto plain; do
		export CAIRN_HOME=$home-$driver CAIRN_ROOTFS=$driver
		"$CAIRN" import "$BATS_TEST_TMPDIR/caps.tar" caps >/dev/null
		build_ok -t x <<-'EOF'
		FROM caps
		RUN echo >/prog && chmod 755 /prog && touch -d @1600000000 /prog && setcap cap_net_raw+ep /prog && setcap -v cap_net_raw+ep /prog
		RUN setcap -v cap_net_raw+ep /prog
		EOF
		diff_ids x >"$BATS_TEST_TMPDIR/ids-$driver"
		diff "$BATS_TEST_TMPDIR/ids-auto" "$BATS_TEST_TMPDIR/ids-$driver"
	done
}

@test "times and history: created of metadata lines, WORKDIR and empty RUN count as layers" {
	build_ok -t h <<-'EOF'
	FROM base
	ENV A=1
	RUN true
	LABEL x=y
	WORKDIR /w
	CMD ["true"]
	EOF
	run "$CAIRN" history --json h
	echo "$output"
	local all
	all=$(jq -c 'if type == "object" then .history // . else . end' <<<"$output")
	"$CAIRN" build -q -o type=oci,dest="$BATS_TEST_TMPDIR/oci.tar" "$CTX" >/dev/null
	mkdir "$BATS_TEST_TMPDIR/oci"
	tar -C "$BATS_TEST_TMPDIR/oci" -xf "$BATS_TEST_TMPDIR/oci.tar"
	local m c
	m=$(jq -r '.manifests[0].digest' "$BATS_TEST_TMPDIR/oci/index.json")
	c=$(jq -r .config.digest "$BATS_TEST_TMPDIR/oci/blobs/${m/://}")
	c=$BATS_TEST_TMPDIR/oci/blobs/${c/://}
	jq -c '.history[]' "$c"
	# base, ENV (empty), RUN, LABEL (empty), WORKDIR, CMD (empty)
	[ "$(jq -c '[.history[] | .empty_layer // false]' "$c")" = "[false,true,false,true,false,true]" ]
	[ "$(jq '.rootfs.diff_ids | length' "$c")" = 3 ]
	# ENV has RUN's time, LABEL WORKDIR's, CMD that of the layer before; the image's is the last
	[ "$(jq -c '.history[1].created == .history[2].created' "$c")" = true ]
	[ "$(jq -c '.history[3].created == .history[4].created' "$c")" = true ]
	[ "$(jq -c '.history[5].created == .history[4].created' "$c")" = true ]
	[ "$(jq -c '.created == .history[5].created' "$c")" = true ]
	# created_by is today's, created the record's
	sed -i 's/^ENV A=1/ENV  A=1/' "$CTX/Dockerfile"
	run "$CAIRN" build --progress=plain -t again "$CTX"
	[ "$(image_id again)" = "$(image_id h)" ]
}

@test "a base is known by its config: retagging and importing again change nothing" {
	build_ok -t one <<-'EOF'
	FROM base
	RUN echo x >/x
	EOF
	"$CAIRN" tag base other:tag
	build_ok -t two <<-'EOF'
	FROM other:tag
	RUN echo x >/x
	EOF
	[[ $output == *CACHED*CACHED* ]]
	[ "$(image_id one)" = "$(image_id two)" ]
}

@test "modes are content: a umask makes another image, --chmod takes it out of the key" {
	echo f >"$CTX/f"
	chmod 644 "$CTX/f"
	build_ok -t a <<-'EOF'
	FROM base
	COPY f /f
	COPY --chmod=600 f /g
	EOF
	local first
	first=$(image_id a)
	chmod 664 "$CTX/f"
	run "$CAIRN" build --progress=plain -t b "$CTX"
	echo "$output"
	[ "$first" != "$(image_id b)" ]
	[ "$("$CAIRN" run b stat -c %a /f /g)" = "664
600" ]
	build_ok -t c <<-'EOF'
	FROM base
	COPY --chmod=600 f /g
	EOF
	chmod 600 "$CTX/f"
	run "$CAIRN" build --progress=plain -t d "$CTX"
	[[ $output == *"2 cached"* ]]
	[ "$(image_id c)" = "$(image_id d)" ]
}

@test "line endings: of the Dockerfile and .dockerignore they do not count, of files they do" {
	echo keep >"$CTX/keep"
	echo drop >"$CTX/drop"
	printf 'FROM base\nCOPY . /all/\nRUN echo a && \\\n  echo b\nENV X=1\n' >"$CTX/Dockerfile"
	printf 'drop\nDockerfile\n.dockerignore\n' >"$CTX/.dockerignore"
	"$CAIRN" build -q -t unix "$CTX"
	sed -i 's/$/\r/' "$CTX/Dockerfile" "$CTX/.dockerignore"
	run "$CAIRN" build --progress=plain -t dos "$CTX"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(image_id unix)" = "$(image_id dos)" ]
	[ "$("$CAIRN" run dos ls /all)" = keep ]
	sed -i 's/$/\r/' "$CTX/keep"
	"$CAIRN" build -q -t other "$CTX"
	[ "$(image_id unix)" != "$(image_id other)" ]
}

@test "mtimes of a checkout are no content" {
	mkdir "$CTX/d"
	echo f >"$CTX/d/f"
	touch -d @1000000000 "$CTX/d/f" "$CTX/d"
	build_ok -t one <<-'EOF'
	FROM base
	COPY d /d
	RUN cat /d/f
	EOF
	touch -d @1500000000 "$CTX/d/f" "$CTX/d"
	ok build --progress=plain -t two "$CTX"
	[[ $output == *"3 cached"* ]]
	[ "$(image_id one)" = "$(image_id two)" ]
	# and the same from another place
	cp -r "$CTX" "$BATS_TEST_TMPDIR/elsewhere"
	run "$CAIRN" build --progress=plain -t three "$BATS_TEST_TMPDIR/elsewhere"
	[[ $output == *"3 cached"* ]]
}

@test "a rewrite of equal size within the same clock tick is seen" {
	local i
	for i in 1 2 3 4 5; do
		echo "aa$i" >"$CTX/f"
		touch -d @1500000000 "$CTX/f"
		build_ok -t one <<-'EOF'
		FROM base
		COPY f /f
		EOF
		echo "bb$i" >"$CTX/f"
		touch -d @1500000000 "$CTX/f"
		"$CAIRN" build -q -t two "$CTX"
		[ "$("$CAIRN" run two cat /f)" = "bb$i" ]
	done
}

# The process that syncs the store after a build has done all that it will do.
store_is_durable() {
	python3 - "$CAIRN_HOME/db.sqlite" <<-'EOF'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	sys.exit(db.execute("SELECT count(*) FROM object WHERE durable = 0").fetchone()[0] != 0)
	EOF
}

@test "records of another boot that were not synced are not believed" {
	local df
	command -v python3 >/dev/null || skip "no python3"
	df=$(printf 'FROM base\nRUN echo x >/x\n')
	build_ok <<<"$df"
	# as after a power cut: nothing of this build is durable, and the machine has restarted
	wait_for store_is_durable
	wait_for stores_are_idle "$CAIRN_HOME" # one that is late would make it durable again
	python3 - "$CAIRN_HOME/db.sqlite" <<-'EOF'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	last = db.execute("SELECT max(id) FROM object WHERE kind = 3").fetchone()[0]
	db.execute("UPDATE object SET durable = 0 WHERE id >= ? - 1", (last,))
	db.execute("UPDATE meta SET boot = 'another'")
	db.commit()
	EOF
	build_ok -t x <<<"$df"
	[[ $output == *DONE* ]]
	[ "$("$CAIRN" run x cat /x)" = x ]
}

# A digest that changes here says that a kind of step makes something else than it did: then its
# version in src/cache/keys.c has to be raised, or caches go on giving out what it made before.
layers_made() { # STAGE
	ok build --target "$1" --metadata-file "$BATS_TEST_TMPDIR/m" -o "type=oci,dest=$BATS_TEST_TMPDIR/made.tar" "$CTX"
	tar -xOf "$BATS_TEST_TMPDIR/made.tar" "blobs/sha256/$(jq -r '."containerimage.config.digest"' "$BATS_TEST_TMPDIR/m" | cut -d: -f2)" |
		jq -r '.rootfs.diff_ids[]'
}

@test "what steps make is what it was" {
	export SOURCE_DATE_EPOCH=1500000000
	local made
	mkdir -p "$CTX/dir/sub"
	echo a >"$CTX/dir/a.txt"
	echo b >"$CTX/dir/sub/b.sh"
	ln -s a.txt "$CTX/dir/link"
	chmod 755 "$CTX/dir" "$CTX/dir/sub" "$CTX/dir/sub/b.sh"
	chmod 640 "$CTX/dir/a.txt"
	tar --numeric-owner --owner=7 --group=8 --sort=name --mtime=@1600000000 --format=gnu -C "$CTX" -cf "$CTX/dir.tar" dir
	cat >"$CTX/Dockerfile" <<-'END'
	FROM scratch AS files
	COPY dir /copy/
	COPY --chown=1:2 --chmod=700 dir/a.txt dir/sub /owned/
	ADD dir.tar /add/
	WORKDIR /made/er
	FROM base
	COPY --from=files / /from/
	RUN mkdir -p /d/e && echo x >/d/x && ln /d/x /d/y && ln -s x /d/z && chmod 2751 /d && chown 3:4 /d/x && rm /bin/yes
	END
	made=$(layers_made files && layers_made '' | tail -n +2)
	diff - <(echo "$made") <<-'END'
	sha256:ca4266e66da878fa36963899ea37cc44aed777e17147dbceea1bce6fc8cacce8
	sha256:5d64ce06164478096d8091309ce269e9a60f1a5c350059dec7e90cdcb43a7915
	sha256:07f06f1cf59a064127ad778ffde50418b1a1395911b262df67be1cf43074773c
	sha256:22c6ae6761daf4d6ba61941b3db67b1e3a123d9ebe83a8cb8df6bd4ec14babb0
	sha256:5a96adbb585913fd2fddbfb19abe2287b4d9f9a21242a6bbe3257e45f3e38d96
	sha256:c767ff2d4ff4359e60a59268280ea8cf660c36017d1e8cd51ee5272765e28276
	END
}

@test "500 layers are the limit, and said before anything is wrong" {
	local i
	{
		echo "FROM base"
		for ((i = 0; i < 505; i++)); do echo "WORKDIR /$i"; done
		echo "RUN true"
	} >"$CTX/Dockerfile"
	run timeout 250 "$CAIRN" build --progress=plain "$CTX"
	echo "${lines[@]: -3}"
	[ "${CAIRN_ROOTFS:-}" != plain ] || skip "plain directories have no such limit"
	[ "$status" -ne 0 ]
	[ "$status" -ne 70 ]
	[[ ${lines[-1]} == *layers* ]]
}
