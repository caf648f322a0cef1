#!/usr/bin/env bats
# AWS: signatures, credentials, regions, ECR tokens, spot notices; S3.
#
# Signatures are checked by three others: botocore, moto (Python, where they are installed) and
# aws_server.py, which stands in for what only runs at AWS.

load common

# One S3 server serves all tests of it: moto takes seconds to start.
setup_file() {
	need_tools python3
	SERVER_DIR=$BATS_FILE_TMPDIR
	S3_KIND=$(s3_kind)
	[ "$S3_KIND" != moto ] || start_moto
	[ "$S3_KIND" != s3rver ] || start_s3
	export S3_KIND S3=127.0.0.1:${PORT-}
}

teardown_file() {
	stop_servers
}

setup() {
	setup_suite_dirs
	TOOL=$SANDBOX_BIN/aws-tool
	DIR=$BATS_TEST_TMPDIR
	export HOME=$DIR BUCKET=bucket
	cd "$DIR" || return 1
}

# --- servers ---------------------------------------------------------------------------------

start() { # OPTION...: aws_server.py; URL and LOG
	LOG=$DIR/log.${#SERVERS[@]}
	: >"$LOG"
	start_server "$LOG.err" python3 "$BATS_TEST_DIRNAME/aws_server.py" "$LOG" "$@"
	URL=http://127.0.0.1:$PORT
}

as_user() {
	export AWS_ACCESS_KEY_ID=AKIAUSER AWS_SECRET_ACCESS_KEY=user/secret+key
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=$URL
}

start_moto() {
	start_server "$SERVER_DIR/moto.log" python3 -c 'import sys, moto.server; moto.server.main(sys.argv[1:])' \
		-H 127.0.0.1 -p 0
}

# S3 with an empty $BUCKET, and a user of it in the environment. moto looks at signatures, but of
# decoded paths and queries, so that botocore's fail there as ours do: "any" is without that.
use_s3() { # [any]
	[ -n "$S3_KIND" ] || skip "no S3 server: neither Python's moto nor npm's s3rver is installed"
	export AWS_ENDPOINT_URL=http://$S3 AWS_REGION=us-east-1
	export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER
	[ "$S3_KIND" = moto ] || return 0
	AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x python3 - "$AWS_ENDPOINT_URL" "$BUCKET" "${1-}" >user <<-'END'
	import json, sys, urllib.request, boto3
	url, bucket, mode = sys.argv[1:]
	def tell(what, text=""):
	    plain = {"Content-Type": "text/plain"}
	    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/{what}", text.encode(), plain)).read()
	tell("reset")
	tell("reset-auth", "inf")
	iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1")
	iam.create_user(UserName="u")
	key = iam.create_access_key(UserName="u")["AccessKey"]
	allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
	iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(allow))
	boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=key["AccessKeyId"],
	             aws_secret_access_key=key["SecretAccessKey"]).create_bucket(Bucket=bucket)
	if mode != "any":
	    tell("reset-auth", "0")
	print(key["AccessKeyId"], key["SecretAccessKey"])
	END
	read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <user
}

only_moto() {
	[ "$S3_KIND" = moto ] || skip "Python's moto is not installed: nobody checks signatures or conditions"
}

fails() { # CODE PATTERN COMMAND...
	local code=$1 pattern=$2
	shift 2
	run "$@"
	# shellcheck disable=SC2154
	[ "$status" = 1 ] && [[ $output == "$code: "* ]] && [[ $output =~ $pattern ]] && return
	echo "$*: exit $status: $output"
	return 1
}

is() { # WANTED COMMAND...
	local want=$1
	shift
	run "$@"
	[ "$status" = 0 ] && [ "$output" = "$want" ] && return
	echo "$*: exit $status: $output"
	return 1
}

# --- signatures --------------------------------------------------------------------------------

@test "signatures are botocore's" {
	python3 -c 'import botocore' 2>/dev/null || skip "Python's botocore is not installed"
	python3 "$BATS_TEST_DIRNAME/aws_sign.py" "$TOOL" 500
}

@test "signatures are accepted, and wrong ones are not" {
	start
	as_user
	is "<R><Arn>AKIAUSER</Arn></R>" "$TOOL" whoami
	AWS_SECRET_ACCESS_KEY=wrong fails -5 SignatureDoesNotMatch "$TOOL" whoami
	AWS_ACCESS_KEY_ID=AKIAOTHER fails -5 InvalidClientTokenId "$TOOL" whoami
	AWS_SESSION_TOKEN=t fails -5 "wrong session token" "$TOOL" whoami
}

@test "a clock that is wrong is corrected by the service's" {
	start --skew 7200
	as_user
	is "<R><Arn>AKIAUSER</Arn></R>" "$TOOL" whoami
	[ "$(wc -l <"$LOG")" = 2 ]
}

# --- credentials ------------------------------------------------------------------------------

