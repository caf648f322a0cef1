#!/usr/bin/env bats
# Builds from end to end on a tiny base image: what is in the image, what is cached.
load common

setup() {
	setup_suite_dirs
	import_base
}

@test "a repeated build runs nothing and gives the same image" {
	echo hello >"$CTX/a.txt"
	build_ok -t one --iidfile "$BATS_TEST_TMPDIR/a" <<-'EOF'
	FROM base
	WORKDIR /srv
	COPY a.txt ./
	RUN cat a.txt >b.txt && cat /proc/uptime >now
	ENV X=1
	CMD ["cat", "/srv/b.txt"]
	EOF
	[ "$("$CAIRN" run one)" = hello ]
	touch "$CTX/a.txt"
	run "$CAIRN" build --progress=plain --iidfile "$BATS_TEST_TMPDIR/b" "$CTX"
	[ "$status" -eq 0 ]
	[[ $output == *"RUN cat a.txt"* && $output == *CACHED* ]]
	[[ $output != *"DONE"*"RUN cat"* ]]
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
}

@test "a changed file runs only what depends on it" {
	echo 1 >"$CTX/early"
	echo 1 >"$CTX/late"
	local df
	df=$(cat <<-'EOF'
	FROM base
	COPY early /
	RUN echo running-first
	COPY late /
	RUN echo running-second
	EOF
	)
	build_ok <<<"$df"
	wrote running-first
	wrote running-second
	echo 2 >"$CTX/late"
	build_ok <<<"$df"
	not wrote running-first
	wrote running-second
	chmod 600 "$CTX/early"
	build_ok <<<"$df"
	wrote running-first
}

@test "a step that ran again with the same result does not make later stages run" {
	echo 1 >"$CTX/src"
	local df
	df=$(cat <<-'EOF'
	FROM base AS a
	COPY src /src
	RUN echo constant >/out && echo running-maker
	FROM base
	COPY --from=a /out /out
	RUN echo running-user
	EOF
	)
	build_ok --iidfile "$BATS_TEST_TMPDIR/a" <<<"$df"
	echo 2 >"$CTX/src"
	build_ok --iidfile "$BATS_TEST_TMPDIR/b" <<<"$df"
	wrote running-maker
	not wrote running-user
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
}

@test "--no-cache runs everything, --no-cache-filter one stage" {
	local df
	df=$(cat <<-'EOF'
	FROM base AS a
	RUN echo running-a; date +%s%N >/a
	FROM base AS b
	RUN echo running-b; date +%s%N >/b
	FROM base
	COPY --from=a /a /
	COPY --from=b /b /
	EOF
	)
	build_ok <<<"$df"
	build_ok --no-cache-filter a <<<"$df"
	wrote running-a
	not wrote running-b
	build_ok --no-cache <<<"$df"
	wrote running-a
	wrote running-b
	build_ok <<<"$df"
	not wrote running-a
	not wrote running-b
}

@test "COPY: destinations, contents of directories, wildcards, modes, owners" {
	mkdir -p "$CTX/dir/sub"
	echo f >"$CTX/dir/f"
	echo g >"$CTX/dir/sub/g"
	ln -s f "$CTX/dir/link"
	echo 1 >"$CTX/one.txt"
	echo 2 >"$CTX/two.txt"
	build_ok -t copy <<-'EOF'
	FROM base
	COPY dir /dir
	COPY dir/ /made/deep/
	COPY *.txt /txt/
	COPY one.txt /renamed
	COPY --chown=app --chmod=640 one.txt /owned
	COPY --chown=5:6 dir /five
	COPY one.txt /tmp
	COPY --chmod=u=rwX,go=X dir /x
	EOF
	run "$CAIRN" run copy sh -c 'cd / && stat -c "%a %u:%g %F %n" dir dir/f dir/sub/g dir/link made/deep/sub/g txt/one.txt txt/two.txt renamed owned five five/sub/g tmp tmp/one.txt x/sub x/f'
	echo "$output"
	[ "$status" -eq 0 ]
	diff <(echo "$output") - <<-'EOF'
	755 0:0 directory dir
	644 0:0 regular file dir/f
	644 0:0 regular file dir/sub/g
	777 0:0 symbolic link dir/link
	644 0:0 regular file made/deep/sub/g
	644 0:0 regular file txt/one.txt
	644 0:0 regular file txt/two.txt
	644 0:0 regular file renamed
	640 1000:1000 regular file owned
	755 5:6 directory five
	644 5:6 regular file five/sub/g
	1777 0:0 directory tmp
	644 0:0 regular file tmp/one.txt
	711 0:0 directory x/sub
	600 0:0 regular file x/f
	EOF
}

