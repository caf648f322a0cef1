FROM base
COPY --from=nope.invalid/x /a /b