@test "a container's credentials, with the token of a file" {
	start
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=$URL AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL/creds
	export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$DIR/token
	echo box-token >token
	is "<R><Arn>ASIABOX1</Arn></R>" "$TOOL" whoami
	echo wrong >token
	fails -5 "credentials of this container: InvalidToken" "$TOOL" whoami
	rm token
	fails -5 AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE "$TOOL" whoami
}

@test "credentials that expire in the middle are renewed" {
	start --uses 2
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=$URL AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL/creds
	export AWS_CONTAINER_AUTHORIZATION_TOKEN=box-token
	run "$TOOL" whoami 4
	[ "$status" = 0 ]
	[ "$(grep -o 'BOX[0-9]' <<<"$output" | xargs)" = "BOX1 BOX1 BOX2 BOX2" ]
	[ "$(grep -c creds "$LOG")" = 2 ]
}

@test "web identity" {
	start
	export AWS_REGION=eu-west-1 AWS_ENDPOINT_URL=$URL AWS_WEB_IDENTITY_TOKEN_FILE=$DIR/web
	export AWS_ROLE_ARN=arn:aws:iam::123456789012:role/ci
	echo web.identity.token >web
	is "<R><Arn>ASIAWEB1</Arn></R>" "$TOOL" whoami
	echo other >web
	fails -5 "STS refuses arn:aws:iam::123456789012:role/ci: InvalidIdentityToken: no such identity" "$TOOL" whoami
	[[ $output != *other* ]]
}

@test "an instance's credentials and region" {
	start
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL/ AWS_ENDPOINT_URL=$URL
	is eu-north-1 "$TOOL" region
	is "<R><Arn>ASIAEC21</Arn></R>" "$TOOL" whoami
	AWS_EC2_METADATA_DISABLED=true fails -5 "no AWS region" "$TOOL" region
}

@test "a role of a profile, assumed with the keys of another" {
	start
	mkdir .aws
	cat >.aws/config <<-END
	[default]
	region = eu-west-1
	[profile ci]
	region = eu-west-1
	role_arn = arn:aws:iam::123456789012:role/ci
	source_profile = base
	[profile forbidden]
	role_arn = arn:aws:iam::123456789012:role/forbidden
	source_profile = base
	[profile program]
	region = eu-west-1
	credential_process = $DIR/program "an argument"
	END
	printf '[base]\naws_access_key_id = AKIAUSER\naws_secret_access_key = user/secret+key\n' >.aws/credentials
	cat >program <<-'END'
	#!/bin/sh
	[ "$1" = "an argument" ] || exit 1
	echo '{"Version":1,"AccessKeyId":"AKIAUSER","SecretAccessKey":"user/secret+key"}'
	END
	chmod +x program
	export AWS_ENDPOINT_URL=$URL
	AWS_PROFILE=ci is "<R><Arn>ASIAROLE1</Arn></R>" "$TOOL" whoami
	AWS_REGION=eu-west-1 AWS_PROFILE=forbidden fails -5 "not authorized to perform: sts:AssumeRole" "$TOOL" whoami
	AWS_PROFILE=program is "<R><Arn>AKIAUSER</Arn></R>" "$TOOL" whoami
	AWS_PROFILE=nobody fails -5 "AWS_PROFILE is 'nobody'" "$TOOL" whoami
	fails -5 "no AWS credentials found" "$TOOL" whoami
}

@test "where nobody is, that is known within seconds" {
	local began
	start --silent
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL AWS_REGION=eu-west-1
	began=$SECONDS
	fails -5 "no AWS credentials found" "$TOOL" whoami
	fails -2 "no EC2 instance metadata" "$TOOL" notice
	[ $((SECONDS - began)) -le 20 ] # four; a busy machine takes longer
	AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 fails -5 "no AWS credentials found" "$TOOL" whoami
}

@test "what this machine's proxy must not see goes past it" {
	start
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL
	http_proxy=http://127.0.0.1:1 is eu-north-1 "$TOOL" region
}

@test "where credentials would come from is said without a request" {
	start
	export AWS_ENDPOINT_URL=$URL AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL
	unset AWS_EC2_METADATA_DISABLED
	is "" "$TOOL" describe
	AWS_CONTAINER_CREDENTIALS_FULL_URI=$URL is "the role of this container" "$TOOL" describe
	as_user
	is "the environment: AWS_ACCESS_KEY_ID ...USER" "$TOOL" describe
	[ ! -s "$LOG" ]
}

# --- ECR and spot -------------------------------------------------------------------------------

@test "a token for ECR" {
	start
	as_user
	is password-of-AKIAUSER "$TOOL" ecr 123456789012.dkr.ecr.eu-west-1.amazonaws.com
	AWS_SECRET_ACCESS_KEY=wrong fails -5 "ecr:GetAuthorizationToken.*SignatureDoesNotMatch" \
		"$TOOL" ecr 123456789012.dkr.ecr.eu-west-1.amazonaws.com
	fails -12 "is not a registry of ECR" "$TOOL" ecr registry.example
}

