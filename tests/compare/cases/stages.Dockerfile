#? --target mid
FROM base AS Build
RUN echo a >/a
FROM build AS mid
RUN echo b >/b
FROM scratch
COPY --from=mid /b /
