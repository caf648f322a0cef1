#: mkdir d; touch d/f
FROM base
RUN touch /x
COPY d /x
