FROM base
RUN mkdir /v && echo 1 >/v/f
VOLUME /v
RUN echo 2 >/v/g
COPY Dockerfile /v/
