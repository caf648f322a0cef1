FROM base AS a
ARG A=1
ENV B=$A
FROM a AS b
RUN echo "A=$A B=$B" >/b; env | sort >/env
FROM base
COPY --from=b /b /env /
RUN echo "A=$A B=$B" >/c
