FROM base
USER ghost
RUN true
