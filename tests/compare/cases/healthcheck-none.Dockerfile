#= history \d created_by: cairn .HEALTHCHECK \[.*docker .HEALTHCHECK &\{.*
FROM base
HEALTHCHECK CMD true
HEALTHCHECK NONE
