FROM base
RUN touch /f
WORKDIR /f
