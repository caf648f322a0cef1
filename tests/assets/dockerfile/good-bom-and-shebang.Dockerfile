#!/usr/bin/env -S docker build . -f
# syntax=docker/dockerfile:1.7-labs
# escape=`
FROM a
RUN b \
 c
