FROM base AS parent
ONBUILD RUN echo onbuild >/ob
ONBUILD ENV OB=1
ONBUILD COPY Dockerfile /df
ONBUILD ARG Q=1
FROM parent
RUN echo $OB >/after
