#!/usr/bin/env bats
# cairn plan and cairn up: what needs building, by content.
load common

setup() {
	setup_suite_dirs
	export GIT_CONFIG_GLOBAL=/dev/null
	mkdir -p base/src app/src
	echo a >base/src/a
	echo b >app/src/b
	echo r >app/README.md
	printf 'FROM scratch\nCOPY src /base\n' >base/Dockerfile
	printf 'FROM base\nCOPY src /app\n' >app/Dockerfile
}

verdicts() { # "app=build base=skip"
	"$CAIRN" plan --json "$@" | jq -r '[.images[] | "\(.name)=\(.verdict)"] | sort | join(" ")'
}

up() {
	run "$CAIRN" up "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "many states of a repository of 12 images: the plan is the truth" {
	local states=200
	[ "$(id -u)" = 0 ] || states=50 # nothing of it differs for a user
	mkdir "$BATS_TEST_TMPDIR/truth"
	run "$BATS_TEST_DIRNAME/../tools/plan-truth" "$CAIRN" "$BATS_TEST_TMPDIR/truth" --commits "${PLAN_COMMITS:-$states}"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "what is built is not built again, and a revert is known" {
	[ "$(verdicts)" = "app=build base=build" ]
	up
	[ "$(verdicts)" = "app=skip base=skip" ]
	echo two >app/src/b
	[ "$(verdicts)" = "app=build base=skip" ]
	up
	echo b >app/src/b
	[ "$(verdicts)" = "app=retag base=skip" ]
	up
	[[ $output == *"0 built, 1 retagged"* ]]
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "a comment, a README, a file outside every COPY build nothing" {
	up
	echo '# comment' >>app/Dockerfile
	echo more >>app/README.md
	echo x >base/other
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "a change travels along the graph, and what is built by hand counts" {
	up
	echo two >base/src/a
	[ "$(verdicts)" = "app=build base=build" ]
	"$CAIRN" build -q -t base base
	[ "$(verdicts)" = "app=build base=skip" ]
	"$CAIRN" build -q -t app app
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "an image stands on the one that was planned, whatever the store calls so" {
	up
	printf 'FROM scratch\nLABEL other=1\n' | "$CAIRN" build -q -t base -f - app
	echo two >app/src/b
	up
	run "$CAIRN" inspect app
	[[ $output != *'"other"'* ]]
	[ "$(verdicts)" = "app=skip base=skip" ]
}

@test "an image that was removed is built again" {
	up
	"$CAIRN" rmi app
	[ "$(verdicts)" = "app=build base=skip" ]
}

@test "state travels with a cache that machines share, for images that were pushed only" {
	printf 'cache: local://%s\n' "$BATS_TEST_TMPDIR/cache" >cairn.yaml
	up
	CAIRN_HOME=$BATS_TEST_TMPDIR/other
	[ "$(verdicts)" = "app=build base=build" ]
	[ "$("$CAIRN" plan --json | jq -r '.images[] | select(.name == "base").why')" = \
		"built before, but never pushed, and not on this machine" ]
	up
	[ "$(verdicts)" = "app=skip base=skip" ]
	[ "$("$CAIRN" plan --json --pushed base | jq -r '.images[].why')" = "built before, but never pushed" ]
}

@test "an image that fails stops what stands on it, and nothing else" {
	mkdir lone
	printf 'FROM scratch\nLABEL a=b\n' >lone/Dockerfile
	printf 'FROM scratch\nCOPY missing /\n' >base/Dockerfile
	run "$CAIRN" up
	[ "$status" -eq 6 ]
	[[ $output == *"base/Dockerfile:2: 'missing' is not in"* ]]
	[ "$(verdicts)" = "app=build base=build lone=skip" ]
}

@test "nothing to do has an exit code when it is asked for" {
	up --exit-code
	run "$CAIRN" up --exit-code
	[ "$status" -eq 13 ]
	up
}

@test "--format github: a matrix, and an empty one" {
	export GITHUB_OUTPUT=$BATS_TEST_TMPDIR/out GITHUB_STEP_SUMMARY=$BATS_TEST_TMPDIR/summary
	"$CAIRN" plan --format github
	grep -qx 'any=true' "$GITHUB_OUTPUT"
	[ "$(sed -n 's/^matrix=//p' "$GITHUB_OUTPUT" | jq -r '[.include[].image] | join(" ")')" = "base app" ]
	grep -q '^| app | build |' "$GITHUB_STEP_SUMMARY"
	"$CAIRN" up -q
	rm "$GITHUB_OUTPUT"
	"$CAIRN" plan --format github
	grep -qx 'any=false' "$GITHUB_OUTPUT"
	grep -qx 'matrix={"include":\[\]}' "$GITHUB_OUTPUT"
}

@test "--format codebuild: a graph" {
	run "$CAIRN" plan --format codebuild
	[[ $output == *"build-graph:"*"CAIRN_IMAGE: \"app\""*"depend-on:"* ]]
	"$CAIRN" up -q
	run "$CAIRN" plan --format codebuild
	[ "$output" = "# nothing to build" ]
}

@test "bad input: a clear line each" {
	printf 'images:\n  a:\n    contxt: app\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *"cairn.yaml:3:5:"*contxt*context* ]]
	printf 'images:\n  a:\n    context: nowhere\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 4 ]
	[[ $output == *nowhere* ]]
	printf 'images:\n  app: {context: app}\n  base: {context: base, depends: app}\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *app*base* ]]
	printf 'images:\n  app: {context: app}\n  app: {context: base}\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 3 ]
	[[ $output == *app* ]]
}

@test "several platforms: a clear line; a matrix makes an image of each" {
	printf 'images:\n  app:\n    context: base\n    platforms: [linux/amd64, linux/arm64]\n' >cairn.yaml
	run "$CAIRN" plan
	[ "$status" -eq 0 ]
	[[ $output == *"1 cannot be planned"* ]]
	run "$CAIRN" plan --explain app
	[[ $output == *"cairn.yaml:2: several platforms"*matrix:* ]]
	run "$CAIRN" up
	[ "$status" -ne 0 ]
	[[ $output == *"several platforms"* ]]
	printf 'images:\n  app-${arch}:\n    context: base\n    matrix: {arch: [amd64, arm64]}\n    platforms: ["linux/${arch}"]\n' >cairn.yaml
	run "$CAIRN" plan --json
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.images[] | [.name, .error]] | sort' <<<"$output")" = '[["app-amd64",false],["app-arm64",false]]' ]
}

@test "git says which file and which commit" {
	git init -q -b main .
	git config user.email a@example.com
	git config user.name A
	git add -A
	git commit -qm first
	up -q
	first=$(git rev-parse HEAD)
	echo two >app/src/b
	git commit -qam 'change b'
	run "$CAIRN" plan --base "$first"
	[[ $output == *"app/src/b changed"* ]]
	run "$CAIRN" plan --base "$first" --explain app
	[[ $output == *"change b"* ]]
	echo three >app/src/c
	CODEBUILD_WEBHOOK_PREV_COMMIT=$first run "$CAIRN" plan
	[[ $output == *"app/src/b and 1 more changed"* ]]
	run "$CAIRN" plan --base 1234567890123456789012345678901234567890
	[ "$status" -eq 0 ]
	[[ $output == *"not in this clone"* ]]
}

@test "which steps will hit and which will run" {
	printf 'FROM scratch\nCOPY src /one\nCOPY other /two\n' >app/Dockerfile
	echo o >app/other
	up -q
	echo two >app/other
	run "$CAIRN" plan --explain app
	echo "$output"
	[[ $output == *"cached "*"COPY src /one"*"would run"*"COPY other /two"* ]]
	[ "$("$CAIRN" plan --json | jq -c '[.images[] | select(.name == "app").steps[].result]')" = '["hit","run"]' ]
}

@test "a registry and a cache: another machine skips, retags without bytes, and builds on what was pushed" {
	need_tools docker-registry
	start_registry
	printf 'FROM %s/base:1\nCOPY src /app\n' "$REG" >app/Dockerfile
	cat >cairn.yaml <<-END
	cache: registry://$REG/cache
	images:
	  base: {context: base, tags: "$REG/base:1"}
	  app: {context: app, tags: ["$REG/app:1"]}
	END
	up --push
	export CAIRN_HOME=$BATS_TEST_TMPDIR/other
	[ "$(verdicts)" = "app=skip base=skip" ]
	sed -i 's/app:1"/app:1", "'"$REG"'\/app:new"/' cairn.yaml
	[ "$(verdicts)" = "app=retag base=skip" ]
	up --push
	[ "$(verdicts)" = "app=skip base=skip" ]
	echo two >app/src/b
	[ "$(verdicts)" = "app=build base=skip" ]
	up --push
	[ "$(verdicts)" = "app=skip base=skip" ]
	export CAIRN_HOME=$BATS_TEST_TMPDIR/third
	[ "$(verdicts)" = "app=skip base=skip" ]
}

# Files and commits that explain each image.
explained() {
	"$CAIRN" plan --json "$@" | jq -c '[.images[] | {name, why, files, commits: [.commits[].subject]}]'
}

# What is read from git's index is what git says itself: of a split index it is asked.
same_from_git() {
	local here git
	here=$(explained --base "$first")
	git update-index --split-index
	git=$(explained --base "$first")
	git update-index --no-split-index
	echo "$1: $here"
	echo "$1: $git"
	[ "$here" = "$git" ]
}

@test "what changed is told alike from git's index and by git" {
	echo '*.o' >.gitignore
	printf 'FROM scratch\nCOPY . /all\n' >app/Dockerfile
	printf '*.log\n' >app/.dockerignore
	mkdir -p app/src/sub outer
	printf 'FROM scratch\nCOPY src/sub /s\nCOPY README.md src/[bc] /\n' >outer/Dockerfile
	cat >cairn.yaml <<-END
	images:
	  base: {context: base}
	  app: {context: app}
	  outer: {context: app, dockerfile: ../outer/Dockerfile}
	END
	for i in src/c src/sub/d src/sub/e one.log kept.txt src/sub.txt; do echo "$i" >"app/$i"; done
	ln -s b app/src/link
	git init -q -b main .
	git config user.email a@example.com
	git config user.name A
	git add -A -f
	git commit -qm first
	first=$(git rev-parse HEAD)
	same_from_git nothing
	echo two >app/src/b
	same_from_git edited
	[[ $(explained --base "$first") == *'"app/src/b changed","files":["app/src/b"]'* ]]
	git add -A
	same_from_git staged
	echo b >app/src/b
	same_from_git 'staged and edited back'
	git commit -qm 'change b' -a --allow-empty
	git mv app/src/sub app/src/moved
	same_from_git 'renamed, staged'
	git commit -qm rename
	mv app/src/moved app/src/sub
	same_from_git 'renamed back, not staged'
	git add -A
	git commit -qm 'rename back'
	rm app/kept.txt base/src/a
	same_from_git 'removed, not staged'
	git checkout -q -- .
	chmod +x app/src/c
	same_from_git mode
	git commit -qam mode
	ln -sf c app/src/link
	same_from_git link
	rm app/src/link
	echo file >app/src/link
	same_from_git 'a file for a link'
	git checkout -q -- .
	touch -d '2001-02-03' app/src/c app/src/sub/d
	same_from_git touched
	echo x >app/new
	echo x >app/new.o
	echo x >app/new.log
	mkdir -p app/src/sub/more app/out/deep base/src/more
	echo x >app/src/sub/more/f
	echo x >app/out/deep/f.o
	echo x >base/src/more/f
	same_from_git 'not followed'
	git update-index --index-version 4
	same_from_git 'version 4'
	git update-index --assume-unchanged app/src/c
	echo more >app/src/c
	same_from_git 'not to be looked at'
	git update-index --no-assume-unchanged app/src/c
	git add -N app/new
	same_from_git 'meant to be added'
	git rm -q --cached app/src/b
	same_from_git 'not followed any more'
	git checkout -q -f -b side "$first"
	git clean -q -f -d
	echo side >app/src/b
	git commit -qam 'b on a side'
	git checkout -q main
	run git merge side
	same_from_git merge
	git checkout -q -f -B third "$first"
	echo other >app/src/b
	git commit -qam 'b on a third'
	run git merge side
	[ "$status" -ne 0 ]
	same_from_git conflict
	git reset -q --hard "$first"
	same_from_git 'force-pushed back'
	rm .git/index
	same_from_git 'no index'
}

@test "submodules, work trees and folders of a repository" {
	git init -q -b main sub.git
	git -C sub.git config user.email a@example.com
	git -C sub.git config user.name A
	echo s >sub.git/s
	git -C sub.git add -A
	git -C sub.git commit -qm s
	mkdir tree
	mv app base tree
	cd tree
	git init -q -b main .
	git config user.email a@example.com
	git config user.name A
	git -c protocol.file.allow=always submodule --quiet add "$PWD/../sub.git" app/src/sub
	git add -A
	git commit -qm first
	first=$(git rev-parse HEAD)
	same_from_git 'with a submodule'
	echo more >app/src/sub/s
	same_from_git 'an edited submodule'
	[[ $(explained --base "$first") == *'"files":["app/src/sub"]'* ]]
	git -C app/src/sub -c user.email=a@b -c user.name=A commit -qam more
	git commit -qam 'another submodule'
	same_from_git 'a moved submodule'
	git worktree add -q ../other "$first"
	cd ../other
	echo two >app/src/b
	same_from_git 'a work tree'
	cd app
	printf 'FROM scratch\nCOPY src /app\n' >Dockerfile
	: >cairn.yaml
	same_from_git 'a folder'
	[[ $(explained --base "$first") == *'"files":["Dockerfile","src/b"]'* ]]
}

@test "base images of a registry are looked up together; one that is missing stops its images alone" {
	need_tools docker-registry
	start_registry
	for i in 1 2 3; do
		printf 'FROM scratch\nLABEL base=%s\n' $i | "$CAIRN" build -q -f - --push -t "$REG/base$i:1" base
	done
	rm -r base app
	for i in 1 2 3 4 5; do
		mkdir "img$i"
		printf 'FROM %s/base%s:1\nCMD ["%s"]\n' "$REG" "$i" "$i" >"img$i/Dockerfile"
	done
	mkdir again
	printf 'FROM %s/base1:1\nFROM %s/base4:1\n' "$REG" "$REG" >again/Dockerfile
	export CAIRN_HOME=$BATS_TEST_TMPDIR/other
	run "$CAIRN" plan --json
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(jq -r '[.images[] | select(.error).name] | join(" ")' <<<"$output")" = "again img4 img5" ]
	jq -r '.images[] | select(.error).why' <<<"$output" | grep -q 'base5:1'
	[ "$(verdicts img1 img2 img3)" = "img1=build img2=build img3=build" ]
	up img1 img2 img3
	[ "$(verdicts img1 img2 img3)" = "img1=skip img2=skip img3=skip" ]
}

@test "a change travels where its image is read: FROM, COPY --from and contexts, not depends" {
	mkdir -p tools/bin copies reads names waits
	echo t >tools/bin/t
	printf 'FROM scratch\nCOPY bin /bin\n' >tools/Dockerfile
	printf 'FROM scratch\nCOPY --from=tools /bin /b\n' >copies/Dockerfile
	printf 'FROM scratch\nCOPY --from=t /bin /b\n' >reads/Dockerfile
	printf 'FROM tools AS unused\nFROM scratch\nLABEL a=b\n' >names/Dockerfile
	printf 'FROM scratch\nLABEL c=d\n' >waits/Dockerfile
	cat >cairn.yaml <<-END
	images:
	  base: {context: base}
	  app: {context: app}
	  tools: {context: tools}
	  copies: {context: copies}
	  reads: {context: reads, contexts: {t: "image:tools"}}
	  names: {context: names, contexts: {t: "image:tools"}}
	  waits: {context: waits, depends: [tools]}
	END
	up
	[ "$(verdicts)" = "app=skip base=skip copies=skip names=skip reads=skip tools=skip waits=skip" ]
	echo two >tools/bin/t
	[ "$(verdicts)" = "app=skip base=skip copies=build names=skip reads=build tools=build waits=skip" ]
	[ "$("$CAIRN" plan --json | jq -c '[.images[] | select(.verdict == "build") | {(.name): .why}] | add')" = \
		"{\"tools\":\"no build of this input is known\",\"copies\":\"image 'tools' is built\",\"reads\":\"image 'tools' is built\"}" ]
	printf 'FROM scratch\nLABEL c=e\n' >waits/Dockerfile
	[ "$("$CAIRN" plan --json | jq -r '.images[] | select(.name == "waits").why')" = "no build of this input is known" ]
	up -q
	[ "$(verdicts)" = "app=skip base=skip copies=skip names=skip reads=skip tools=skip waits=skip" ]
	echo t >tools/bin/t
	[ "$(verdicts)" = "app=skip base=skip copies=retag names=skip reads=retag tools=retag waits=skip" ]
}

# verdicts on another machine, in a build of GitHub's for VARIABLE=VALUE...
seen_by() {
	homes=$((${homes:-0} + 1))
	CAIRN_HOME=$BATS_TEST_TMPDIR/home-$homes
	verdicts_of=$(env GITHUB_ACTIONS=true "$@" "$CAIRN" plan --json | jq -r '[.images[] | "\(.name)=\(.verdict)"] | sort | join(" ")')
	echo "$*: $verdicts_of"
}

@test "a pull request reads what main built, and main believes nothing that a pull request built" {
	need_tools docker-registry
	start_registry
	main=(GITHUB_REF_NAME=main)
	seven=(GITHUB_HEAD_REF=main GITHUB_BASE_REF=main GITHUB_REF_NAME=7/merge)
	eight=(GITHUB_HEAD_REF=fix GITHUB_BASE_REF=main GITHUB_REF_NAME=8/merge)
	branch=(GITHUB_REF_NAME=fix)
	printf 'FROM %s/base:1\nCOPY src /app\n' "$REG" >app/Dockerfile
	cat >cairn.yaml <<-END
	cache: registry://$REG/cache
	images:
	  base: {context: base, tags: "$REG/base:1"}
	  app: {context: app, tags: ["$REG/app:1"]}
	END
	env GITHUB_ACTIONS=true "${main[@]}" "$CAIRN" up -q --push
	for who in main seven eight branch; do
		declare -n words=$who
		seen_by "${words[@]}"
		[ "$verdicts_of" = "app=skip base=skip" ]
	done
	echo bad >app/src/b
	CAIRN_HOME=$BATS_TEST_TMPDIR/seven
	env GITHUB_ACTIONS=true "${seven[@]}" "$CAIRN" up -q --push
	seen_by "${seven[@]}"
	[ "$verdicts_of" = "app=skip base=skip" ]
	for who in main eight branch; do
		declare -n words=$who
		seen_by "${words[@]}"
		[ "$verdicts_of" = "app=build base=skip" ]
	done
	# The tag is main's again when main builds what it had.
	echo b >app/src/b
	seen_by "${main[@]}"
	[ "$verdicts_of" = "app=retag base=skip" ]
	echo branch >app/src/b
	CAIRN_HOME=$BATS_TEST_TMPDIR/branch
	env GITHUB_ACTIONS=true "${branch[@]}" "$CAIRN" up -q --push
	seen_by "${branch[@]}"
	[ "$verdicts_of" = "app=skip base=skip" ]
	for who in main seven eight; do
		declare -n words=$who
		seen_by "${words[@]}"
		[ "$verdicts_of" = "app=build base=skip" ]
	done
}
