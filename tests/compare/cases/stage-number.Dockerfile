FROM base
RUN echo 0 >/n
FROM base
COPY --from=0 /n /m