@test "spot notices" {
	start
	unset AWS_EC2_METADATA_DISABLED
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL
	is none "$TOOL" notice
	touch "$LOG.d/rebalance"
	is rebalance "$TOOL" notice
	touch "$LOG.d/stop" "$LOG.d/forget"
	is stop "$TOOL" notice
	AWS_EC2_METADATA_DISABLED=true fails -2 AWS_EC2_METADATA_DISABLED "$TOOL" notice
}

# --- S3 ---------------------------------------------------------------------------------------------

@test "s3: objects are written, read, found, listed and deleted" {
	use_s3
	head -c 3000000 /dev/urandom >file
	echo hello >hello
	is written "$TOOL" put "a/b c" hello
	is hello "$TOOL" get "a/b c"
	is ell "$TOOL" get "a/b c" 1 3
	is 6 "$TOOL" head "a/b c"
	is none "$TOOL" head nothing
	fails -2 "no object" "$TOOL" get nothing
	is written "$TOOL" put a/file file
	"$TOOL" get a/file | cmp - file
	is written "$TOOL" put-hashed a/file2 file
	"$TOOL" get a/file2 | cmp - file
	is "$(printf 'a/b c 6 %s\na/file 3000000 %s\na/file2 3000000 %s' "$(date -u +%Y)"{,,})" "$TOOL" list a
	is "" "$TOOL" list nothing
	"$TOOL" delete a/file
	"$TOOL" delete a/file
	is none "$TOOL" head a/file
	: >nothing
	is written "$TOOL" put empty nothing
	is "" "$TOOL" get empty
	is 0 "$TOOL" head empty
}

@test "s3: a large object goes in parts" {
	use_s3
	head -c 70000001 /dev/urandom >file
	is written "$TOOL" put big file
	is 70000001 "$TOOL" head big
	"$TOOL" get big | cmp - file
	"$TOOL" get big 66999999 1000001 | cmp - <(tail -c +67000000 file | head -c 1000001)
}

@test "s3: keys of all kinds of characters" {
	local key keys=("x/a+b" "x/blobs/sha256:0a=" "x/grün €" "x/100%25" "x/~-_.!*'()" "x/<&>\"")
	use_s3 any
	[ "$S3_KIND" = s3rver ] || keys+=("x//y") # it keeps files
	for key in "${keys[@]}"; do
		echo "$key" >file
		is written "$TOOL" put "$key" file
		is "$key" "$TOOL" get "$key"
		is "$key" sh -c "'$TOOL' list x/ | sed 's/ [0-9]* [0-9]*\$//'"
		"$TOOL" delete "$key"
		is "" "$TOOL" list x/
	done
}

@test "s3: lists of more than a page" {
	use_s3 any
	only_moto
	python3 - "$AWS_ENDPOINT_URL" "$BUCKET" <<-'END'
	import sys, boto3
	s3 = boto3.client("s3", endpoint_url=sys.argv[1])
	for i in range(1101):
	    s3.put_object(Bucket=sys.argv[2], Key=f"many/{i:04}")
	END
	run "$TOOL" list many/
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 1101 ]
	[[ ${lines[1100]} == "many/1100 0 "* ]]
}

@test "s3: of two writers one is first" {
	local etag
	use_s3
	only_moto
	echo one >one
	echo two >two
	is written "$TOOL" put key one absent
	is lost "$TOOL" put key two absent
	etag=$("$TOOL" etag key)
	is lost "$TOOL" put key two '"0123456789abcdef0123456789abcdef"'
	is written "$TOOL" put key two "$etag"
	is lost "$TOOL" put key one "$etag"
	is two "$TOOL" get key
	is lost "$TOOL" put gone one "$etag"
	head -c 68000000 /dev/zero >big
	is lost "$TOOL" put key big absent
	is two "$TOOL" get key
}

@test "s3: refusals say who, what and where" {
	use_s3
	only_moto
	BUCKET=no-such-bucket fails -2 "the S3 bucket 'no-such-bucket' does not exist at http" "$TOOL" get a
	BUCKET=no-such-bucket fails -2 "'no-such-bucket' does not exist" "$TOOL" list a
	AWS_SECRET_ACCESS_KEY=wrong fails -5 "s3://bucket/a: the secret key from the environment does not belong" \
		"$TOOL" get a
	AWS_SECRET_ACCESS_KEY=wrong fails -5 "does not belong" "$TOOL" head a
	AWS_ACCESS_KEY_ID=AKIAOTHER fails -5 "the access key id from the environment is not known there" "$TOOL" list a
	fails -12 "is not the name of an S3 bucket" env BUCKET=a/b "$TOOL" get a
	AWS_ENDPOINT_URL=http://127.0.0.1:1 fails -4 "s3://bucket: GET http://127.0.0.1:1/bucket/a" "$TOOL" get a
}

@test "s3: moto checks STS's and ECR's signatures too" {
	use_s3
	only_moto
	run "$TOOL" whoami
	[[ $output == *user/u* ]]
	AWS_SECRET_ACCESS_KEY=wrong fails -5 SignatureDoesNotMatch "$TOOL" whoami
	is 123456789012-auth-token "$TOOL" ecr 123456789012.dkr.ecr.us-east-1.amazonaws.com
}
