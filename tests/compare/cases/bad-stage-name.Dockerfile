FROM base AS 1x!
