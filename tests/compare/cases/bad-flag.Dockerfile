FROM base
COPY --nope=1 a /b
