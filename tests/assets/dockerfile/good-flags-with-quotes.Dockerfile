FROM --platform="linux/amd64" a
RUN --mount=type=secret,id="a b" --network='none' x --not=a-flag
COPY --from=a --link -- --odd-name /d
RUN --mount=type=cache,target=/a\ b y
