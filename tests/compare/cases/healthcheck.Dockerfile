#= history \d created_by: cairn .HEALTHCHECK \[.*docker .HEALTHCHECK &\{.*
FROM base
HEALTHCHECK --interval=30s --timeout=3s --start-period=1m --start-interval=2s --retries=4 CMD curl -f http://x/ || exit 1