@test "COPY: several files to a directory that is there, ':group', modes of made directories" {
	mkdir "$CTX/dir"
	echo 1 >"$CTX/a"
	echo 2 >"$CTX/b"
	echo 3 >"$CTX/dir/f"
	ln -s f "$CTX/dir/link"
	build_ok -t more <<-'EOF'
	FROM base
	RUN mkdir /there
	COPY a b /there
	COPY --chown=:staff a /group
	COPY --chmod=700 dir /made/dir
	COPY dir/* /star/
	EOF
	run "$CAIRN" run more stat -c '%a %u:%g %h %n' /there/a /there/b /group /made /made/dir /made/dir/f /star/f /star/link
	diff <(echo "$output") - <<-'EOF'
	644 0:0 1 /there/a
	644 0:0 1 /there/b
	644 0:50 1 /group
	755 0:0 3 /made
	700 0:0 2 /made/dir
	700 0:0 1 /made/dir/f
	644 0:0 1 /star/f
	644 0:0 1 /star/link
	EOF
	build_fails <<-'EOF'
	FROM base
	COPY a b /new
	EOF
	[[ $output == *"Dockerfile:2"*"must be a directory or end with '/'"* ]]
}

@test "ADD of an archive: --chown is for what is in it, --chmod is not" {
	mkdir "$CTX/r"
	echo 1 >"$CTX/r/f"
	chmod 640 "$CTX/r/f"
	tar -C "$CTX/r" --owner=5 --group=6 -cf "$CTX/a.tar" f
	build_ok -t addmode <<-'EOF'
	FROM base
	ADD --chown=app --chmod=600 a.tar /d/
	EOF
	[ "$("$CAIRN" run addmode stat -c '%a %u:%g' /d/f)" = "640 1000:1000" ]
}

@test "ADD of an archive leaves directories alone that it has no entry for" {
	mkdir -p "$CTX/r/sub/deep" "$CTX/r/named"
	echo 1 >"$CTX/r/sub/deep/f"
	chmod 711 "$CTX/r/named"
	tar -C "$CTX/r" --owner=5 --group=6 --no-recursion -cf "$CTX/a.tar" sub/deep/f named
	build_ok -t keep <<-'EOF'
	FROM base
	RUN mkdir -p /d/sub/deep /d/named && chown -R 1000:1000 /d && chmod 750 /d /d/sub /d/sub/deep /d/named && ln -s d /alias
	ADD a.tar /d/
	EOF
	run "$CAIRN" run keep sh -c "stat -c '%n %a %u:%g' /d /d/sub /d/sub/deep /d/named; cat /d/sub/deep/f"
	[ "$output" = "/d 750 1000:1000
/d/sub 750 1000:1000
/d/sub/deep 750 1000:1000
/d/named 711 5:6
1" ]
	printf 'FROM keep\nADD a.tar /alias\nADD a.tar /new/dir/\n' >"$CTX/Dockerfile"
	"$CAIRN" build -t keep2 "$CTX"
	run "$CAIRN" run keep2 sh -c "stat -c '%n %a %u:%g' /d /d/sub /new/dir/sub; cat /new/dir/sub/deep/f"
	[ "$output" = "/d 750 1000:1000
/d/sub 750 1000:1000
/new/dir/sub 755 0:0
1" ]
}

@test "COPY --from keeps owner, mode, time and links of the other stage" {
	build_ok -t from <<-'EOF'
	FROM base AS a
	RUN mkdir /d && echo x >/d/f && chown 7:8 /d/f && chmod 4755 /d/f && touch -d @1000000000 /d/f && ln /d/f /d/hard
	FROM base
	COPY --from=a /d /d
	EOF
	run "$CAIRN" run from stat -c '%a %u:%g %Y %h' /d/f
	[ "$output" = "4755 7:8 1000000000 2" ]
}

@test "a COPY over a link and into a linked directory" {
	echo new >"$CTX/f"
	build_ok -t link <<-'EOF'
	FROM base
	RUN mkdir /real && ln -s /real /alias && echo old >/target && ln -s /target /tolink
	COPY f /alias/f
	EOF
	run "$CAIRN" run link sh -c 'cat /real/f; readlink /alias'
	[ "$output" = "new
/real" ]
}

@test ".dockerignore and files that are ignored" {
	mkdir "$CTX/keep" "$CTX/drop"
	touch "$CTX/keep/a" "$CTX/drop/b" "$CTX/drop/c" "$CTX/x.log"
	printf '*.log\ndrop\n!drop/c\n' >"$CTX/.dockerignore"
	build_ok -t ign <<-'EOF'
	FROM base
	COPY . /all/
	EOF
	run "$CAIRN" run ign sh -c 'cd /all && find . -type f | sort'
	[ "$output" = "./.dockerignore
./Dockerfile
./drop/c
./keep/a" ]
	build_fails <<-'EOF'
	FROM base
	COPY x.log /
	EOF
	[[ $output == *"Dockerfile:2"*"'x.log' is not in the build context"* ]]
}

@test "heredocs of RUN and COPY" {
	build_ok -t here --build-arg WHO=you <<-'EOF'
	FROM base
	ARG WHO=me
	COPY <<A <<"B" /files/
	hello $WHO
	A
	plain $WHO
	B
	RUN <<SH
	set -e
	cat /files/A /files/B >/out
	SH
	RUN <<SCRIPT
	#!/bin/sh
	echo script >>/out
	SCRIPT
	EOF
	run "$CAIRN" run here cat /out
	[ "$output" = 'hello you
plain $WHO
script' ]
	run "$CAIRN" run here ls /dev
	[[ $output != *pipes* ]]
}

@test "environment, user, working directory of a step" {
	build_ok -t env <<-'EOF'
	FROM base
	ENV A=1 B=2
	ARG C=3
	USER app
	WORKDIR /home/app/w
	RUN echo "$A$B$C $HOME $(id -u):$(id -g) $(id -G) $PWD" >/home/app/w/out
	EOF
	run "$CAIRN" run env cat /home/app/w/out
	[ "$output" = "123 /home/app 1000:1000 1000 50 /home/app/w" ]
	run "$CAIRN" run env sh -c 'stat -c %u:%g /home/app/w; id -u'
	[ "$output" = "1000:1000
1000" ]
}

@test "mounts: cache persists, secret and bind leave nothing, tmpfs is empty again" {
	echo from-context >"$CTX/ctx.txt"
	echo s3cret >"$BATS_TEST_TMPDIR/secret"
	local df
	df=$(cat <<-'EOF'
	FROM base AS other
	RUN echo other >/file
	FROM base
	ARG N
	RUN --mount=type=cache,target=/cache --mount=type=secret,id=tok \
	    --mount=type=bind,source=ctx.txt,target=/mnt/ctx.txt \
	    --mount=type=bind,from=other,source=/,target=/other,rw \
	    --mount=type=tmpfs,target=/scratch \
	    --mount=type=secret,id=tok,env=TOK,target=/tok \
	    echo $N >>/cache/log; cat /cache/log /run/secrets/tok /mnt/ctx.txt /other/file; echo "var $TOK"; \
	    echo x >/scratch/x; echo y >/other/y; stat -c %a /run/secrets/tok
	EOF
	)
	build_ok -t m --build-arg N=1 --secret id=tok,src="$BATS_TEST_TMPDIR/secret" <<<"$df"
	for want in " 1" s3cret from-context other "var s3cret" 400; do
		[[ $output == *$want* ]]
	done
	build_ok -t m --build-arg N=2 --secret id=tok,src="$BATS_TEST_TMPDIR/secret" <<<"$df"
	[[ $output == *" 1"*" 2"* ]]
	run "$CAIRN" run m sh -c 'ls -A / /run /mnt /other /cache /scratch 2>&1'
	echo "$output"
	[[ $output != *ctx.txt* && $output != *secrets* ]]
	run "$CAIRN" history --json m
	[[ $output != *s3cret* ]]
	! grep -r s3cret "$CAIRN_HOME/db.sqlite" "$CAIRN_HOME/indexes"
}

@test "a missing required secret is named" {
	build_fails <<-'EOF'
	FROM base
	RUN --mount=type=secret,id=tok,required true
	EOF
	[[ $output == *"secret 'tok' is required"* ]]
}

@test "a RUN that changes nothing makes an empty layer; nothing of the sandbox is in a layer" {
	build_ok -t clean <<-'EOF'
	FROM base
	RUN true
	RUN rm -rf /usr && mkdir /usr && echo >/usr/x
	EOF
	run "$CAIRN" run clean sh -c 'cd / && find . -xdev -newermt 2024-01-01 | grep -v -E "^./(proc|sys|dev)" | sort'
	echo "$output"
	[[ $output != *resolv.conf* && $output != *hosts* ]]
}

@test "a failing command: its lines, its output, its exit code" {
	build_fails <<-'EOF'
	FROM base
	RUN echo before
	RUN echo oh no >&2; exit 7
	RUN echo after
	EOF
	[[ $output == *"oh no"* && $output == *"exit code 7"* && $output == *"Dockerfile:3"* ]]
	[[ $output != *"echo after"*DONE* ]]
	run "$CAIRN" build --progress=plain "$CTX"
	not wrote before
}

@test "independent stages run at the same time" {
	# Each waits until it has seen the other one; one after the other they never would.
	build_ok --jobs 2 <<-'EOF'
	FROM base AS a
	RUN --mount=type=cache,target=/meet touch /meet/a; for i in $(seq 600); do [ -e /meet/b ] && exit 0; sleep 0.1; done; exit 1
	FROM base AS b
	RUN --mount=type=cache,target=/meet touch /meet/b; for i in $(seq 600); do [ -e /meet/a ] && exit 0; sleep 0.1; done; exit 1
	FROM base
	COPY --from=a /etc/passwd /a
	COPY --from=b /etc/passwd /b
	EOF
}

@test "SHELL, exec form, ENTRYPOINT, labels, HEALTHCHECK and the rest of the config" {
	build_ok -t cfg --label a=b <<-'EOF'
	FROM base
	SHELL ["/bin/sh", "-ec"]
	RUN ["touch", "/exec form"]
	LABEL x="y z"
	EXPOSE 80 90/udp
	VOLUME /data
	STOPSIGNAL SIGINT
	HEALTHCHECK --interval=5s CMD true
	ENTRYPOINT ["echo"]
	CMD ["hi"]
	EOF
	[ "$("$CAIRN" run cfg)" = hi ]
	[ "$("$CAIRN" run cfg there)" = there ]
	run "$CAIRN" inspect --json cfg
	for want in '"x": *"y z"' '80/tcp' '90/udp' '/data' SIGINT 5000000000 '"a": *"b"'; do
		grep -qE "$want" <<<"$output" || { echo "no $want in $output"; false; }
	done
}

@test "COPY --link fits on another base without running again" {
	echo f >"$CTX/f"
	build_ok <<-'EOF'
	FROM base AS a
	RUN echo one >/v
	FROM a
	COPY --link f /opt/f
	EOF
	build_ok -t linked <<-'EOF'
	FROM base AS a
	RUN echo two >/v
	FROM a
	COPY --link f /opt/f
	EOF
	[[ $output == *"CACHED"* ]]
	[ "$("$CAIRN" run linked cat /v /opt/f)" = "two
f" ]
}

@test "a chain with the same layer twice is mounted" {
	build_ok -t twice <<-'EOF'
	FROM base
	RUN true
	RUN echo 1 >/f
	RUN true
	RUN cat /f
	EOF
	[ "$("$CAIRN" run twice cat /f)" = 1 ]
}

@test "two equal layers in one chain: RUN, a mount of the stage and run" {
	build_ok -t twice <<-'EOF'
	FROM base AS a
	RUN true
	RUN : also nothing
	FROM base
	RUN --mount=from=a,target=/a ls /a/etc/passwd
	RUN true
	RUN : again nothing
	EOF
	run "$CAIRN" run twice echo fine
	[ "$output" = fine ]
}

@test "the mode of / survives COPY, WORKDIR, --link and RUN" {
	echo f >"$CTX/f"
	build_ok -t rootmode <<-'EOF'
	FROM base
	RUN chmod 711 /
	COPY f /f
	WORKDIR /w
	COPY --link f /g
	RUN echo x >/x
	EOF
	run "$CAIRN" run rootmode stat -c %a /
	[ "$output" = 711 ]
}

@test "two cache mounts of a step with one id are one directory" {
	build_ok <<-'EOD'
	FROM base
	RUN --mount=type=cache,id=x,target=/a --mount=type=cache,id=x,target=/b,sharing=locked echo hi >/a/f && cat /b/f
	EOD
	wrote hi
}
