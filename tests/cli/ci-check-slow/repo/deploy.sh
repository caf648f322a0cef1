#!/bin/sh
# what is deployed is pulled first: that is its job
set -eu
if [[ "$1" == *3dgs* ]]; then
	docker pull registry.example/3dgs:latest
	docker run --rm registry.example/3dgs:latest --self-test
fi
