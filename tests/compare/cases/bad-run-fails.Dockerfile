FROM base
RUN true
RUN exit 3
