FROM base
RUN true
COPY nope /a/
