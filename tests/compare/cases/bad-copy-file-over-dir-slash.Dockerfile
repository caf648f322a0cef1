#: touch f
FROM base
RUN touch /x
COPY f /x/
